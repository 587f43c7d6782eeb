/** The way around: what there is, and which of it a person may see. */
import { actsInRoot, OPERATIONS, type OperationId, type Rule } from '../../domain/authorization.ts';
import type { Visitor } from './visitor.ts';

export interface NavigationGroup {
  title: string;
  items: { text: string; href: string; current: boolean }[];
}

interface Place {
  text: string;
  href: string;
  /** It is there for whoever may do one of these. */
  needs: readonly OperationId[];
}

const PLACES: { title: string; places: Place[] }[] = [
  {
    title: 'Administration',
    places: [
      { text: 'Overview', href: '/console', needs: ['credentials.list'] },
      {
        text: 'API Keys',
        href: '/console/api-keys',
        needs: ['api_keys.list', 'team_keys.list', 'oauth_apps.list', 'oauth_clients.list'],
      },
      { text: 'Credentials', href: '/console/credentials', needs: ['credentials.list'] },
      { text: 'Users', href: '/console/users', needs: ['users.list'] },
      { text: 'Teams', href: '/console/teams', needs: ['teams.list'] },
      { text: 'Roles', href: '/console/roles', needs: ['roles.list'] },
      { text: 'Resource servers', href: '/console/resource-servers', needs: ['resource_servers.list'] },
      { text: 'Sign-in Settings', href: '/console/sign-in-settings', needs: ['sign_in_settings.get'] },
      { text: 'Signing keys', href: '/console/signing-keys', needs: ['signing_keys.list'] },
      { text: 'Audit', href: '/console/audit', needs: ['audit_events.list'] },
    ],
  },
  {
    title: 'Your account',
    places: [
      { text: 'Profile', href: '/account', needs: [] },
      { text: 'Password', href: '/account/password', needs: [] },
      { text: 'Sessions', href: '/account/sessions', needs: [] },
      { text: 'Your keys', href: '/account/keys', needs: [] },
      { text: 'Connected apps', href: '/account/apps', needs: [] },
    ],
  },
];

/** Every path begins with one of these. */
const ROOTS: ReadonlySet<string> = new Set(['/console', '/account']);

/** Whether the operation is there for the caller at all; `authorize` has the last word. */
export function mayUse({ caller }: Pick<Visitor, 'caller'>, operation: OperationId): boolean {
  const { permission, reach }: Rule = OPERATIONS[operation];
  return caller.permissions.has(permission) && (reach !== 'root' || actsInRoot(caller));
}

/** @param path of the page that is shown */
export function navigationFor(visitor: Pick<Visitor, 'caller'>, path: string): NavigationGroup[] {
  const open = PLACES.map(({ title, places }) => ({
    title,
    places: places.filter(({ needs }) => needs.length === 0 || needs.some((one) => mayUse(visitor, one))),
  }));
  const current = open
    .flatMap(({ places }) => places.map(({ href }) => href))
    .filter((href) => path === href || (!ROOTS.has(href) && path.startsWith(`${href}/`)))
    .sort((a, b) => b.length - a.length)[0];
  return open
    .filter(({ places }) => places.length > 0)
    .map(({ title, places }) => ({
      title,
      items: places.map(({ text, href }) => ({ text, href, current: href === current })),
    }));
}
