/** The inventory: every credential that can act for a team, whatever its kind. Never a text, a digest or a secret. */
import * as storage from '../storage/credentials.ts';
import type { Page } from '../storage/listing.ts';
import type { Queryable } from '../storage/pool.ts';
import { TEAM_KEY_PERMISSIONS } from './permissions.ts';
import type { Retirements } from './retirements.ts';

export const { CREDENTIAL_KINDS } = storage;
export type CredentialKind = storage.CredentialKind;
export interface Credential extends storage.CredentialRecord {
  /** When a key is to be given up, or may be, as far as its first characters tell; null: it is not. */
  retiresAt: Date | null;
}

/** What is left out narrows nothing. */
export interface CredentialQuery {
  kind?: CredentialKind | undefined;
  teamId?: string | undefined;
  userId?: string | undefined;
  /** Now: neither it nor its owner is revoked, disabled or expired, nor has it been given up. */
  isActive?: boolean | undefined;
  /** Last used before then; those never used count from when they were made. */
  unusedSince?: Date | undefined;
  /** Clients do not expire, and are in no answer to this. */
  expiresBefore?: Date | undefined;
  neverUsed?: boolean | undefined;
  /** Only these; each a UUID. */
  ids?: readonly string[] | undefined;
}

export interface Credentials {
  /**
   * Credentials in the order they were made. An app is there once for each consent that lets it act, with the scopes
   * consented to. Filters of the page: `kind`, `status` (1 active, 2 not), `team_id`, `user_id`; order: `created_at`. A search
   * looks at names, client_ids, how keys begin and end, and at owners' email addresses.
   * Every narrowing of query and page must hold.
   */
  list(query: CredentialQuery, page: Page): Promise<Credential[]>;
}

export interface CredentialsOptions {
  db: Queryable;
  retirements: Pick<Retirements, 'effectiveFor'>;
}

export function createCredentials({ db, retirements }: CredentialsOptions): Credentials {
  async function retiresAt({ id, kind, teamId, prefix }: storage.CredentialRecord): Promise<Date | null> {
    if (kind !== 'personal_key' && kind !== 'team_key') return null;
    return (await retirements.effectiveFor({ keyId: id, teamId, prefix: prefix ?? '' }))?.retiresAt ?? null;
  }

  return {
    async list({ kind, teamId, userId, isActive, ...query }, { conditions = [], ...page }) {
      const all = [...conditions, ...given('kind', kind), ...given('team_id', teamId), ...given('user_id', userId)];
      const valuesOf = (name: string) => all.filter(({ field }) => field === name).map(({ value }) => value);
      const kinds = storage.CREDENTIAL_KINDS.filter((one) => valuesOf('kind').every((value) => value === one));
      const active = valuesOf('status').map((status) => status === ACTIVE);
      const rows = await storage.listCredentials(
        db,
        { ...query, kinds, isActive: isActive === undefined ? active : [...active, isActive] },
        { ...page, conditions: all.filter(({ field }) => field !== 'kind' && field !== 'status') },
      );
      return Promise.all(
        rows.map(async (row) => ({
          ...row,
          ...(row.kind === 'team_key' && { scopes: [...TEAM_KEY_PERMISSIONS] }),
          retiresAt: await retiresAt(row),
        })),
      );
    },
  };
}

const ACTIVE = 1;

function given(field: string, value: string | undefined) {
  return value === undefined ? [] : [{ field, operator: 'eq' as const, value }];
}
