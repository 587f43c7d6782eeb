import type { Retired, VerifyApiKey } from './api-key.ts';
import { createBoundedCache, digest } from './bounded-cache.ts';
import type { FindEndpoint } from './discovery.ts';
import { type Notice, noticeIn } from './notice.ts';
import { fetchJson, unusable } from './outbound.ts';
import { frozen, type Principal, scopeWords } from './principal.ts';
import { DEFAULT_CACHE_SECONDS, type Settings } from './settings.ts';

/** Questions under way at a time; beyond it a flood of made-up keys is turned away here. */
const MAX_PENDING = 500;

/**
 * Checks API keys by asking the issuer (RFC 7662 §2), as the OAuth client of `introspection`. Live keys are remembered
 * for its `cacheSeconds`, others not at all; equal keys asked for at the same time are one question.
 *
 * @returns a verifier that throws AppError `unavailable` for every answer that is neither yes nor no.
 */
export function createIntrospection(settings: Settings, find: FindEndpoint): VerifyApiKey {
  const { clock, cacheSize, introspection: { cacheSeconds = DEFAULT_CACHE_SECONDS } = {} } = settings;
  const authorization = basicOf(settings);
  const cache = createBoundedCache<{ principal: Principal; since: number }>(cacheSize);
  const pending = new Map<string, ReturnType<typeof ask>>();

  async function ask(key: string, id: string): Promise<Principal | Retired | undefined> {
    const since = clock();
    const { status, headers, body } = await fetchJson(await find('introspection_endpoint'), {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token: key }).toString(),
    });
    if (status === 401) throw unusable('The issuer refuses the client of the introspection option');
    if (status !== 200) throw unusable(`Introspection answered ${status}`);
    const notice = noticeIn(headers);
    const principal = principalFrom(body, settings, notice);
    if (!principal) return notice.Sunset ? { retired: notice } : undefined;
    if (hasEnded(principal)) return undefined;
    cache.set(id, { principal, since });
    return principal;
  }

  const hasEnded = ({ expiresAt }: Principal) => expiresAt !== undefined && expiresAt * 1000 <= clock();

  return async (key) => {
    const id = digest(key);
    const cached = cache.get(id);
    if (cached && Math.abs(clock() - cached.since) < cacheSeconds * 1000 && !hasEnded(cached.principal)) {
      return cached.principal;
    }
    let answer = pending.get(id);
    if (!answer) {
      if (pending.size >= MAX_PENDING) throw unusable('Too many introspections under way');
      answer = ask(key, id).finally(() => pending.delete(id));
      pending.set(id, answer);
    }
    return answer;
  };
}

/** How we authenticate at the issuer; RFC 6749 §2.3.1: both are form-encoded before they are joined. */
export function basicOf({ introspection }: Settings): string {
  const [id, secret] = [introspection?.clientId, introspection?.clientSecret].map((text) =>
    new URLSearchParams([['', text ?? '']]).toString().slice(1),
  );
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}

/** Whom an introspection answer (RFC 7662 §2.2) describes; undefined when the key is not active. */
function principalFrom(
  answer: Record<string, unknown>,
  { issuer, audience }: Settings,
  notice: Notice,
): Principal | undefined {
  const { active, token_type, kind, key_id, sub, team_id, scope = '', exp, iss = issuer, aud = audience } = answer;
  // Whoever asks may be several APIs, of which not all take keys.
  if (active === false || ![aud].flat().includes(audience)) return undefined;
  const understood =
    active === true &&
    token_type === 'api_key' &&
    (kind === 'personal' || kind === 'team') &&
    [key_id, sub, team_id].every((value) => typeof value === 'string' && value !== '') &&
    typeof scope === 'string' &&
    (exp === undefined || typeof exp === 'number') &&
    iss === issuer;
  if (!understood) throw unusable('The introspection answer is of no API key');
  return frozen({
    kind: kind === 'team' ? 'team' : 'user',
    credential: { kind: `${kind}_key`, id: key_id as string },
    subject: sub as string,
    teamId: team_id as string,
    scopes: scopeWords(scope),
    ...(exp !== undefined && { expiresAt: exp }),
    ...(Object.keys(notice).length > 0 && { notice }),
  });
}
