/**
 * What a token was made from that came by token exchange (RFC 8693): words like `key:<id>` in its claim `derived_from`,
 * the oldest first. A token that came straight from a grant has no such claim.
 */

/** Times a user's token can be passed on: each one lengthens it, and the list of whoever has held it. */
export const MOST_HOPS = 4;

const KEY = 'key:';

/** What a token says of its origin. */
export interface Derivation {
  /** The API key it was got for. */
  keyId?: string;
  /** Those its predecessors were issued to; the first is the app with the consent. */
  clientIds: string[];
  /** The APIs its predecessors were for before it was passed on to another one, by their identifiers. */
  left: string[];
  /** How often it was passed on. */
  hops: number;
}

/** The word a token that was got for a key carries. */
export function keyWord(keyId: string): string {
  return `${KEY}${keyId}`;
}

/** The id of the key in such a word, which is also the `client_id` of a token got without a client; undefined in others. */
export function keyIdIn(word: string): string | undefined {
  return word.startsWith(KEY) ? word.slice(KEY.length) : undefined;
}

/**
 * The words a token that was got for another one carries on top of that one's.
 * @param parent `left` the API that one was for, when the new one is for another
 */
export function tokenWords({ jti, clientId, left }: { jti: string; clientId: string; left?: string }): string[] {
  return [`token:${jti}`, `client:${clientId}`, ...(left === undefined ? [] : [`aud:${left}`])];
}

/**
 * @param claims of an access token of this server
 * @returns undefined for a token that came straight from a grant; without key and clients for what this server does not write
 */
export function derivationOf({ derived_from }: { derived_from?: unknown }): Derivation | undefined {
  if (derived_from === undefined) return undefined;
  const words = Array.isArray(derived_from) ? derived_from.map(split) : [];
  const of = (kind: string) => words.filter(([one]) => one === kind).map(([, id]) => id);
  const [[keyId], clientIds, left, hops] = [of('key'), of('client'), of('aud'), of('token').length];
  const isKeys = keyId !== undefined && words.length === 1;
  const isUsers =
    hops > 0 && clientIds.length === hops && left.length <= hops && words.length === 2 * hops + left.length;
  if (!isKeys && !isUsers) return { clientIds: [], left: [], hops: 0 };
  return { ...(isKeys && { keyId }), clientIds, left, hops };
}

function split(word: unknown): [kind: string, id: string] {
  const text = String(word);
  const end = text.indexOf(':');
  return [text.slice(0, end), text.slice(end + 1)];
}
