/**
 * Everything that has ended before its time, in one signed text (a compact JWS, RFC 7515) that says nothing to whoever
 * holds no token. It is made when somebody asks, and again when it has become another.
 */
import { CompactSign, type CryptoKey, importJWK } from 'jose';
import { LONG_LIST, type Revocations } from '../domain/revocations.ts';
import { digestOf } from '../domain/secret-text.ts';
import type { KeySet } from '../domain/signing-keys.ts';
import { AppError } from '../errors.ts';

export const REVOCATION_LIST_TYPE = 'revocations+jwt';

/** Seconds a signature is good, and the stretch of time in which it is not renewed for whoever asks. */
const LIFE = 60;
const RENEWED_AT = 20;

export interface SignedList {
  text: string;
  /** Names content and signature; instances that know the same call the same content the same. */
  tag: string;
}

export interface RevocationList {
  /**
   * The list as it is now.
   * @throws AppError `unavailable` while this process does not hear what ends elsewhere
   */
  current(): Promise<SignedList>;
  /** Whether `tag`, from any instance, names the same content as `list` under a signature that need not be renewed. */
  isAsGood(tag: string, list: SignedList): boolean;
  /** Signs from now on with the first of these keys that is of the algorithm. */
  signWith(keys: KeySet): void;
}

export interface RevocationListOptions {
  issuer: string;
  alg: string;
  revocations: Pick<Revocations, 'digests' | 'onChange'>;
  isAvailable: () => boolean;
  /** Told how many entries there are, once, when they have become more than whoever reads the list may want to keep. */
  onLongList?: ((entries: number) => void) | undefined;
}

export function createRevocationList(options: RevocationListOptions): RevocationList {
  const { issuer, alg, revocations, isAvailable, onLongList } = options;
  let signer: { kid: string; privateKey: Promise<CryptoKey | Uint8Array> } | undefined;
  // Counts everything that makes a list out of date.
  let generation = 0;
  let last: (SignedList & { iat: number; generation: number }) | undefined;
  let signing: Promise<SignedList> | undefined;
  let restUntil = 0;
  let isLong = false;

  revocations.onChange(() => {
    generation += 1;
  });

  async function sign(): Promise<SignedList> {
    // A list so long that it takes a while is not written all the time.
    const rest = restUntil - performance.now();
    if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest));
    const started = performance.now();
    const [by, of, iat] = [signer, generation, seconds()];
    if (by === undefined || !isAvailable()) throw unavailable();
    // All instances leave out what has expired at the same moment, so that they agree on the content.
    const entries = revocations.digests(bucketOf(iat) * RENEWED_AT * 1000);
    tellOfLength(entries.size);
    const content = [...entries]
      .map(([digest, before]) => `"${digest}":${before}`)
      .sort()
      .join(',');
    const claims = JSON.stringify({ iss: issuer, iat, exp: iat + LIFE });
    const text = await new CompactSign(Buffer.from(`${claims.slice(0, -1)},"revocations":{${content}}}`))
      .setProtectedHeader({ alg, kid: by.kid, typ: REVOCATION_LIST_TYPE })
      .sign(await by.privateKey);
    last = { text, tag: `${digestOf(content).toString('base64url').slice(0, 22)}-${iat}`, iat, generation: of };
    restUntil = performance.now() + 4 * (performance.now() - started);
    return last;
  }

  function tellOfLength(entries: number): void {
    const wasLong = isLong;
    isLong = entries > LONG_LIST;
    if (isLong && !wasLong) onLongList?.(entries);
  }

  return {
    async current() {
      const wanted = generation;
      const isGood = () =>
        last !== undefined && last.generation >= wanted && bucketOf(last.iat) === bucketOf(seconds());
      // What is being signed may be from before the call.
      if (!isGood()) await signing?.catch(() => {});
      if (isGood() && isAvailable()) return last!;
      signing ??= sign().finally(() => {
        signing = undefined;
      });
      return signing;
    },
    isAsGood(tag, list) {
      const [digest, iat] = split(tag);
      // The clocks of instances may differ a little; what is from farther ahead is from none of them.
      return digest === split(list.tag)[0] && Math.abs(seconds() - Number(iat)) < RENEWED_AT;
    },
    signWith({ signing: keys }) {
      const key = keys.find((one) => one.alg === alg);
      if (key?.kid === undefined) return;
      signer = { kid: key.kid, privateKey: importJWK(key, alg) };
      generation += 1;
    },
  };
}

/** The stretch of time a second is in: what is signed in one is of one content on all instances. */
function bucketOf(second: number): number {
  return Math.floor(second / RENEWED_AT);
}

function split(tag: string): [string, string] {
  const end = tag.lastIndexOf('-');
  return [tag.slice(0, end), tag.slice(end + 1)];
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

function unavailable(): AppError {
  return new AppError('unavailable', 'The database does not answer right now. Try again in a few seconds.');
}
