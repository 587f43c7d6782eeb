/** The inventory of everything that can act for a team. */
import { z } from 'zod';
import { requireTeamInReach, teamReach } from '../../domain/authorization.ts';
import { CREDENTIAL_KINDS, type Credential, type Credentials } from '../../domain/credentials.ts';
import { isUuid } from '../../domain/names.ts';
import { type FilterField, filter } from './filter.ts';
import { RETIRES_AT, STATUS } from './key-operations.ts';
import { list } from './list.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const CREDENTIAL = z
  .object({
    id: z.string().meta({ description: 'Of the key or client; for an app, of the consent it acts by' }),
    kind: z.enum(CREDENTIAL_KINDS),
    name: z.string(),
    owner: z
      .object({ id: z.string(), email: z.string() })
      .nullable()
      .meta({ description: 'The user it acts for; null for what belongs to the team itself' }),
    team_id: z.string(),
    team_name: z.string(),
    scopes: z.array(z.string()).nullable().meta({ description: 'Null: everything its owner may do' }),
    created_by: z.string().nullable(),
    created_at: time,
    last_used_at: time.nullable().meta({ description: 'Null: never' }),
    expires_at: time.nullable().meta({ description: 'Null: never' }),
    retires_at: RETIRES_AT,
    status: STATUS.output.meta({
      description: 'INACTIVE: it, its owner or its app is revoked, disabled, expired or given up',
    }),
    prefix: z.string().nullable().meta({ description: "First characters of the key or of a client's newest secret" }),
    client_id: z.string().nullable(),
  })
  .meta({ id: 'Credential' });

const kind: FilterField = {
  operators: ['eq'],
  parse: (text) => CREDENTIAL_KINDS.find((one) => one === text),
  complaint: `must be one of ${CREDENTIAL_KINDS.join(', ')}`,
};

const QUERY = z.strictObject({
  team_id: z
    .string()
    .refine(isUuid, { error: 'must be a UUID in lower case' })
    .optional()
    .meta({ description: 'Only what acts for this team' }),
  kind: z.enum(CREDENTIAL_KINDS).optional(),
  unused_since: time.optional().meta({ description: 'Last used before then; when never used, made before then' }),
  expires_before: time.optional(),
  never_used: z.enum(['true', 'false']).optional(),
});

export function createCredentialOperations({ credentials }: { credentials: Credentials }): Noun {
  return [
    list({
      id: 'credentials.list',
      path: '/api/v1/credentials',
      tag: 'Credentials',
      summary: 'List everything that can act for your team, or for any team within your reach',
      description: 'An app is listed once for each consent that lets it act, with the scopes consented to.',
      item: CREDENTIAL,
      filters: { kind, status: filter.enumeration(STATUS), user_id: filter.uuid, team_id: filter.uuid },
      orders: ['created_at'],
      search: `names, client_ids, how keys begin or end, or with an @ the owner's email address`,
      query: QUERY,
      async rows({ caller, page, query: { team_id, unused_since, expires_before, never_used, ...query } }) {
        if (team_id !== undefined) requireTeamInReach(caller, team_id);
        return credentials.list(
          {
            kind: query.kind,
            teamId: team_id,
            ...teamReach(caller),
            unusedSince: unused_since === undefined ? undefined : new Date(unused_since),
            expiresBefore: expires_before === undefined ? undefined : new Date(expires_before),
            neverUsed: never_used === undefined ? undefined : never_used === 'true',
          },
          page,
        );
      },
      toWire,
    }),
  ];
}

function toWire(one: Credential): z.input<typeof CREDENTIAL> {
  return {
    id: one.id,
    kind: one.kind,
    name: one.name,
    owner: one.userId === null ? null : { id: one.userId, email: one.ownerEmail ?? '' },
    team_id: one.teamId,
    team_name: one.teamName,
    scopes: one.scopes,
    created_by: one.createdBy,
    created_at: one.createdAt.toISOString(),
    last_used_at: one.lastUsedAt?.toISOString() ?? null,
    expires_at: one.expiresAt?.toISOString() ?? null,
    retires_at: one.retiresAt?.toISOString() ?? null,
    status: one.isActive ? 'ACTIVE' : 'INACTIVE',
    prefix: one.prefix,
    client_id: one.clientId,
  };
}
