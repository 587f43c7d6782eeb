import { bearer, type Case } from './case.ts';
import { type DecodedToken, type Forger, hmac, OWN_KID, unsigned } from './forger.ts';

/** Too much to be an honest token may be refused by its size (RFC 6585 §5). */
const TOO_LARGE = [400, 401, 403, 413, 414, 431];
const HOUR = 3_600;

/** The good token with something about it damaged. */
export function damagedCases(good: DecodedToken | undefined): Case[] {
  const [header, payload, signature] = good?.parts ?? ['', '', ''];
  const unverified = 'does not verify the signature (RFC 7515 §5.2, RFC 9068 §4)';
  const zeros = Buffer.alloc(Buffer.from(signature, 'base64url').length).toString('base64url');
  const cases: [string, string, string?][] = [
    ['good token, signature cut short', `${header}.${payload}.${signature.slice(0, -4)}`],
    ['good token, signature left out', `${header}.${payload}.`],
    ['good token, two parts only', `${header}.${payload}`],
    ['good token, one bit of the header flipped', `${flipped(header)}.${payload}.${signature}`],
    ['good token, one bit of the payload flipped', `${header}.${flipped(payload)}.${signature}`],
    ['good token, one bit of the signature flipped', `${header}.${payload}.${flipped(signature)}`],
    ['good token, other claims under its signature', `${header}.${widened(good)}.${signature}`],
    [
      'good token, signature of zeros only',
      `${header}.${payload}.${zeros}`,
      'takes an ECDSA signature of zeros (RFC 7518 §3.4, CVE-2022-21449) or none',
    ],
  ];
  return cases.map(([name, token, fault = unverified]) => ({
    name,
    needs: '--token',
    attempt: good && bearer(token),
    fault,
  }));
}

/** Tokens signed by nobody, or with what everybody knows. */
export function unsignedCases({ forge, publicForms, own }: Forger): Case[] {
  const none = 'takes tokens that nobody signed (RFC 9068 §4, RFC 8725 §3.1)';
  const confused = 'lets the token choose HS256, with the public key as the secret (RFC 8725 §2.1, §3.1)';
  return [
    { name: 'alg none', attempt: bearer(forge({ alg: 'none' }, {}, unsigned)), fault: none },
    { name: 'alg none with a signature', attempt: bearer(forge({ alg: 'none' })), fault: none },
    ...['None', 'NONE', 'nOnE'].map((alg) => ({
      name: `alg ${alg}`,
      attempt: bearer(forge({ alg }, {}, unsigned)),
      fault: none,
    })),
    { name: 'no alg', attempt: bearer(forge({ alg: undefined }, {}, unsigned)), fault: none },
    ...publicForms().map(([form, secret]) => ({
      name: `HS256 with the public key as ${form}`,
      attempt: bearer(forge({ alg: 'HS256' }, {}, hmac(secret))),
      fault: confused,
    })),
    {
      name: 'HS256 with an empty secret',
      attempt: bearer(forge({ alg: 'HS256' }, {}, hmac(''))),
      fault: 'verifies with an empty secret (RFC 8725 §3.1, §3.5)',
    },
    ...(['ES256', 'RS256'] as const).map((alg) => ({
      name: `${alg} by a key of ours under the issuer's kid`,
      attempt: bearer(forge({ alg }, {}, own(alg))),
      fault: 'goes by the name of the key and does not verify the signature (RFC 7515 §5.2, RFC 9068 §4)',
    })),
  ];
}

/** Tokens whose header says where the key is. @param origin of a listener that would give it out */
export function keyHeaderCases({ forge, ownJwk }: Forger, origin: string): Case[] {
  const follow = 'fetches keys from wherever a token says, and requests whatever URL it is given (RFC 8725 §3.10)';
  const lookup = 'uses kid in a path or a query unchecked (RFC 8725 §3.10)';
  return [
    {
      name: 'key of ours in the header (jwk)',
      attempt: bearer(forge({ kid: OWN_KID, jwk: ownJwk() })),
      fault: 'verifies with a key the token brings along (RFC 8725 §3.10, CVE-2018-0114)',
    },
    {
      name: 'keys at a URL of ours (jku)',
      attempt: bearer(forge({ kid: OWN_KID, jku: `${origin}/jku` })),
      trapped: true,
      fault: follow,
    },
    {
      name: 'certificate at a URL of ours (x5u)',
      attempt: bearer(forge({ kid: OWN_KID, x5u: `${origin}/x5u` })),
      trapped: true,
      fault: follow,
    },
    {
      name: 'kid that nobody has',
      attempt: bearer(forge({ kid: OWN_KID })),
      fault: 'does not verify when it lacks the key (RFC 7515 §5.2)',
    },
    {
      name: 'no kid',
      attempt: bearer(forge({ kid: undefined })),
      fault: 'does not verify when it lacks the key (RFC 7515 §5.2)',
    },
    {
      name: 'kid that is a path to an empty file',
      attempt: bearer(forge({ alg: 'HS256', kid: '../../../../../../dev/null' }, {}, hmac(''))),
      fault: lookup,
    },
    {
      name: 'kid that is SQL',
      attempt: bearer(forge({ alg: 'HS256', kid: "x' UNION SELECT 'secret' -- " }, {}, hmac('secret'))),
      fault: lookup,
    },
    {
      name: 'crit with an extension nobody knows',
      attempt: bearer(forge({ crit: ['check-api'], 'check-api': true })),
      fault: 'ignores what it must understand (RFC 7515 §4.1.11)',
    },
    {
      name: 'payload that is not encoded (b64 false)',
      attempt: bearer(forge({ crit: ['b64'], b64: false })),
      fault: 'takes JWTs with b64 false, which is forbidden (RFC 7797 §7)',
    },
  ];
}

/** Wrong claims under a signature of ours: found is what believes claims before, or without, verifying. */
export function forgedClaimCases({ forge, now, claims, issuer }: Forger, origin: string): Case[] {
  const also = 'nor the signature';
  return [
    {
      name: 'forged: expired',
      attempt: bearer(forge({}, { iat: now - 2 * HOUR, exp: now - HOUR })),
      fault: `checks neither exp ${also} (RFC 9068 §4)`,
    },
    {
      name: 'forged: not yet valid',
      attempt: bearer(forge({}, { nbf: now + HOUR, exp: now + 2 * HOUR })),
      fault: `checks neither nbf ${also} (RFC 7519 §4.1.5)`,
    },
    {
      name: 'forged: another issuer, which is ours',
      attempt: bearer(forge({ kid: OWN_KID }, { iss: origin })),
      trapped: true,
      fault: 'trusts whatever issuer a token names (RFC 9068 §4, RFC 8725 §3.8)',
    },
    {
      name: 'forged: issuer with a slash more',
      attempt: bearer(forge({}, { iss: `${issuer}/` })),
      fault: `compares neither iss exactly ${also} (RFC 8725 §3.8)`,
    },
    {
      name: 'forged: another audience',
      attempt: bearer(forge({}, { aud: 'https://check-api.invalid' })),
      fault: `checks neither aud ${also} (RFC 9068 §4, RFC 8725 §3.9)`,
    },
    {
      name: 'forged: typ JWT',
      attempt: bearer(forge({ typ: 'JWT' })),
      fault: `checks neither typ ${also} (RFC 9068 §4, RFC 8725 §3.11)`,
    },
    {
      name: 'forged: an ID token',
      attempt: bearer(forge({ typ: 'JWT' }, { aud: claims.client_id, client_id: undefined, nonce: 'check-api' })),
      fault: `tells ID tokens and access tokens not apart, ${also} checks (RFC 8725 §3.12)`,
    },
    {
      name: 'forged: no exp',
      attempt: bearer(forge({}, { exp: undefined })),
      fault: `asks neither for exp ${also} (RFC 9068 §2.2)`,
    },
    {
      name: 'forged: exp as text',
      attempt: bearer(forge({}, { exp: String(now + HOUR) })),
      fault: `checks neither the type of exp ${also} (RFC 7519 §4.1.4)`,
    },
    {
      name: 'forged: a token of 20 KB',
      attempt: bearer(forge({}, { padding: 'x'.repeat(15_000) })),
      expected: TOO_LARGE,
      fault: 'takes it, or breaks on it (RFC 6585 §5)',
    },
  ];
}

/** One bit of the byte in the middle; the result is base64url still. */
function flipped(part: string): string {
  const bytes = Buffer.from(part, 'base64url');
  const middle = bytes.length >> 1;
  if (middle < bytes.length) bytes[middle]! ^= 1;
  return bytes.toString('base64url');
}

function widened(good: DecodedToken | undefined): string {
  const claims = { ...good?.claims, sub: 'check-api', scope: 'admin' };
  return Buffer.from(JSON.stringify(claims)).toString('base64url');
}
