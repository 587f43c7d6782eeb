/** What may be said about a resource server, and in which form it is kept. */
import { invalidField } from '../errors.ts';
import type { ResourceServerScope, ResourceServerSettings } from '../storage/resource-servers.ts';
import { kindOfClientId } from './client-id.ts';
import { checkName, checkText } from './names.ts';
import { isScope } from './permissions.ts';
import { SIGNING_ALGS } from './signing-keys.ts';

/** Seconds an access token for any resource server may live at most: what was ended is remembered that long. */
export const LONGEST_ACCESS_TOKEN = 86_400;
const SHORTEST_ACCESS_TOKEN = 60;
const DEFAULT_ACCESS_TOKEN = 600;
const LONGEST_IDENTIFIER = 500;
const MOST_SCOPES = 200;
const LONGEST_WORD = 100;
const MOST_CLIENTS = 20;

export interface ResourceServerInput {
  /** An absolute URI without a fragment (RFC 8707 §2): https, http on loopback, or a urn. The `aud` of its tokens. */
  identifier: string;
  name: string;
  /** Default none. A server without scopes tells its callers apart by other means: every app and client may ask for its tokens. */
  scopes?: readonly { name: string; description?: string | undefined }[] | undefined;
  /** 60 to 86,400; default 600. */
  accessTokenTtlSeconds?: number | undefined;
  /** ES256 (default), RS256 or EdDSA. */
  signingAlg?: string | undefined;
  /** Whether API keys open it too; default true. */
  acceptsApiKeys?: boolean | undefined;
  /** OAuth2 clients (svc_…) that are this resource server; at most 20, default none. */
  clientIds?: readonly string[] | undefined;
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
// RFC 8141 §2
const URN = /^urn:[a-z0-9][a-z0-9-]{0,30}[a-z0-9]:[!-~]+$/i;
// RFC 6749 §3.3: scope-token
const SCOPE_TOKEN = /^[\x21\x23-\x5B\x5D-\x7E]+$/;

/**
 * The identifier as it is compared, byte by byte: therefore in the one form URLs are written in.
 * @throws AppError `invalid_argument`
 */
export function checkIdentifier(value: string): string {
  const complain = (description: string) => invalidField('identifier', description);
  if (value.length > LONGEST_IDENTIFIER) throw complain(`must have at most ${LONGEST_IDENTIFIER} characters`);
  if (value.includes('#')) throw complain('must not have a fragment (RFC 8707 §2)');
  if (URN.test(value)) return value;
  const url = URL.parse(value);
  if (url === null) throw complain('must be an absolute URI such as https://reports.example.com');
  const isAllowed = url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.has(url.hostname));
  if (!isAllowed) throw complain('must be https, http on this very machine (loopback), or a urn');
  if (url.username !== '' || url.password !== '') throw complain('must not have a user name or password');
  if (value !== url.href && `${value}/` !== url.href) throw complain(`must be written as ${url.href}`);
  return value;
}

/** @throws AppError `invalid_argument` naming the field */
export function checkSettings(input: Omit<ResourceServerInput, 'identifier'>): ResourceServerSettings {
  const { accessTokenTtlSeconds = DEFAULT_ACCESS_TOKEN, signingAlg = SIGNING_ALGS[0] } = input;
  const isTtl = Number.isInteger(accessTokenTtlSeconds) && accessTokenTtlSeconds >= SHORTEST_ACCESS_TOKEN;
  if (!isTtl || accessTokenTtlSeconds > LONGEST_ACCESS_TOKEN) {
    const range = `${SHORTEST_ACCESS_TOKEN} to ${LONGEST_ACCESS_TOKEN}`;
    throw invalidField('access_token_ttl_seconds', `must be a whole number of seconds, ${range} (a day)`);
  }
  if (!(SIGNING_ALGS as readonly string[]).includes(signingAlg)) {
    throw invalidField('signing_alg', `must be one of ${SIGNING_ALGS.join(', ')}`);
  }
  const name = checkName('name', input.name);
  const scopes = checkScopes(input.scopes ?? []);
  const clientIds = checkClientIds(input.clientIds ?? []);
  return { name, scopes, accessTokenTtlSeconds, signingAlg, acceptsApiKeys: input.acceptsApiKeys ?? true, clientIds };
}

/** By their looks only. An app is no resource server: it acts for users, and anybody may have its id and no secret. */
function checkClientIds(clientIds: readonly string[]): string[] {
  if (clientIds.length > MOST_CLIENTS) throw invalidField('client_ids', `must have at most ${MOST_CLIENTS} entries`);
  const place = clientIds.findIndex((one) => kindOfClientId(one) !== 'client');
  if (place !== -1) throw invalidField(`client_ids.${place}`, 'must be the client_id of an OAuth2 client (svc_…)');
  return [...new Set(clientIds)];
}

function checkScopes(scopes: NonNullable<ResourceServerInput['scopes']>): ResourceServerScope[] {
  if (scopes.length > MOST_SCOPES) throw invalidField('scopes', `must have at most ${MOST_SCOPES} entries`);
  const seen = new Set<string>();
  return scopes.map(({ name, description }, place) => {
    const field = `scopes.${place}.name`;
    if (name.length > LONGEST_WORD || !SCOPE_TOKEN.test(name)) {
      throw invalidField(field, `must be 1 to ${LONGEST_WORD} printable ASCII characters without spaces, " and \\`);
    }
    if (isScope(name)) throw invalidField(field, `${name} is a scope of Latchkey itself`);
    if (seen.has(name)) throw invalidField(field, `${name} is there twice`);
    seen.add(name);
    return { name, description: checkText(`scopes.${place}.description`, description) };
  });
}
