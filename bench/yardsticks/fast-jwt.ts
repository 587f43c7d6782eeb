/** Yardstick "fast-jwt": the Koa app of `guard.ts` with that library, without its cache. */
import { createVerifier } from 'fast-jwt';
import { type Checked, REQUIRED_CLAIMS, serveGuarded, TOLERANCE, TYPE } from './guard.ts';

await serveGuarded(
  ({ key, issuer, audience }) =>
    createVerifier({
      key: key.export({ type: 'spki', format: 'pem' }).toString(),
      algorithms: ['ES256'],
      allowedIss: issuer,
      allowedAud: audience,
      checkTyp: TYPE,
      requiredClaims: [...REQUIRED_CLAIMS, 'iss', 'aud'],
      clockTolerance: TOLERANCE * 1000,
      complete: true,
      cache: false,
    }) as (token: string) => Checked,
);
