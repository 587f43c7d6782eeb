/**
 * What `latchkey check-api` does: wrong credentials, thrown at an API one after the other. It owns how they are made
 * and judged; options and printing are its neighbour's. It asks the issuer's public documents and that API, nobody else.
 */
import { bearer, type Case } from './case.ts';
import { createForger, type DecodedToken } from './forger.ts';
import { type GivenTokens, issuedCases } from './issued-cases.ts';
import type { Issuer } from './issuer.ts';
import { type GivenKeys, keyCases } from './key-cases.ts';
import { send, type Target } from './request.ts';
import { requestCases } from './request-cases.ts';
import { type Result, runCases } from './run.ts';
import { damagedCases, forgedClaimCases, keyHeaderCases, unsignedCases } from './token-cases.ts';
import { openTrap } from './trap.ts';

export interface Check extends GivenKeys, GivenTokens {
  target: Target;
  issuer: Issuer;
  /** A token the API takes. It or `key` must be there. */
  token: string | undefined;
  /** The same token, taken apart. */
  decoded: DecodedToken | undefined;
  audience: string;
}

/** Runs every case. */
export async function checkApi(check: Check): Promise<Result[]> {
  const trap = await openTrap();
  try {
    const forger = createForger(check.issuer, check.decoded, check.audience);
    trap.publish(forger.ownJwk());
    const cases = [
      ...goodCases(check),
      ...requestCases((check.token ?? check.key) as string),
      ...damagedCases(check.decoded),
      ...unsignedCases(forger),
      ...keyHeaderCases(forger, trap.origin),
      ...forgedClaimCases(forger, trap.origin),
      ...issuedCases(check),
      ...keyCases(check),
      ...goodCases(check).map((one) => ({ ...one, name: `${one.name}, at the end` })),
    ];
    return await runCases(cases, (one) => send(check.target, one.attempt ?? {}), trap);
  } finally {
    await trap.close();
  }
}

/** First and last: an API that refuses everything, or everybody after some mistakes, would pass all the others. */
function goodCases({ token, key }: Check): Case[] {
  const fault = 'refuses what it should take, so that its refusals say nothing';
  return [
    ...(token === undefined ? [] : [{ name: 'good token', attempt: bearer(token) }]),
    ...(key === undefined ? [] : [{ name: 'good API key', attempt: bearer(key) }]),
  ].map((one) => ({ ...one, expected: 'accepted' as const, fault }));
}
