/**
 * A Koa app as one writes it with a JWT library: the token out of the header, one synchronous verification, the claims a
 * Latchkey API looks at, and the answer. Its one key is read once, from the issuer's key set.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { JWK } from 'jose';
import Koa from 'koa';

export interface Rules {
  key: KeyObject;
  kid: string;
  issuer: string;
  audience: string;
}

/** What a library gives of a token whose signature, type, issuer, audience and end are right. It throws otherwise. */
export interface Checked {
  header: Record<string, unknown>;
  payload: Record<string, unknown>;
}

export const TYPE = 'at+jwt';
export const REQUIRED_CLAIMS = ['sub', 'client_id', 'jti', 'team_id', 'iat', 'exp'];
/** Seconds by which clocks may differ. */
export const TOLERANCE = 5;

/** Starts the app, and says `ready`. */
export async function serveGuarded(createVerify: (rules: Rules) => (token: string) => Checked): Promise<void> {
  const { PORT, ISSUER: issuer = '', AUDIENCE: audience = '', JWKS_URI = '' } = process.env;
  const { keys } = (await (await fetch(JWKS_URI)).json()) as { keys: (JWK & { kid: string })[] };
  const jwk = keys.find(({ alg }) => alg === 'ES256')!;
  const key = createPublicKey({ key: jwk as never, format: 'jwk' });
  const verify = createVerify({ key, kid: jwk.kid, issuer, audience });
  const app = new Koa();
  app.use((ctx, next) => {
    const [, token] = /^Bearer ([^ ,]+)$/i.exec(ctx.get('authorization')) ?? [];
    try {
      const { header, payload } = verify(token ?? '');
      if (header.kid !== jwk.kid || !isSane(payload)) throw new Error('refused');
      ctx.state.subject = payload.sub;
    } catch {
      ctx.status = 401;
      ctx.body = { code: 16, message: 'Unauthenticated', details: [] };
      return;
    }
    return next();
  });
  app.use((ctx) => {
    ctx.body = { hello: ctx.state.subject };
  });
  app.listen(Number(PORT), '127.0.0.1', () => console.log('ready'));
}

/** RFC 9068 §2.2: what neither library looks at. */
function isSane({ sub, client_id, jti, team_id, scope, iat, exp }: Record<string, unknown>): boolean {
  return (
    [sub, client_id, jti, team_id].every((claim) => typeof claim === 'string' && claim !== '') &&
    (scope === undefined || typeof scope === 'string') &&
    typeof iat === 'number' &&
    iat <= Date.now() / 1000 + TOLERANCE &&
    iat <= (exp as number)
  );
}
