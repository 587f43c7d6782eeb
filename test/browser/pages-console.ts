/** Administration: what there is besides credentials. */
import type { ListedPage } from './pages.ts';
import { check, press } from './person.ts';
import type { Sample } from './sample.ts';
import { sees } from './sees.ts';

const ada = ({ ada: { userId } }: Sample) => ({ id: userId });
const team = ({ teams }: Sample) => ({ id: teams.payments });
const membership = (sample: Sample) => ({ ...ada(sample), team: sample.teams.payments });
const reports = ({ resourceServer }: Sample) => ({ id: resourceServer.id });

export const CONSOLE_PAGES: readonly ListedPage[] = (
  [
    { name: 'overview', route: '/console' },
    { name: 'overview-of-a-team', route: '/console', as: 'person' },
    { name: 'acting-team', route: '/console/team' },
    { name: 'refused', route: '/console/signing-keys', as: 'person' },
    { name: 'nothing-there', route: '/console/users/:id', ids: ({ teams }) => ({ id: teams.data }) },
    { name: 'users', route: '/console/users' },
    { name: 'users-of-a-team', route: '/console/users', as: 'person' },
    { name: 'user-new', route: '/console/users/new' },
    { name: 'user', route: '/console/users/:id', ids: ada },
    { name: 'user-disabled', route: '/console/users/:id', ids: ({ others }) => ({ id: others[3]!.id }) },
    { name: 'user-edit', route: '/console/users/:id/edit', ids: ada },
    { name: 'user-password', route: '/console/users/:id/password', ids: ada },
    { name: 'user-team-new', route: '/console/users/:id/teams/new', ids: ada },
    { name: 'user-roles', route: '/console/users/:id/teams/:team', ids: membership },
    { name: 'user-remove', route: '/console/users/:id/teams/:team/remove', ids: membership },
    { name: 'user-disable', route: '/console/users/:id/disable', ids: ada },
    { name: 'user-delete', route: '/console/users/:id/delete', ids: ada },
    {
      ...{ name: 'user-hand-over', route: '/console/users/:id/hand-over/:key' },
      ids: (sample) => ({ ...ada(sample), key: sample.keys.ofAda }),
    },
    { name: 'teams', route: '/console/teams' },
    { name: 'team-new', route: '/console/teams/new' },
    { name: 'team', route: '/console/teams/:id', ids: team },
    { name: 'team-edit', route: '/console/teams/:id/edit', ids: team },
    { name: 'team-members', route: '/console/teams/:id/members', ids: team },
    { name: 'team-member-new', route: '/console/teams/:id/members/new', ids: team },
    { name: 'team-delete', route: '/console/teams/:id/delete', ids: team },
    { name: 'roles', route: '/console/roles' },
    { name: 'resource-servers', route: '/console/resource-servers' },
    { name: 'resource-server-new', route: '/console/resource-servers/new' },
    { name: 'resource-server', route: '/console/resource-servers/:id', ids: reports },
    { name: 'resource-server-edit', route: '/console/resource-servers/:id/edit', ids: reports },
    { name: 'resource-server-delete', route: '/console/resource-servers/:id/delete', ids: reports },
    { name: 'sign-in-settings', route: '/console/sign-in-settings' },
    { name: 'sign-in-settings-off', route: '/console/sign-in-settings/switch-off' },
    { name: 'sign-in-settings-sessions', route: '/console/sign-in-settings/sessions' },
    { name: 'signing-keys', route: '/console/signing-keys' },
    {
      ...{ name: 'signing-key-delete', route: '/console/signing-keys/:id/delete' },
      ids: ({ signingKeyId }) => ({ id: signingKeyId }),
    },
    { name: 'signing-keys-rotate', route: '/console/signing-keys/rotate' },
    {
      ...{ name: 'signing-keys-now', route: '/console/signing-keys/rotate' },
      async act(page) {
        await check(page, /^Now/);
        await press(page, 'Rotate');
        await sees(page, 'Replace all signing keys now');
      },
    },
    {
      ...{ name: 'dialog', route: '/console/teams' },
      async act(page) {
        await page.getByRole('link', { name: 'Create a team' }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    { name: 'audit', route: '/console/audit' },
    { name: 'audit-event', route: '/console/audit/:id', ids: ({ eventId }) => ({ id: eventId }) },
  ] satisfies (Omit<ListedPage, 'as'> & { as?: ListedPage['as'] })[]
).map((page) => ({ as: 'admin', ...page }) as ListedPage);
