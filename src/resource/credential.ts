import { Refused } from './decision.ts';

/** One request as the core sees it. Frameworks hand in what they received, unchanged. */
export interface ResourceRequest {
  /** `GET`, `POST`… as received. */
  method: string;
  /** The absolute external URL, built from configuration and never from the Host header; needed for DPoP only. */
  url?: string | undefined;
  /** Names in lower case. Hand in an array for a header that came more than once. */
  headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The raw query string; by default that of `url`. */
  query?: string | undefined;
  /** The fields of an `application/x-www-form-urlencoded` body, when it was parsed already. */
  form?: Readonly<Record<string, unknown>> | undefined;
}

/** The one credential of a request, not yet checked. */
export interface Credential {
  scheme: 'Bearer' | 'DPoP';
  token: string;
}

/** Node accepts 16 KiB of headers in all, so nothing longer arrives by accident. */
const MAX_LENGTH = 16_384;

const FORBIDDEN_PARAMETERS = ['access_token', 'api_key'];

/**
 * Finds the one credential of a request, in the Authorization header and nowhere else.
 *
 * @throws Refused 400 for an access token in the query or form (RFC 9700 §4.3.2), more than one credential (RFC 6750 §2)
 * or a malformed header (RFC 6750 §3.1); bare 401 when there is none where it belongs (RFC 6750 §3.1).
 */
export function findCredential(request: ResourceRequest): Credential {
  refuseParameters(request);
  const header = singleAuthorization(request.headers.authorization);
  // RFC 9110 §11.1: the scheme's name is case-insensitive.
  const match = /^([a-z0-9!#$%&'*+.^_`|~-]+)(?: +(.*))?$/is.exec(header);
  const scheme = { bearer: 'Bearer', dpop: 'DPoP' }[match?.[1]?.toLowerCase() ?? ''] as
    | Credential['scheme']
    | undefined;
  if (!scheme) throw malformedOrMissing(header);
  if (request.headers['x-api-key'] !== undefined) throw several('Authorization and x-api-key together');
  return { scheme, token: soleToken(match?.[2] ?? '') };
}

function refuseParameters({ url, query, form, headers }: ResourceRequest): void {
  const text = query ?? url?.split('#', 1)[0]?.split('?').slice(1).join('?');
  const parameters = text ? new URLSearchParams(text) : undefined;
  for (const name of FORBIDDEN_PARAMETERS) {
    if (parameters?.has(name) || (form && Object.hasOwn(form, name))) {
      // RFC 6750 knows access_token, so its misplacing is a malformed request; any other parameter is no credential.
      const ignored = name !== 'access_token' && headers.authorization === undefined;
      throw new Refused(
        ignored ? 'missing' : 'invalid_request',
        'Credentials are accepted in the Authorization header only',
        `${name} sent as a parameter`,
      );
    }
  }
}

function singleAuthorization(value: string | readonly string[] | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  if (value.length > 1) throw several('repeated Authorization header');
  return value[0] ?? '';
}

/** Another scheme counts as no credential (RFC 6750 §3.1); `Bearer<TAB>x` is one of ours, badly written. */
function malformedOrMissing(header: string): Refused {
  return /^(bearer|dpop)\b/i.test(header)
    ? malformed('malformed Authorization header')
    : new Refused('missing', 'Authentication required', header ? 'unsupported scheme' : 'no credential');
}

function soleToken(token: string): string {
  if (token.includes(',')) throw several('comma in the Authorization header');
  if (token === '') throw malformed('empty credential');
  if (/\s/.test(token)) throw malformed('white space in the credential');
  if (token.length > MAX_LENGTH) throw malformed('credential too long');
  return token;
}

function several(reason: string): Refused {
  return new Refused('invalid_request', 'Send exactly one credential', reason);
}

function malformed(reason: string): Refused {
  return new Refused('invalid_request', 'Malformed Authorization header', reason);
}
