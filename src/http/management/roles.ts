/** Roles (wire contract): what can be given to users in teams. */
import { z } from 'zod';
import type { Role, Roles } from '../../domain/roles.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import type { Noun } from './routes.ts';

const ROLE = z
  .object({
    id: z.string(),
    name: z.string(),
    permissions: z.array(z.string()),
    is_available_in_root_team: z.boolean(),
    is_available_in_non_root_team: z.boolean(),
    description: z.string(),
  })
  .meta({ id: 'Role' });

export function createRoleOperations({ roles }: { roles: Roles }): Noun {
  return [
    list({
      id: 'roles.list',
      path: '/api/v1/roles',
      tag: 'Roles',
      summary: 'List the roles and what they permit',
      item: ROLE,
      wrapper: 'roles',
      filters: { name: filter.text },
      orders: ['name'],
      rows: ({ page }) => roles.list(page),
      toWire,
    }),
  ];
}

function toWire(role: Role) {
  return {
    id: role.id,
    name: role.name,
    permissions: role.permissions,
    is_available_in_root_team: role.isAvailableInRootTeam,
    is_available_in_non_root_team: role.isAvailableInNonRootTeam,
    description: role.description,
  };
}
