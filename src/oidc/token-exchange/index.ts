/**
 * Token exchange (RFC 8693): an API key or a user's access token for a short, narrower JWT for one API. Whatever the subject
 * is, the same steps decide what the token says, and the engine signs it like every other.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type Provider from 'oidc-provider';
import { errors, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { Authority } from '../../domain/authority.ts';
import type { Revocations } from '../../domain/revocations.ts';
import { rightsBehind } from '../../domain/token-rights.ts';
import { changesTooOften, LONGEST_WAIT_MS } from '../access-tokens.ts';
import { bringsClient } from '../client-authentication.ts';
import { engineError } from '../errors.ts';
import { checkDpopProof, type Step } from '../internals.ts';
import { serverInfo, type Target } from '../resource-servers.ts';
import { parseScope } from '../scopes.ts';
import { createKeySubject, type KeySubjectOptions } from './api-key.ts';
import { noteExchange } from './note.ts';
import { type ExchangeRequest, isKeyExchange, PARAMETERS, readRequest, TOKEN_EXCHANGE } from './request.ts';
import { invalidGrant, type SubjectClaims, type Times } from './subject.ts';
import { createTokenSubject, type TokenSubjectOptions } from './user-token.ts';

export { exchangeNoteOf } from './note.ts';
export { TOKEN_EXCHANGE } from './request.ts';

export interface TokenExchangeOptions extends Omit<KeySubjectOptions, 'apiKeys'>, Omit<TokenSubjectOptions, 'apiKeys'> {
  apiKeys: KeySubjectOptions['apiKeys'] & TokenSubjectOptions['apiKeys'];
  authority: TokenSubjectOptions['authority'] & Pick<Authority, 'user'>;
  revocations: Pick<Revocations, 'bornDeadUntil'>;
}

const claimsOf = new WeakMap<object, Record<string, unknown>>();

/** The claims of ours a token carries that came by exchange; undefined for every other. */
export function exchangedClaims(token: object): Record<string, unknown> | undefined {
  return claimsOf.get(token);
}

/**
 * Makes the grant one of the provider's.
 * @returns the step that answers it for keys that come without a client, before the engine asks for one
 */
export function useTokenExchange(provider: Provider, options: TokenExchangeOptions): Step {
  const exchange = createTokenExchange(options);
  provider.registerGrantType(TOKEN_EXCHANGE, exchange, [...PARAMETERS], ['resource', 'audience']);
  return async (ctx, next) => {
    if (bringsClient(ctx) || !isKeyExchange(ctx.oidc.params!)) return next();
    // Which origins may read an answer is up to the client, and there is none.
    ctx.remove('Access-Control-Allow-Origin');
    await exchange(ctx);
    provider.emit('grant.success', ctx);
  };
}

/** The handler of the grant; it answers with or without a client in `ctx.oidc`. */
function createTokenExchange(options: TokenExchangeOptions): (ctx: KoaContextWithOIDC) => Promise<void> {
  const fromKey = createKeySubject(options);
  const fromToken = createTokenSubject(options);

  async function requireTarget(resource: string): Promise<Target> {
    const target = await options.targets.find(resource);
    if (target === undefined) throw new errors.InvalidTarget('there is no such resource: name one by its identifier');
    return target;
  }

  async function exchange(ctx: KoaContextWithOIDC): Promise<void> {
    const request = readRequest(ctx.oidc.params!);
    const proof = await checkDpopProof(ctx);
    const deadline = Date.now() + LONGEST_WAIT_MS;
    let child = await derive(ctx, request, proof?.jkt);
    // One of the second in which something about it changed would be dead for those who follow the feed. And by the next,
    // what was found out for it may not be so any more.
    for (let wait = lifeStartsIn(child); wait > 0; wait = lifeStartsIn(child)) {
      if (Date.now() >= deadline) throw changesTooOften();
      await sleep(Math.min(wait, deadline - Date.now()));
      child = await derive(ctx, request, proof?.jkt);
    }
    await proof?.use(child.claims.client_id);
    ctx.body = await issue(ctx, request, child, proof?.jkt);
  }

  /** What the token would say if it was issued now. */
  async function derive(ctx: KoaContextWithOIDC, request: ExchangeRequest, jkt: string | undefined): Promise<Child> {
    // Before the API: whoever has nothing to exchange does not learn which ones there are.
    const subject = await (request.subjectKind === 'api_key' ? fromKey : fromToken)(ctx, request.subjectToken);
    const resource = request.resource ?? subject.resource;
    const { accessTokenTtl } = await requireTarget(resource);
    noteExchange(ctx, { details: { resource } });
    if (subject.jkt !== undefined && subject.jkt !== jkt) {
      throw invalidGrant('The subject token is bound to a key: send a DPoP proof made with that key.');
    }
    const times = await subject.hold(accessTokenTtl);
    const target = await requireTarget(resource);
    const { claims, scopes: bound } = subject.at(target);
    const rights = await rightsBehind(options, claims);
    const exp = Math.min(times.exp, await endOf(claims.sub));
    if (rights === undefined || exp <= times.iat) {
      throw invalidGrant('Whoever is behind the subject token may not act any more.');
    }
    const available = (bound ?? [...rights]).filter((scope) => rights.has(scope) && target.hasScope(scope));
    const scopes = chooseScopes(request.scope, available, target);
    return { claims, target, scopes, times: { ...times, exp } };
  }

  /** Milliseconds until there can be such a token that lives; 0 for one that does already. */
  function lifeStartsIn({ claims, target, times }: Child): number {
    const first = options.revocations.bornDeadUntil({ ...claims, aud: target.resource }) ?? 0;
    // The clock of the database may be a little late.
    return times.iat >= first ? 0 : Math.max(50, first * 1000 - Date.now());
  }

  /** The second in which the user ends by itself; never for a team. */
  async function endOf(sub: string): Promise<number> {
    const expiresAt = (await options.authority.user(sub))?.expiresAt;
    return expiresAt === undefined ? Number.POSITIVE_INFINITY : Math.floor(expiresAt.getTime() / 1000);
  }

  return (ctx) => exchange(ctx).catch((error: unknown) => Promise.reject(engineError(error)));
}

/** Without a scope in the request: all that can be had, as long as that is something. */
function chooseScopes(asked: string | undefined, available: readonly string[], target: Target): readonly string[] {
  if (asked === undefined) {
    if (available.length > 0 || target.isWithoutScopes) return available;
    throw new errors.InvalidScope(
      'the subject token has no scope at this resource, so there is nothing to exchange',
      '',
    );
  }
  const lacking = parseScope(asked).filter((scope) => !available.includes(scope));
  if (lacking.length === 0) return parseScope(asked);
  throw new errors.InvalidScope(
    'more than the subject token has at this resource: leave scope out to get all of that',
    lacking.slice(0, 10).join(' ').slice(0, 200),
  );
}

/** A token to be. */
interface Child {
  claims: SubjectClaims;
  target: Target;
  scopes: readonly string[];
  times: Times;
}

async function issue(
  ctx: KoaContextWithOIDC,
  request: ExchangeRequest,
  { claims, target, scopes, times }: Child,
  jkt: string | undefined,
): Promise<object> {
  const { provider } = ctx.oidc;
  const { sub, client_id, ...ours } = claims;
  const Model = provider.AccessToken as unknown as new (payload: object) => ExchangedToken;
  const EngineServer = (provider as unknown as { ResourceServer: new (id: string, info: object) => ResourceServer })
    .ResourceServer;
  const token = new Model({
    // Without a client the key stands for one; the engine asks it for nothing but its name.
    client: ctx.oidc.client ?? { clientId: client_id },
    accountId: sub,
    ...(ours.grant_id !== undefined && { grantId: ours.grant_id }),
    scope: scopes.join(' ') || undefined,
    ...times,
  });
  token.resourceServer = new EngineServer(target.resource, serverInfo(target, scopes));
  if (jkt !== undefined) token.setThumbprint('jkt', jkt);
  claimsOf.set(token, ours);
  ctx.oidc.entity('AccessToken', token);
  return {
    access_token: await token.save(),
    issued_token_type: request.issuedTokenType,
    token_type: token.tokenType,
    expires_in: times.exp - times.iat,
    ...(scopes.length > 0 && { scope: scopes.join(' ') }),
  };
}

interface ExchangedToken {
  resourceServer: ResourceServer;
  readonly tokenType: string;
  setThumbprint(kind: 'jkt', thumbprint: string): void;
  save(): Promise<string>;
}
