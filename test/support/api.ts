/** The management API over HTTP, and callers of each kind. */
import { OPERATOR } from '../../src/domain/audit.ts';
import { PERMISSIONS, ROLE_IDS, ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { type RawAnswer, send } from './request.ts';
import type { TestServer } from './server.ts';

export interface ApiCall {
  /** Sent as `Authorization: Bearer …`. */
  as?: string | undefined;
  /** Default GET, or POST with a body. */
  method?: string;
  /** In full, with its query. */
  path: string;
  /** A string goes as it is, anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string | string[]>;
}

export interface TestUser {
  userId: string;
  email: string;
  teamId: string;
}

/** Every permission, for a key that is to have whatever its owner has. */
export const ALL_SCOPES: readonly string[] = Object.keys(PERMISSIONS);

/** The fields a refusal names. */
export function fieldsOf({ body }: Pick<RawAnswer, 'body'>): string[] {
  return body.details.flatMap((one: { field_violations: { field: string }[] }) =>
    one.field_violations.map(({ field }) => field),
  );
}

let count = 0;

/** Short ways to call the API of a test server and to make who calls. */
export function createApi(server: TestServer) {
  const { domain } = server;
  const port = Number(new URL(server.origin).port);

  async function user(role: keyof typeof ROLE_IDS, teamId: string): Promise<TestUser> {
    const email = `person-${++count}@example.com`;
    const teamRoles = [{ teamId, roles: [ROLE_IDS[role]] }];
    const { id } = await domain.users.create({ email, name: `Person ${count}`, teamRoles }, OPERATOR);
    return { userId: id, email, teamId };
  }

  /** The text of a personal key with everything its owner may do, or with these scopes. */
  async function keyOf({ userId, teamId }: TestUser, scopes: readonly string[] = ALL_SCOPES): Promise<string> {
    const key = { userId, teamId, name: 'Test', scopes: [...scopes] };
    return (await domain.apiKeys.createPersonal(key, OPERATOR)).text;
  }

  return {
    call({ as, method, path, body, headers }: ApiCall): Promise<RawAnswer> {
      return send(port, {
        path,
        ...(method !== undefined && { method }),
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        headers: {
          ...(as !== undefined && { authorization: `Bearer ${as}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
      });
    },
    user,
    keyOf,
    /** A new team; its id. */
    async team(name = `Team ${++count}`): Promise<string> {
      return (await domain.teams.create({ name }, OPERATOR)).id;
    },
    /** A key of a new user with a role in a team (default: the root team). */
    async key(role: keyof typeof ROLE_IDS, teamId: string = ROOT_TEAM_ID, scopes?: readonly string[]): Promise<string> {
      return keyOf(await user(role, teamId), scopes);
    },
    /** Every row of these tables by its key, as text: what must not have changed, or only where meant. */
    async rows(...tables: string[]): Promise<Record<string, string>> {
      // Logins and uses of before are written a moment later.
      await server.domain.lastUsed.flush();
      const all: Record<string, string> = {};
      for (const table of tables) {
        const { rows } = await server.db.query<{ row: string }>(
          `SELECT (to_jsonb(t) - ARRAY['last_access_at', 'last_used_at', 'last_used_hour'])::text AS row FROM ${table} AS t ORDER BY 1`,
        );
        rows.forEach(({ row }, index) => {
          const { id } = JSON.parse(row) as { id?: string };
          all[`${table} ${id ?? index}`] = row;
        });
      }
      return all;
    },
  };
}

export type Api = ReturnType<typeof createApi>;
