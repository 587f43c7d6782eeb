/** A request for token exchange as it comes in (RFC 8693 §2.1). */
import { errors } from 'oidc-provider';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

const API_KEY = 'urn:latchkey:token-type:api_key';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';

export const PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'requested_token_type',
  'actor_token',
  'actor_token_type',
  'resource',
  'audience',
  'scope',
] as const;

export interface ExchangeRequest {
  subjectToken: string;
  subjectKind: 'api_key' | 'access_token';
  /** What is answered as `issued_token_type`. */
  issuedTokenType: string;
  /** Undefined: left to what the subject is. */
  resource: string | undefined;
  scope: string | undefined;
}

/** Whether the parameters ask to exchange an API key, for which no client is needed. */
export function isKeyExchange(params: Readonly<Record<string, unknown>>): boolean {
  return params.grant_type === TOKEN_EXCHANGE && params.subject_token_type === API_KEY;
}

/** @throws InvalidRequest; InvalidTarget for more than one resource */
export function readRequest(params: Readonly<Record<string, unknown>>): ExchangeRequest {
  const resource = readResource(params);
  const repeated = PARAMETERS.filter((name) => params[name] !== undefined && typeof params[name] !== 'string');
  const [isRepeated] = repeated.filter((name) => name !== 'resource' && name !== 'audience');
  if (isRepeated !== undefined) throw new errors.InvalidRequest(`${isRepeated} must be given once`);
  const given = params as Partial<Record<(typeof PARAMETERS)[number], string>>;
  if (given.actor_token !== undefined || given.actor_token_type !== undefined) {
    throw new errors.InvalidRequest(
      'actor_token is not supported: the client that authenticates is the one that acts. Leave it out',
    );
  }
  const { subject_token: subjectToken, subject_token_type: type, requested_token_type: requested } = given;
  if (subjectToken === undefined)
    throw new errors.InvalidRequest('subject_token is missing: the key or token to exchange');
  if (type !== API_KEY && type !== ACCESS_TOKEN && type !== JWT) {
    throw new errors.InvalidRequest(`subject_token_type must be ${API_KEY}, ${ACCESS_TOKEN} or ${JWT}`);
  }
  if (requested !== undefined && requested !== ACCESS_TOKEN && requested !== JWT) {
    throw new errors.InvalidRequest(`requested_token_type must be ${ACCESS_TOKEN} or ${JWT}, or be left out`);
  }
  return {
    subjectToken,
    subjectKind: type === API_KEY ? 'api_key' : 'access_token',
    issuedTokenType: requested ?? ACCESS_TOKEN,
    resource,
    scope: given.scope,
  };
}

/** `resource` and `audience` both name the API by its identifier; a token is for one. */
function readResource({ resource, audience }: Readonly<Record<string, unknown>>): string | undefined {
  const named = [resource ?? [], audience ?? []].flat();
  if (new Set(named).size > 1 || [resource, audience].some(Array.isArray)) {
    throw new errors.InvalidTarget('name one resource: a token is for one, and resource and audience mean the same');
  }
  return named[0] as string | undefined;
}
