/** What acts because one user is here, and what goes on though that user made it: read, never written. */
import type { Queryable } from './pool.ts';
import { GIVEN_UP } from './retirements.ts';

/** Of one user; with `teamId`, in that team alone. */
export interface LeaverScope {
  userId: string;
  teamId?: string | undefined;
}

/** A personal key that is neither revoked, expired nor given up. Whether its owner is let in is not asked. */
export interface LeaverKeyRecord {
  id: string;
  name: string;
  prefix: string;
  lastFour: string;
  teamId: string;
  teamName: string;
  /** Null: everything its owner may do, but for what a key has only when its scopes name it. */
  scopes: string[] | null;
  createdAt: Date;
  /** Null: never. */
  lastUsedAt: Date | null;
  expiresAt: Date | null;
}

/** What takes the place of a personal key, as the audit trail tells it. */
export interface SuccessorRecord {
  keyId: string;
  kind: 'team_key' | 'oauth2_client';
  id: string;
  /** As it is called now; as it was called then, when it is gone. */
  name: string;
  handedOverAt: Date;
  exists: boolean;
  /** Null: never, or gone. */
  lastUsedAt: Date | null;
}

/** A credential that belongs to a team, or an app, which one user made. */
export interface MadeRecord {
  id: string;
  kind: 'team_key' | 'oauth2_client' | 'oauth2_app';
  name: string;
  /** Null for an app. */
  teamId: string | null;
  teamName: string | null;
  createdAt: Date;
  lastUsedAt: Date | null;
}

const LIVES = `status = 1 AND (expires_at IS NULL OR expires_at > now()) AND NOT ${GIVEN_UP}`;
const KEY_LAST_USED = 'CASE WHEN last_access_at > created_at THEN last_access_at END';
const TEAM_NAME = '(SELECT teams.name FROM teams WHERE teams.id = team_id)';
const IN_TEAM = '($2::uuid IS NULL OR team_id = $2)';

/** Those used in the latest hour first, those never used last; among equals the newest first. */
export async function listKeysOfLeaver(
  db: Queryable,
  { userId, teamId }: LeaverScope,
  limit: number,
): Promise<LeaverKeyRecord[]> {
  const { rows } = await db.query<LeaverKeyRecord>(
    `SELECT id, name, prefix, last_four AS "lastFour", team_id AS "teamId", ${TEAM_NAME} AS "teamName", scopes,
       created_at AS "createdAt", ${KEY_LAST_USED} AS "lastUsedAt", expires_at AS "expiresAt"
     FROM api_keys WHERE kind = 'personal' AND user_id = $1 AND ${IN_TEAM} AND ${LIVES}
     ORDER BY coalesce(last_used_hour, '-infinity') DESC, created_at DESC, id DESC LIMIT $3`,
    [userId, teamId ?? null, limit],
  );
  return rows;
}

/** Of these keys, each with all that ever took its place, the first first. */
export async function listSuccessors(db: Queryable, keyIds: readonly string[]): Promise<SuccessorRecord[]> {
  if (keyIds.length === 0) return [];
  const { rows } = await db.query<SuccessorRecord>(
    `SELECT event.target_id AS "keyId", event.details->>'to_kind' AS kind, event.details->>'to_id' AS id,
       coalesce(key.name, client.name, event.details->>'to_name') AS name, event.occurred_at AS "handedOverAt",
       key.id IS NOT NULL OR client.id IS NOT NULL AS "exists",
       coalesce(CASE WHEN key.last_access_at > key.created_at THEN key.last_access_at END, client.last_used_at) AS "lastUsedAt"
     FROM audit_events AS event
     LEFT JOIN api_keys AS key ON key.kind = 'team' AND key.id =
       CASE WHEN event.details->>'to_kind' = 'team_key' THEN (event.details->>'to_id')::uuid END
     LEFT JOIN oauth_clients AS client ON client.id =
       CASE WHEN event.details->>'to_kind' = 'oauth2_client' THEN (event.details->>'to_id')::uuid END
     WHERE event.action = 'api_key.handed_over' AND event.outcome = 'success' AND event.target_id = ANY ($1::text[])
     ORDER BY event.occurred_at, event.id`,
    [keyIds],
  );
  return rows;
}

/** What a user made and is not switched off, the newest first. Apps belong to no team: with `teamId` there are none. */
export async function listMadeBy(db: Queryable, { userId, teamId }: LeaverScope, limit: number): Promise<MadeRecord[]> {
  const last = 'ORDER BY created_at DESC, id DESC LIMIT $3';
  const { rows } = await db.query<MadeRecord>(
    `SELECT id, kind, name, team_id AS "teamId", ${TEAM_NAME} AS "teamName", created_at AS "createdAt", used AS "lastUsedAt"
     FROM (
       (SELECT id, 'team_key' AS kind, name, team_id, created_at, ${KEY_LAST_USED} AS used FROM api_keys
        WHERE created_by = $1 AND kind = 'team' AND ${IN_TEAM} AND ${LIVES} ${last})
       UNION ALL
       (SELECT id, 'oauth2_client', name, team_id, created_at, last_used_at FROM oauth_clients
        WHERE created_by = $1 AND enabled AND ${IN_TEAM} ${last})
       UNION ALL
       (SELECT id, 'oauth2_app', name, NULL::uuid, created_at, last_used_at FROM oauth_apps
        WHERE created_by = $1 AND enabled AND $2::uuid IS NULL ${last})
     ) AS made ${last}`,
    [userId, teamId ?? null, limit],
  );
  return rows;
}
