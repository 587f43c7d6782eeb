/**
 * `/oauth2/verify`: forward authentication for proxies (nginx `auth_request`, Traefik `forwardAuth`, Envoy `ext_authz`). It
 * checks the credential of the very request it gets, as the middleware in front of that API would, and needs none of its
 * own: it says nothing but about what it was shown. Parameters are in the query, the method is not looked at and a body not
 * read. Its statuses are those proxies pass on: 200, 401, 403. Others mean: the proxy is set up wrongly (400), too many
 * wrong credentials come from there (429), nothing can be checked (503).
 */
import type { Context, Middleware } from 'koa';
import { createKeyGuesses } from '../domain/key-guesses.ts';
import type { ResourceServer, ResourceServers } from '../domain/resource-servers.ts';
import { AppError, invalidField } from '../errors.ts';
import {
  type Authenticator,
  createAuthenticator,
  type Decision,
  type Failure,
  type Principal,
} from '../resource/index.ts';
import { requireDatabase } from './middleware/availability.ts';
import {
  countUse,
  createResourceOptions,
  type LocalApi,
  type LocalCheckOptions,
  ownApi,
  registeredApi,
} from './resource-options.ts';

const PATH = '/oauth2/verify';

/** Keys of one network that opened nothing, within the window; further ones that are not known wait for their turn. */
const MOST_WRONG = 60;
const WINDOW_SECONDS = 10;
/** APIs whose checks are kept ready; the one that was made first goes first. */
const MOST_KEPT = 100;

// RFC 6749 §3.3: they come back in a header.
const SCOPES = /^[\x21\x23-\x5B\x5D-\x7E]+(?: +[\x21\x23-\x5B\x5D-\x7E]+)*$/;

export interface ForwardAuthOptions extends LocalCheckOptions {
  /** Identifier of the server's own API, which is meant when no resource is named. */
  audience: string;
  resourceServers: Pick<ResourceServers, 'findForProtocol'>;
  /** Whether the database answers, without which nothing is let in. */
  isAvailable: () => boolean;
}

interface Check {
  authenticator: Authenticator;
  narrow(principal: Principal): Principal;
}

/** Answers `/oauth2/verify`; everything else goes on. */
export function createForwardAuth(options: ForwardAuthOptions): Middleware {
  const checkFor = createChecks(options);
  const guesses = createKeyGuesses({ limit: MOST_WRONG, windowMs: WINDOW_SECONDS * 1000 });

  async function decide(ctx: Context, { authenticator }: Check): Promise<Decision> {
    const request = requestOf(ctx);
    const key = keyOf(ctx.get('authorization'));
    if (key === undefined) return authenticator.authenticate(request);
    let refusal: Failure | undefined;
    const admitted = await guesses.check(key, ctx.ip, async () => {
      const decision = await authenticator.authenticate(request);
      if (decision.principal !== undefined) return decision;
      // Nobody knows whether that one is good.
      if (decision.status === 503) throw new AppError('unavailable', decision.body.message);
      refusal = decision;
      return undefined;
    });
    return admitted ?? refusal!;
  }

  async function answer(ctx: Context): Promise<void> {
    const { resource, scopes } = parametersOf(ctx);
    const check = await checkFor(resource ?? options.audience);
    const decision = await decide(ctx, check).catch((error: unknown) => {
      if (error instanceof AppError && error.kind === 'resource_exhausted') return undefined;
      throw error;
    });
    if (decision === undefined) return slowDown(ctx);
    if (decision.principal === undefined) return refuse(ctx, decision);
    const principal = check.narrow(decision.principal);
    countUse(options.credentialUses, principal);
    const lacking = check.authenticator.checkScope(principal, scopes);
    if (lacking !== undefined) return refuse(ctx, lacking, principal.notice);
    admit(ctx, principal);
  }

  const whenAvailable = requireDatabase(options.isAvailable);
  return (ctx, next) => (ctx.path === PATH ? whenAvailable(ctx, () => answer(ctx)) : next());
}

/** What is needed to check credentials for one API, kept until the resource server changes. */
function createChecks(options: ForwardAuthOptions): (resource: string) => Promise<Check> {
  const kept = new Map<string, { made: string; check: Check }>();
  const create = (api: LocalApi): Check => {
    const { options: resourceOptions, narrow } = createResourceOptions(options, api);
    return { authenticator: createAuthenticator(resourceOptions), narrow };
  };
  const own = create(ownApi(options.audience));

  return async (resource) => {
    if (resource === options.audience) return own;
    const server = await options.resourceServers.findForProtocol(resource);
    if (server === undefined) {
      kept.delete(resource);
      throw invalidField('resource', 'is not the identifier of a resource server that is registered here');
    }
    const made = stateOf(server);
    const known = kept.get(resource);
    if (known?.made === made) return known.check;
    const check = create(registeredApi(server));
    kept.delete(resource);
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value!);
    kept.set(resource, { made, check });
    return check;
  };
}

function stateOf({ id, version }: ResourceServer): string {
  return `${id} ${version}`;
}

/**
 * Parameters that are not ours are passed over: a proxy may append the query of the request it asks about, which is also
 * why one given twice is refused. Otherwise whoever sends that request could choose.
 */
function parametersOf(ctx: Context): { resource: string | undefined; scopes: string[] } {
  const query = new URLSearchParams(ctx.querystring);
  const sole = (name: string) => {
    const [value, ...more] = query.getAll(name);
    if (more.length > 0) throw invalidField(name, 'is there more than once');
    return value;
  };
  const scope = sole('scope') ?? '';
  if (scope !== '' && !SCOPES.test(scope)) throw invalidField('scope', 'must be scope words with spaces between them');
  return { resource: sole('resource'), scopes: scope.split(' ').filter(Boolean) };
}

/**
 * What is looked up as a key, without its scheme: undefined for nothing, and for a JWT. Those are renewed all the time,
 * so that none is known from before, and a wrong one is told by its signature alone.
 */
function keyOf(authorization: string): string | undefined {
  const token = authorization.replace(/^\S*\s*/, '');
  return token === '' || token.startsWith('ey') ? undefined : token;
}

/** Without a URL: which one the proxy was asked for is not known for certain, so that no DPoP proof can match. */
function requestOf(ctx: Context) {
  const { rawHeaders } = ctx.req;
  const times = rawHeaders.filter((name, place) => place % 2 === 0 && name.toLowerCase() === 'authorization').length;
  // Node keeps the first of several and drops the others.
  const headers = times > 1 ? { ...ctx.headers, authorization: ['', ''] } : ctx.headers;
  return { method: ctx.method, query: ctx.querystring, headers };
}

function admit(ctx: Context, { subject, kind, teamId, clientId = '', scopes, credential, notice }: Principal): void {
  // All of them, also when there is nothing to say: a proxy that copies them must overwrite what a caller sent.
  ctx.set({
    'Latchkey-Subject': headerText(subject),
    'Latchkey-Kind': kind,
    'Latchkey-Team': headerText(teamId),
    'Latchkey-Client': headerText(clientId),
    'Latchkey-Scope': headerText(scopes.join(' ')),
    'Latchkey-Credential': headerText(`${credential.kind} ${credential.id}`),
    ...notice,
    'Cache-Control': 'no-store',
  });
  ctx.status = 200;
  ctx.body = '';
}

/** What the middleware refuses with 400 is one more 401: proxies know no other word for it. */
function refuse(ctx: Context, { status, headers, body }: Failure, notice: Principal['notice'] = {}): void {
  ctx.status = status === 400 ? 401 : status;
  ctx.set({ ...headers, ...notice });
  ctx.body = body;
}

function slowDown(ctx: Context): void {
  ctx.status = 429;
  ctx.set({ 'Retry-After': String(WINDOW_SECONDS), 'Cache-Control': 'no-store' });
  ctx.body = { code: 8, message: 'Too many credentials that open nothing came from this network.', details: [] };
}

/** RFC 9110 §5.5: what is no visible ASCII does not go into a header, and no two words of ours have a line end in them. */
function headerText(value: string): string {
  if (/^[\x20-\x7E]*$/.test(value)) return value;
  throw new AppError('internal', 'Something in this credential cannot be written in a header.');
}
