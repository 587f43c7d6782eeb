/** Administration > API Keys and Credentials: what can act, and what is done with it. */
import type { ListedPage } from './pages.ts';
import { check, choose, fill, press } from './person.ts';
import type { Sample } from './sample.ts';
import { reads } from './sees.ts';

type Unnamed = Omit<ListedPage, 'name' | 'as'>;

/** The page of one thing and those below it. */
function below(name: string, route: string, ids: (sample: Sample) => { id: string }, verbs: readonly string[]) {
  const own = { name, route: `${route}/:id`, ids };
  return [own, ...verbs.map((verb) => ({ name: `${name}-${verb}`, route: `${route}/:id/${verb}`, ids }))];
}

const KEYS = '/console/api-keys';
const APPS = `${KEYS}/apps`;
const CLIENTS = `${KEYS}/clients`;
const secretOf = (route: string, ids: NonNullable<ListedPage['ids']>): Unnamed => ({
  ...{ route: `${route}/:id/secrets/:secret/end`, ids },
});
const pickAll: ListedPage['act'] = async (page) => {
  await page.getByRole('checkbox').first().check();
  await press(page, 'Revoke selected');
  await reads(page, /^Revoke 1 credential$/);
};

export const CREDENTIAL_PAGES: readonly ListedPage[] = (
  [
    { name: 'personal-keys', route: `${KEYS}/personal` },
    { name: 'personal-key-new', route: `${KEYS}/personal/new` },
    ...below('personal-key', `${KEYS}/personal`, ({ keys }) => ({ id: keys.narrow }), [
      'rename',
      'rotate',
      'revoke',
      'delete',
    ]),
    {
      name: 'personal-key-reinstate',
      route: `${KEYS}/personal/:id/reinstate`,
      ids: ({ keys }) => ({ id: keys.revoked }),
    },
    { name: 'team-keys', route: `${KEYS}/team` },
    { name: 'team-keys-none-found', route: `${KEYS}/team`, path: () => `${KEYS}/team?q=nothing+is+called+so` },
    { name: 'team-key-new', route: `${KEYS}/team/new` },
    {
      ...{ name: 'team-key-problem', route: `${KEYS}/team/new` },
      async act(page) {
        await fill(page, { Name: 'x'.repeat(300) });
        await choose(page, 'Team', 'Root');
        await press(page, 'Create key');
        await reads(page, /must have at most/);
      },
    },
    {
      ...{ name: 'team-key-made', route: `${KEYS}/team/new` },
      async act(page) {
        await fill(page, { Name: 'Photographed' });
        await choose(page, 'Team', 'Root');
        await press(page, 'Create key');
        await reads(page, /not shown again/);
      },
    },
    ...below('team-key', `${KEYS}/team`, ({ keys }) => ({ id: keys.team }), [
      'rename',
      'rotate',
      'revoke',
      'delete',
      'reinstate',
    ]),
    { name: 'team-key-rotated', route: `${KEYS}/team/:id`, ids: ({ keys }) => ({ id: keys.rotated }) },
    { name: 'team-key-expired', route: `${KEYS}/team/:id`, ids: ({ keys }) => ({ id: keys.expired }) },
    { name: 'apps', route: APPS },
    { name: 'app-new', route: `${APPS}/new` },
    {
      ...{ name: 'app-problem', route: `${APPS}/new` },
      async act(page) {
        await fill(page, {
          Name: 'App',
          'Base URL': 'https://app.example.com',
          'Redirect URIs': 'http://app.example.com/*',
        });
        await press(page, 'Create app');
        await reads(page, /Something is not right yet/);
      },
    },
    {
      ...{ name: 'app-made', route: `${APPS}/new` },
      async act(page) {
        const uri = 'https://app.example.com/callback';
        await fill(page, { Name: 'Photographed', 'Base URL': 'https://app.example.com', 'Redirect URIs': uri });
        await press(page, 'Create app');
        await reads(page, /is created$/);
      },
    },
    ...below('app', APPS, ({ apps }) => ({ id: apps.reports.id }), ['edit', 'disable', 'delete', 'secrets/new']),
    {
      name: 'app-secret-end',
      ...secretOf(APPS, ({ apps, secretIds }) => ({ id: apps.reports.id, secret: secretIds.reports })),
    },
    { name: 'clients', route: CLIENTS },
    { name: 'client-new', route: `${CLIENTS}/new` },
    {
      ...{ name: 'client-made', route: `${CLIENTS}/new` },
      async act(page) {
        await fill(page, { Name: 'Photographed' });
        await choose(page, 'Team', 'Root');
        await check(page, 'Read providers');
        await press(page, 'Create client');
        await reads(page, /is created$/);
      },
    },
    ...below('client', CLIENTS, ({ clients }) => ({ id: clients.exporter.id }), [
      'edit',
      'disable',
      'delete',
      'secrets/new',
    ]),
    {
      name: 'client-secret-end',
      ...secretOf(CLIENTS, ({ clients, secretIds }) => ({ id: clients.exporter.id, secret: secretIds.exporter })),
    },
    { name: 'credentials', route: '/console/credentials' },
    { name: 'credentials-revoke', route: '/console/credentials', act: pickAll },
    { name: 'retirements', route: '/console/retirements' },
    { name: 'retirement-new', route: '/console/retirements/new' },
    ...below('retirement', '/console/retirements', ({ retirementId }) => ({ id: retirementId }), [
      'edit',
      'delete',
      'keys',
    ]),
  ] satisfies Omit<ListedPage, 'as'>[]
).map((page: Omit<ListedPage, 'as'>) => ({ ...page, name: page.name.replaceAll('/', '-'), as: 'admin' }));
