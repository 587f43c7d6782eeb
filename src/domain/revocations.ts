/**
 * What ended before its time, and which tokens that concerns. Every instance holds the list in memory, and hears of
 * each addition as soon as it is committed.
 */
import { createHash } from 'node:crypto';
import type { Notifications } from '../storage/notifications.ts';
import type { Queryable } from '../storage/pool.ts';
import {
  insertTokenRevocation,
  listRevocations,
  parseRevocation,
  type RevocationRecord,
} from '../storage/revocations.ts';

/** Sixty seconds of clock tolerance at the resource server, and as much for clocks that differ. */
const TOLERANCE_MS = 120_000;
const PRUNE_MS = 60_000;
/** What has expired is kept for a while, so that all instances can leave it out at the same moment. */
const KEPT_MS = 60_000;

/** The claims of an access token of this server that say what it hangs on. Whatever has another shape says nothing. */
export interface RevocableClaims {
  jti?: unknown;
  iat?: unknown;
  sub?: unknown;
  client_id?: unknown;
  team_id?: unknown;
  grant_id?: unknown;
  /** Words like `key:<id>` of everything else the token was made from. */
  derived_from?: unknown;
}

export interface Revocations {
  /**
   * Whether the token, or something it hangs on, has ended. What lost only some of its rights is not looked at: whoever
   * asks here looks at the rights of this moment anyway.
   */
  isRevoked(claims: RevocableClaims): boolean;
  /**
   * For a token about to be issued: the first second (since 1970) in which it may be, without being dead for those who
   * follow the feed. Undefined when that is so already, whatever `iat` says.
   */
  bornDeadUntil(claims: RevocableClaims): number | undefined;
  /**
   * Ends one token: `id` is its `jti`. It is dead here once `tx` is committed and notifications have settled.
   * @param token `expiresAt` when it would have expired by itself
   * @returns false when it had ended already
   */
  revoke(tx: Queryable, token: { kind: 'token'; id: string; expiresAt: Date }): Promise<boolean>;
  /**
   * Everything that can concern a token at a time (milliseconds since 1970), without saying what it is: the first 22
   * characters of the base64url SHA-256 of `kind:id`, and the second until which tokens are dead, 0 for whenever they
   * were issued.
   */
  digests(at: number): ReadonlyMap<string, number>;
  /** Calls `listener` whenever `digests` may answer something else than before, but for what merely expired. */
  onChange(listener: () => void): void;
}

interface Entry {
  before: number;
  expires: number;
  digest: string;
}

type Entries = Map<string, Entry>;

export function createRevocations({ db, notifications }: { db: Queryable; notifications: Notifications }): Revocations {
  let ended: Entries = new Map();
  let narrowed: Entries = new Map();
  const readings = new Set<RevocationRecord[]>();
  const listeners: (() => void)[] = [];
  let pruneAt = 0;

  async function read(): Promise<void> {
    // What is committed while the list is being read may be in it or not.
    const arrived: RevocationRecord[] = [];
    readings.add(arrived);
    try {
      const records = await listRevocations(db);
      [ended, narrowed] = [new Map(), new Map()];
      for (const record of [...records, ...arrived]) keep(record);
    } finally {
      readings.delete(arrived);
      // Also when the database has gone away: nothing may be told that was true before.
      changed();
    }
  }

  function hear(record: RevocationRecord): void {
    for (const arrived of readings) arrived.push(record);
    keep(record);
    prune();
    changed();
  }

  function keep({ kind, id, narrowed: isNarrowed, before, expires }: RevocationRecord): void {
    const word = `${kind}:${id}`;
    (isNarrowed ? narrowed : ended).set(word, {
      before: before ?? Number.POSITIVE_INFINITY,
      expires,
      digest: digestOf(word),
    });
  }

  function changed(): void {
    for (const listener of listeners) listener();
  }

  function prune(): void {
    if (Date.now() < pruneAt) return;
    pruneAt = Date.now() + PRUNE_MS;
    for (const entries of [ended, narrowed]) {
      for (const [word, { expires }] of entries) if (expires * 1000 <= Date.now() - KEPT_MS) entries.delete(word);
    }
  }

  notifications.on('revocations', (text) => (text === undefined ? read() : hear(parseRevocation(text))));
  return {
    isRevoked(claims) {
      return wordsOf(claims).some((word) => {
        const entry = ended.get(word);
        return entry !== undefined && !(Number(claims.iat) > entry.before);
      });
    },
    bornDeadUntil(claims) {
      let second = 0;
      for (const word of wordsOf(claims)) {
        for (const entries of [ended, narrowed]) {
          const { before } = entries.get(word) ?? { before: 0 };
          if (Number.isFinite(before)) second = Math.max(second, before + 1);
        }
      }
      return second * 1000 > Date.now() ? second : undefined;
    },
    revoke: (tx, { id, expiresAt }) => insertTokenRevocation(tx, id, new Date(expiresAt.getTime() + TOLERANCE_MS)),
    digests(at) {
      const found = new Map<string, number>();
      for (const entries of [ended, narrowed]) {
        for (const { digest, before, expires } of entries.values()) {
          if (expires * 1000 <= at) continue;
          const isAll = before === Number.POSITIVE_INFINITY || found.get(digest) === 0;
          found.set(digest, isAll ? 0 : Math.max(before, found.get(digest) ?? 0));
        }
      }
      return found;
    },
    onChange(listener) {
      listeners.push(listener);
    },
  };
}

function wordsOf(claims: RevocableClaims): string[] {
  const { jti, grant_id, sub, team_id, client_id, derived_from } = claims;
  const words = [
    `token:${jti}`,
    `grant:${grant_id}`,
    `user:${sub}`,
    `member:${sub}:${team_id}`,
    `client:${client_id}`,
    `team:${team_id}`,
  ];
  return Array.isArray(derived_from) ? words.concat(derived_from.map(String)) : words;
}

function digestOf(word: string): string {
  return createHash('sha256').update(word).digest('base64url').slice(0, 22);
}
