import { type CryptoKey, importJWK, type JSONWebKeySet, type JWK } from 'jose';
import { unusable } from './outbound.ts';

/** One public key of the issuer; the same object for as long as the issuer publishes the same key. */
export interface VerificationKey {
  readonly jwk: JWK;
  /** The key ready for use with `alg`, or undefined if it is not meant for it. */
  import(alg: string): Promise<CryptoKey | undefined>;
}

/** The issuer's keys by `kid`. */
export type KeyIndex = ReadonlyMap<string, VerificationKey>;

/** The issuer's keys, kept current. */
export interface KeySet {
  /**
   * The keys to judge by now: at once when they are fresh, otherwise after asking the issuer.
   * @throws Refused 503 when no keys young enough are known; whatever the `jwks` option throws.
   */
  current(): KeyIndex | Promise<KeyIndex>;
  /**
   * The key called `kid`. For a name never seen the issuer is asked once more, unless it was within `coolDownMs`, by
   * default 30 s.
   * @throws Refused 503 when the issuer cannot be asked.
   */
  find(kid: string, coolDownMs?: number): Promise<VerificationKey | undefined>;
}

/** `keys` by name; a key that is kept unchanged keeps its object from `previous`. */
export function indexKeys(set: unknown, previous: KeyIndex = new Map()): KeyIndex {
  const { keys } = (set ?? {}) as JSONWebKeySet;
  if (!Array.isArray(keys)) throw unusable('The key set has no list of keys');
  const index = new Map<string, VerificationKey>();
  for (const jwk of keys) {
    if (!isUsable(jwk)) continue;
    const known = previous.get(jwk.kid);
    index.set(jwk.kid, known && JSON.stringify(known.jwk) === JSON.stringify(jwk) ? known : createKey(jwk));
  }
  return index;
}

function isUsable(jwk: JWK): jwk is JWK & { kid: string } {
  return (
    typeof jwk === 'object' &&
    jwk !== null &&
    typeof jwk.kid === 'string' &&
    (jwk.use === undefined || jwk.use === 'sig')
  );
}

function createKey(source: JWK): VerificationKey {
  const jwk = structuredClone(source);
  const imported = new Map<string, Promise<CryptoKey | undefined>>();
  return {
    jwk,
    import(alg) {
      if (jwk.alg !== undefined && jwk.alg !== alg) return Promise.resolve(undefined);
      let key = imported.get(alg);
      if (!key) {
        // A key of another type than `alg` needs fails here: it is not the key for this token.
        key = importJWK({ ...jwk, ext: true }, alg).then(
          (value) => (value instanceof Uint8Array ? undefined : value),
          () => undefined,
        );
        imported.set(alg, key);
      }
      return key;
    },
  };
}

/**
 * The key set of the issuer's own process: asked every time, indexed anew when another object comes back.
 */
export function createLocalKeySet(jwks: () => JSONWebKeySet | Promise<JSONWebKeySet>): KeySet {
  let seen: { set: JSONWebKeySet; index: KeyIndex } | undefined;

  function accept(set: JSONWebKeySet): KeyIndex {
    if (seen?.set !== set) seen = { set, index: indexKeys(set, seen?.index) };
    return seen.index;
  }

  function current(): KeyIndex | Promise<KeyIndex> {
    const set = jwks();
    return set instanceof Promise ? set.then(accept) : accept(set);
  }

  return { current, find: async (kid) => (await current()).get(kid) };
}
