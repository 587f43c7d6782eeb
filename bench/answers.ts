import { createLocalJWKSet, jwtVerify } from 'jose';
import type { Contender } from './contenders.ts';
import type { LoadResult } from './load.ts';

/**
 * Checks sampled answers of the token endpoint as a resource server would: signature by the published keys, issuer,
 * audience, who and what for, and that no two tokens are one.
 *
 * @throws Error with the first wrong answer
 */
export async function checkSamples(
  { name, origin }: Pick<Contender, 'name' | 'origin'>,
  samples: LoadResult['samples'],
  scope: string,
): Promise<void> {
  const metadata = await fetchJson(`${origin}/.well-known/openid-configuration`);
  const keys = createLocalJWKSet((await fetchJson(String(metadata.jwks_uri))) as never);
  const seen = new Set<string>();
  if (samples.length === 0) throw new Error(`${name}: no answers to check`);
  for (const { about: client, body } of samples) {
    const answer = JSON.parse(body) as { access_token: string; token_type: string; scope?: string; expires_in: number };
    const { payload } = await jwtVerify(answer.access_token, keys, {
      issuer: origin,
      audience: `${origin}/api`,
      typ: 'at+jwt',
    });
    const right =
      answer.token_type === 'Bearer' &&
      answer.expires_in === 600 &&
      payload.client_id === client &&
      payload.sub === client &&
      payload.scope === scope &&
      !seen.has(payload.jti!);
    if (!right) throw new Error(`${name} answered wrongly: ${JSON.stringify({ ...answer, access_token: payload })}`);
    seen.add(payload.jti!);
  }
}

async function fetchJson(url: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  return (await response.json()) as Record<string, unknown>;
}
