/**
 * Browser sessions as their user looks at them: where somebody is logged in, and ending that. What a session says to the
 * protocol is the protocol room's.
 */
import { AppError } from '../errors.ts';
import type { Page } from '../storage/listing.ts';
import type { Database } from '../storage/pool.ts';
import * as storage from '../storage/sessions.ts';
import type { Actor, Audit } from './audit.ts';
import { isUuid } from './names.ts';
import { digestOf } from './secret-text.ts';
import type { Settings } from './settings.ts';

/** A live session. `ip` and `userAgent` are of its last use, as the browser sent them; empty when they are not known. */
export type Session = storage.SessionRecord;

/** Whose sessions; `current` is the uid of the session that asks, if one does. */
export interface SessionScope {
  userId: string;
  current?: string | undefined;
}

/** A use of a session. */
export interface SessionUse {
  at: Date;
  /** Until when it lives if it is not used again. */
  until: Date;
  ip: string;
  userAgent: string;
}

/** Seconds for which a use is not written down again. */
export const USE_GRANULARITY = 60;

export interface Sessions {
  /**
   * The live ones, whichever way they came to be (the console's login, or an app's); the last used first unless the page
   * says otherwise. `isCurrent` marks the one that asks.
   */
  list(scope: SessionScope, page: Page): Promise<Session[]>;
  /** How many of them there are. */
  count(userId: string): Promise<number>;
  /** One of them; undefined when there is none with that id, or it is somebody else's. */
  find(id: string, scope: SessionScope): Promise<Session | undefined>;
  /**
   * Logs out there, at once: with the session end the consents of apps that may not stay connected without it, and their
   * tokens.
   * @throws AppError `not_found` when there is none with that id, or it is somebody else's
   */
  end(id: string, scope: SessionScope, actor: Actor): Promise<void>;
  /** As `end`, for the session with this uid. Repeating is harmless. */
  endByUid(uid: string, actor: Actor): Promise<void>;
  /** As `end`, for all but `current`. Answers how many there were. */
  endOthers(scope: SessionScope & { current: string }, actor: Actor): Promise<number>;
  /** Remembers a use, unless it was used within the last minute. One that has ended stays ended. */
  touch(uid: string, use: SessionUse): Promise<void>;
}

export interface SessionsOptions {
  db: Database;
  audit: Audit;
  settings: Pick<Settings, 'current'>;
}

export function createSessions({ db, audit, settings }: SessionsOptions): Sessions {
  /** Held against the lifetimes as they are now, as wherever a session is used. */
  async function living(userId: string): Promise<storage.SessionScope> {
    const { session_lifetime_seconds: lifetime, session_idle_seconds: idle } = await settings.current();
    const now = Date.now();
    const since = (seconds: number) => new Date(now - seconds * 1000);
    return { userId, now: new Date(now), loggedInSince: since(lifetime), usedSince: since(idle) };
  }

  async function list({ userId, current }: SessionScope, page: Page): Promise<Session[]> {
    const digest = current === undefined ? undefined : digestOf(current);
    return isUuid(userId) ? storage.listSessions(db, await living(userId), page, digest) : [];
  }

  return {
    list,
    count: async (userId) => (isUuid(userId) ? storage.countSessions(db, await living(userId)) : 0),
    async find(id, scope) {
      if (!isUuid(id)) return undefined;
      const [found] = await list(scope, { limit: 1, conditions: [{ field: 'id', operator: 'eq', value: id }] });
      return found;
    },
    async end(id, { userId }, actor) {
      const scope = await living(userId);
      await db.transaction(async (tx) => {
        const ended = isUuid(id) ? await storage.deleteSession(tx, id, scope) : undefined;
        if (ended === undefined) throw new AppError('not_found', 'There is no such session.');
        await audit.record(tx, eventOf(ended, actor));
      });
    },
    endByUid: (uid, actor) =>
      db.transaction(async (tx) => {
        const ended = await storage.deleteSessionByUid(tx, digestOf(uid));
        if (ended?.userId) await audit.record(tx, eventOf(ended, actor));
      }),
    endOthers: ({ userId, current }, actor) =>
      db.transaction(async (tx) => {
        const ended = await storage.deleteOtherSessions(tx, userId, digestOf(current));
        for (const one of ended) await audit.record(tx, eventOf(one, actor));
        return ended.length;
      }),
    touch: (uid, { at, until, ip, userAgent }) =>
      storage.touchSession(db, digestOf(uid), {
        lastUsedAt: at,
        expiresAt: until,
        ip,
        userAgent,
        usedBefore: new Date(at.getTime() - USE_GRANULARITY * 1000),
      }),
  };
}

function eventOf({ id, userId, endedGrants }: storage.EndedSession, actor: Actor) {
  return {
    action: 'session.ended',
    actor,
    target: { kind: 'user', id: userId ?? '' },
    details: { session_id: id, ended_grants: endedGrants },
  };
}
