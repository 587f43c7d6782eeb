/**
 * What ended before its time, and which tokens that concerns. Every instance holds the list in memory, and hears of
 * each addition as soon as it is committed.
 */
import { AppError } from '../errors.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Queryable } from '../storage/pool.ts';
import {
  endTokensUntilNow,
  hasRoomForTokens,
  insertTokenRevocation,
  listRevocations,
  parseRevocation,
  type RevocationRecord,
  type TokenOwner,
} from '../storage/revocations.ts';
import { derivationOf, keyIdIn } from './derivation.ts';
import { digestOf } from './secret-text.ts';

/** Sixty seconds of clock tolerance at the resource server, and as much for clocks that differ. */
const TOLERANCE_MS = 120_000;
const PRUNE_MS = 60_000;
/** What has expired is kept for a while, so that all instances can leave it out at the same moment. */
const KEPT_MS = 60_000;

/** Entries from which on the list is so long that whoever follows it should be thought of. */
export const LONG_LIST = 100_000;
/** Tokens of one key, or of a client for itself, that can end one by one; and how many while the list is long. */
const MOST_OF_OWNER = 1_000;
const MOST_WHILE_LONG = 10;
/** The same for an app: there are users behind its tokens, so it cannot be helped by ending more of them. */
const MOST_OF_APP = 20_000;

/** The claims of an access token of this server that say what it hangs on. Whatever has another shape says nothing. */
export interface RevocableClaims {
  jti?: unknown;
  iat?: unknown;
  aud?: unknown;
  sub?: unknown;
  client_id?: unknown;
  team_id?: unknown;
  grant_id?: unknown;
  /** Words like `key:<id>` of everything else the token was made from. */
  derived_from?: unknown;
}

/** The claims of an access token that is to end before its time. */
export interface EndableClaims {
  jti: string;
  /** Seconds since 1970. */
  iat: number;
  exp: number;
  sub: string;
  client_id: string;
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
   * Ends one token. It is dead here once `tx` is committed and notifications have settled. When too many of the same key,
   * or of a client for itself, have ended so, what was issued to it until now ends all together: everybody who follows
   * the feed has to remember each single one.
   * @returns `known` when it had ended already; `earlier` when those issued before ended too
   * @throws AppError `resource_exhausted` when there are too many of an app
   */
  revoke(tx: Queryable, token: EndableClaims): Promise<'ended' | 'earlier' | 'known'>;
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

export interface RevocationsOptions {
  db: Queryable;
  notifications: Notifications;
  /** Entries that make the list a long one (default `LONG_LIST`). */
  longList?: number;
}

export function createRevocations({ db, notifications, longList = LONG_LIST }: RevocationsOptions): Revocations {
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
      digest: shortDigestOf(word),
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

  async function revoke(tx: Queryable, token: EndableClaims): Promise<'ended' | 'earlier' | 'known'> {
    const { owner, isAlone } = ownerOf(token);
    const most = isAlone ? (ended.size >= longList ? MOST_WHILE_LONG : MOST_OF_OWNER) : MOST_OF_APP;
    if (await hasRoomForTokens(tx, owner, most)) {
      const expiresAt = new Date(token.exp * 1000 + TOLERANCE_MS);
      return (await insertTokenRevocation(tx, { jti: token.jti, owner, expiresAt })) ? 'ended' : 'known';
    }
    if (!isAlone) {
      const description =
        'So many tokens of this app were revoked that no more of them can be until some have expired.';
      throw new AppError('resource_exhausted', description);
    }
    await endTokensUntilNow(tx, owner, token.iat);
    return 'earlier';
  }

  notifications.on('revocations', (text) => (text === undefined ? read() : hear(parseRevocation(text))));
  return {
    isRevoked(claims) {
      return wordsOf(claims).some((word) => {
        const entry = ended.get(word);
        // Past its end it concerns no token that has not expired, but it is still there.
        return entry !== undefined && entry.expires * 1000 > Date.now() && !(Number(claims.iat) > entry.before);
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
    revoke,
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

/**
 * All that a token hangs on. `aud` is the resource server it is for: what was issued before that was deleted is dead, also
 * when it is registered anew. `aud_keys` is the same for tokens that were got for API keys, which it may stop to take.
 * Whoever follows the feed makes these words too (`src/resource/revocation-feed.ts`).
 */
function wordsOf(claims: RevocableClaims): string[] {
  const { jti, aud, grant_id, sub, team_id, client_id, derived_from } = claims;
  const derived = Array.isArray(derived_from) ? derived_from.map(String) : [];
  const words = [
    `token:${jti}`,
    `aud:${aud}`,
    `grant:${grant_id}`,
    `user:${sub}`,
    `member:${sub}:${team_id}`,
    `client:${client_id}`,
    `team:${team_id}`,
  ];
  if (derived.some((word) => keyIdIn(word) !== undefined)) words.push(`aud_keys:${aud}`);
  return words.concat(derived);
}

/** Whose single token it is, and whether nobody else stands behind the tokens of that one. */
function ownerOf(token: EndableClaims): { owner: TokenOwner; isAlone: boolean } {
  const keyId = derivationOf(token)?.keyId;
  if (keyId !== undefined) return { owner: { kind: 'key', id: keyId }, isAlone: true };
  return { owner: { kind: 'client', id: token.client_id }, isAlone: token.sub === token.client_id };
}

function shortDigestOf(word: string): string {
  return digestOf(word).toString('base64url').slice(0, 22);
}
