/**
 * The engine's sessions over our storage. The payload is sealed like every other; what a person sees of their sessions (times,
 * address, browser) and what ends with one stands beside it.
 */
import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Sealing } from '../domain/sealing.ts';
import { digestOf } from '../domain/secret-text.ts';
import type { Queryable } from '../storage/pool.ts';
import * as storage from '../storage/sessions.ts';

/** Where a session is used from. */
export interface SessionOrigin {
  ip: string;
  userAgent: string;
}

/** The parts of a payload that count here: when and from where it was last used is ours, the others the engine's. */
export interface SessionPayload {
  uid: string;
  exp: number;
  accountId?: string;
  /** Seconds since 1970, as all of them. */
  loginTs?: number;
  lastUsedTs?: number;
  origin?: SessionOrigin;
  /** By client id. */
  authorizations?: Record<string, { grantId?: string; persistsLogout?: boolean }>;
}

export interface SessionAdapter extends Adapter {
  /**
   * Overwrites a session that was found before, under its own id or a new one, unless it has ended since: what ends stays
   * ended, whoever was just using it.
   */
  renew(formerId: string, id: string, payload: SessionPayload): Promise<void>;
}

const LONGEST_USER_AGENT = 400;

export function createSessionAdapter({ db, sealing }: { db: Queryable; sealing: Sealing }): SessionAdapter {
  const context = (digest: Buffer) => `Session ${digest.toString('hex')}`;

  function rowOf(sessionId: string, payload: SessionPayload): storage.StoredSession {
    const id = digestOf(sessionId);
    const { loginTs, lastUsedTs, exp, origin } = payload;
    const usedAt = timeOf(lastUsedTs ?? Math.floor(Date.now() / 1000));
    return {
      id,
      uid: digestOf(payload.uid),
      userId: payload.accountId,
      payload: sealing.seal(Buffer.from(JSON.stringify(payload)), context(id)),
      loggedInAt: loginTs === undefined ? usedAt : timeOf(loginTs),
      lastUsedAt: usedAt,
      expiresAt: timeOf(exp),
      ip: origin?.ip ?? '',
      userAgent: origin?.userAgent.slice(0, LONGEST_USER_AGENT) ?? '',
      grantIds: Object.values(payload.authorizations ?? {}).flatMap(({ grantId, persistsLogout }) =>
        grantId === undefined || persistsLogout ? [] : [grantId],
      ),
    };
  }

  function open(record: storage.SessionPayloadRecord | undefined): AdapterPayload | undefined {
    if (record === undefined) return undefined;
    const payload = JSON.parse(sealing.open(record.payload, context(record.id)).toString()) as SessionPayload;
    return {
      ...payload,
      exp: secondsOf(record.expiresAt),
      ...(payload.lastUsedTs !== undefined && { lastUsedTs: secondsOf(record.lastUsedAt) }),
    } as object as AdapterPayload;
  }

  return {
    upsert: (id, payload) => storage.insertSession(db, rowOf(id, payload as object as SessionPayload)),
    async renew(formerId, id, payload) {
      await storage.renewSession(db, digestOf(formerId), rowOf(id, payload));
    },
    find: async (id) => open(await storage.findSessionPayload(db, digestOf(id))),
    findByUid: async (uid) => open(await storage.findSessionPayloadByUid(db, digestOf(uid))),
    findByUserCode: async () => undefined,
    async consume() {},
    destroy: (id) => storage.deleteSessionOfPayload(db, digestOf(id)),
    async revokeByGrantId() {},
  };
}

function timeOf(seconds: number): Date {
  return new Date(seconds * 1000);
}

function secondsOf(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}
