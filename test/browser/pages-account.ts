/** What people see about themselves. */
import type { ListedPage } from './pages.ts';
import type { Sample } from './sample.ts';

const key = ({ keys }: Sample) => ({ id: keys.personal });
const app = ({ apps }: Sample) => ({ clientId: apps.reports.clientId });

export const ACCOUNT_PAGES: readonly ListedPage[] = (
  [
    { name: 'profile', route: '/account' },
    { name: 'profile-edit', route: '/account/edit' },
    { name: 'password', route: '/account/password' },
    { name: 'sessions', route: '/account/sessions' },
    { name: 'sessions-end-others', route: '/account/sessions/end-others' },
    { name: 'session-end', route: '/account/sessions/:id/end', ids: ({ sessionId }) => ({ id: sessionId }) },
    { name: 'keys', route: '/account/keys' },
    { name: 'key-new', route: '/account/keys/new' },
    { name: 'key', route: '/account/keys/:id', ids: key },
    ...['rename', 'rotate', 'revoke', 'delete'].map((verb) => ({
      ...{ name: `key-${verb}`, route: `/account/keys/:id/${verb}`, ids: key },
    })),
    { name: 'key-reinstate', route: '/account/keys/:id/reinstate', ids: ({ keys }) => ({ id: keys.revoked }) },
    { name: 'apps', route: '/account/apps' },
    {
      name: 'app',
      route: '/account/apps/:clientId/:teamId',
      ids: (sample) => ({ ...app(sample), teamId: sample.admin.teamId }),
    },
    {
      ...{ name: 'app-disconnect', route: '/account/apps/:clientId/:teamId/disconnect' },
      ids: (sample) => ({ ...app(sample), teamId: sample.admin.teamId }),
    },
  ] satisfies Omit<ListedPage, 'as'>[]
).map((page: Omit<ListedPage, 'as'>) => ({ ...page, name: `account-${page.name}`, as: 'admin' }));
