/** Yardstick "jsonwebtoken": the Koa app of `guard.ts` with that library. */
import jwt from 'jsonwebtoken';
import { type Checked, REQUIRED_CLAIMS, serveGuarded, TOLERANCE, TYPE } from './guard.ts';

await serveGuarded(({ key, issuer, audience }) => {
  const options = {
    algorithms: ['ES256' as const],
    issuer,
    audience,
    clockTolerance: TOLERANCE,
    complete: true as const,
  };
  return (token) => {
    const { header, payload } = jwt.verify(token, key, options) as unknown as Checked;
    const type = String(header.typ)
      .toLowerCase()
      .replace(/^application\//, '');
    if (type !== TYPE || !REQUIRED_CLAIMS.every((claim) => claim in payload)) throw new Error('refused');
    return { header, payload };
  };
});
