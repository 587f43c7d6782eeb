import { bearer, type Case } from './case.ts';

/** Tokens only the issuer can sign; the operator has to give them. */
export interface GivenTokens {
  otherAudienceToken?: string | undefined;
  expiredToken?: string | undefined;
  revokedToken?: string | undefined;
  idToken?: string | undefined;
}

/** Tokens with a good signature that are wrong all the same: only these show that claims are checked. */
export function issuedCases(given: GivenTokens): Case[] {
  const cases: [string, keyof GivenTokens, string, string][] = [
    [
      "issuer's token for another API",
      'otherAudienceToken',
      '--other-audience-token',
      'does not check aud: tokens for other APIs open this one (RFC 9068 §4, RFC 8725 §3.9)',
    ],
    ["issuer's token that expired", 'expiredToken', '--expired-token', 'does not check exp (RFC 9068 §4)'],
    [
      "issuer's token that was revoked",
      'revokedToken',
      '--revoked-token',
      'does not hear of revocations (RFC 7009 §3): ask the issuer or follow its feed',
    ],
    [
      "issuer's ID token",
      'idToken',
      '--id-token',
      'does not check typ: an ID token says who logged in, not what may be called (RFC 8725 §3.11, RFC 9068 §4)',
    ],
  ];
  return cases.map(([name, field, needs, fault]) => {
    const token = given[field];
    return { name, needs, attempt: token === undefined ? undefined : bearer(token), fault };
  });
}
