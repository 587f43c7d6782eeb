/** Roles: what each of them permits, in plain words, and where it can be given. */
import { isPermission, PERMISSIONS } from '../../../domain/permissions.ts';
import type { Role } from '../../../domain/roles.ts';
import type { Kit } from '../index.ts';
import { type Cell, cell, type Section } from '../view.ts';

/** What a permission is about, as people call it. */
const RESOURCES: Record<string, string> = {
  providers: 'Providers',
  teams: 'Teams',
  users: 'Users',
  roles: 'Roles',
  apikeys: 'Personal API keys',
  teamkeys: 'Team API keys',
  oauth2apps: 'OAuth2 Apps',
  oauth2clients: 'OAuth2 Clients',
  connectedapps: 'Connected apps',
  resourceservers: 'Resource servers',
  settings: 'Settings',
  audit: 'Audit trail',
  credentials: 'Credentials',
};

/** There are a handful; a page of more would be read by nobody. */
const MOST = 50;

export function addRoles({ domain, routes, show }: Kit): void {
  routes.get('/console/roles', 'roles.list', async (ctx, visitor) => {
    const roles = await domain.roles.list({ limit: MOST });
    show.detail(ctx, visitor, {
      title: 'Roles',
      lead: 'A user may do in a team what their roles there permit, and in every team what their roles in the root team permit. A key or an app may never do more than the user it acts for, at that moment.',
      facts: [],
      sections: roles.map(sectionOf),
    });
  });
}

function sectionOf(role: Role): Section {
  const byResource = Map.groupBy(role.permissions, (permission) => permission.split(':')[0]!);
  // In the order of the table of permissions, whatever order the role has them in.
  const order = [...new Set(Object.keys(PERMISSIONS).map((permission) => permission.split(':')[0]!))];
  const known = [...byResource.keys()].sort((a, b) => order.indexOf(a) - order.indexOf(b));
  return {
    title: role.name,
    ...(role.description !== '' && { lead: `${role.description}.` }),
    facts: [{ label: 'Can be given', value: cell.text(whereGiven(role)) }],
    table: {
      columns: ['About', 'Read', 'Write'],
      rows: known.map((resource): Cell[] => {
        const words = byResource.get(resource)!;
        const reads = words.filter((word) => word.endsWith(':read'));
        const writes = words.filter((word) => !word.endsWith(':read'));
        return [cell.text(RESOURCES[resource] ?? resource), sentences(reads), sentences(writes)];
      }),
      none: 'It permits nothing.',
    },
  };
}

function sentences(permissions: readonly string[]): Cell {
  if (permissions.length === 0) return cell.text('No');
  return cell.text(
    permissions.map((one) => (isPermission(one) ? PERMISSIONS[one] : one)).join('. '),
    permissions.join(' '),
  );
}

function whereGiven({ isAvailableInRootTeam, isAvailableInNonRootTeam }: Role): string {
  if (isAvailableInRootTeam && isAvailableInNonRootTeam) return 'In every team';
  if (isAvailableInRootTeam) return 'In the root team only';
  return isAvailableInNonRootTeam ? 'In every team but the root team' : 'Nowhere: it is kept for those who have it';
}
