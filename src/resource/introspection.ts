import { AppError } from '../errors.ts';
import type { VerifyApiKey } from './api-key.ts';
import { createBoundedCache, digest } from './bounded-cache.ts';
import type { FindEndpoint } from './discovery.ts';
import type { FetchJson } from './outbound.ts';
import { frozen, type Principal, scopeWords } from './principal.ts';
import type { Settings } from './settings.ts';

const DEFAULT_CACHE_SECONDS = 10;
const MAX_CACHED = 10_000;
/** Questions under way at a time; beyond it a flood of made-up keys is turned away here. */
const MAX_PENDING = 500;

/**
 * Checks API keys by asking the issuer (RFC 7662 §2), as the OAuth client of `introspection`. Live keys are remembered
 * for its `cacheSeconds`, others not at all; equal keys asked for at the same time are one question.
 *
 * @returns a verifier that throws AppError `unavailable` for every answer that is neither yes nor no.
 */
export function createIntrospection(settings: Settings, find: FindEndpoint, fetchJson: FetchJson): VerifyApiKey {
  const { clientId, clientSecret, cacheSeconds = DEFAULT_CACHE_SECONDS } = settings.introspection ?? {};
  // RFC 6749 §2.3.1: both are form-encoded before they are joined.
  const basic = Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64');
  const cache = createBoundedCache<{ principal: Principal; until: number }>(MAX_CACHED);
  const pending = new Map<string, Promise<Principal | undefined>>();

  async function ask(key: string, id: string): Promise<Principal | undefined> {
    const { status, body } = await fetchJson(await find('introspection_endpoint'), {
      method: 'POST',
      headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token: key }).toString(),
    });
    if (status === 401) {
      throw new AppError('unavailable', 'The issuer refuses the client id and secret in the introspection option');
    }
    if (status !== 200) throw new AppError('unavailable', `Introspection answered ${status}`);
    const now = settings.clock();
    const principal = principalFrom(body, settings.issuer, now);
    if (!principal) return undefined;
    const until = Math.min(now + cacheSeconds * 1000, (principal.expiresAt ?? Number.POSITIVE_INFINITY) * 1000);
    cache.set(id, { principal, until });
    return principal;
  }

  return async (key) => {
    const id = digest(key);
    const cached = cache.get(id);
    if (cached && settings.clock() < cached.until) return cached.principal;
    cache.delete(id);
    let answer = pending.get(id);
    if (!answer) {
      if (pending.size >= MAX_PENDING) throw new AppError('unavailable', 'Too many introspection requests under way');
      answer = ask(key, id).finally(() => pending.delete(id));
      pending.set(id, answer);
    }
    return answer;
  };
}

function formEncoded(text = ''): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

/** Whom an introspection answer (RFC 7662 §2.2) describes; undefined when the key is not active. */
function principalFrom(answer: Record<string, unknown>, issuer: string, now: number): Principal | undefined {
  const { active, token_type, kind, key_id, sub, team_id, scope = '', exp, iss } = answer;
  if (active === false) return undefined;
  const understood =
    active === true &&
    token_type === 'api_key' &&
    (kind === 'personal' || kind === 'team') &&
    [key_id, sub, team_id].every((value) => typeof value === 'string' && value !== '') &&
    typeof scope === 'string' &&
    (exp === undefined || typeof exp === 'number') &&
    (iss === undefined || iss === issuer);
  if (!understood) throw new AppError('unavailable', 'The introspection answer is not one for an API key');
  if (exp !== undefined && exp * 1000 <= now) return undefined;
  return frozen({
    kind: kind === 'team' ? 'team' : 'user',
    credential: { kind: kind === 'team' ? 'team_key' : 'personal_key', id: key_id as string },
    subject: sub as string,
    teamId: team_id as string,
    scopes: scopeWords(scope),
    ...(exp !== undefined && { expiresAt: exp }),
  });
}
