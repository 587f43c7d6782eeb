/** Roles: named sets of permissions, given to users in teams. */
import type { Page } from '../storage/listing.ts';
import type { Queryable } from '../storage/pool.ts';
import * as storage from '../storage/roles.ts';

export type Role = storage.RoleRecord;

export interface Roles {
  /** By name (default the first 1,000). */
  list(page?: Page): Promise<(Role & { sortKey: string })[]>;
}

export function createRoles({ db }: { db: Queryable }): Roles {
  return { list: (page = { limit: 1_000 }) => storage.listRoles(db, page) };
}
