/**
 * Token exchange (RFC 8693): an API key or a user's access token for a short, narrower JWT for one API. Whatever the subject
 * is, the same steps decide what the token says, and the engine signs it like every other.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type Provider from 'oidc-provider';
import { errors, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { Revocations } from '../../domain/revocations.ts';
import { rightsBehind } from '../../domain/token-rights.ts';
import { bringsClient } from '../client-authentication.ts';
import { engineError } from '../errors.ts';
import { checkDpopProof, type Step } from '../internals.ts';
import { serverInfo, type Target } from '../resource-servers.ts';
import { parseScope } from '../scopes.ts';
import { createKeySubject, type KeySubjectOptions } from './api-key.ts';
import { noteExchange } from './note.ts';
import { type ExchangeRequest, isKeyExchange, PARAMETERS, readRequest, TOKEN_EXCHANGE } from './request.ts';
import { invalidGrant, type Subject, type Times } from './subject.ts';
import { createTokenSubject, type TokenSubjectOptions } from './user-token.ts';

export { exchangeNoteOf } from './note.ts';
export { TOKEN_EXCHANGE } from './request.ts';

export interface TokenExchangeOptions extends Omit<KeySubjectOptions, 'apiKeys'>, Omit<TokenSubjectOptions, 'apiKeys'> {
  apiKeys: KeySubjectOptions['apiKeys'] & TokenSubjectOptions['apiKeys'];
  revocations: Pick<Revocations, 'bornDeadUntil'>;
}

/** Whoever was switched on again a moment ago waits until a new token can be told from those of before. */
const LONGEST_WAIT_MS = 3_000;

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
    // A secret of nobody is a client that went wrong.
    const isMeant = bringsClient(ctx) || ctx.oidc.params!.client_secret !== undefined;
    if (isMeant || !isKeyExchange(ctx.oidc.params!)) return next();
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
    const named = request.resource === undefined ? undefined : await requireTarget(request.resource);
    const subject = await (request.subjectKind === 'api_key' ? fromKey : fromToken)(ctx, request.subjectToken);
    const target = named ?? (await requireTarget(subject.resource));
    noteExchange(ctx, { details: { resource: target.resource } });
    const proof = await checkDpopProof(ctx);
    if (subject.jkt !== undefined && subject.jkt !== proof?.jkt) {
      throw invalidGrant('The subject token is bound to a key: send a DPoP proof made with that key.');
    }
    const bound = subject.scopesAt(target);
    const rights = await rightsBehind(options, subject.claims);
    if (rights === undefined) throw invalidGrant('Whoever is behind the subject token may not act any more.');
    const available = (bound ?? [...rights]).filter((scope) => rights.has(scope) && target.hasScope(scope));
    const scopes = chooseScopes(request.scope, available, target);
    await proof?.use(subject.claims.client_id);
    const times = await hold(subject, target.accessTokenTtl);
    ctx.body = await issue(ctx, { request, subject, target, scopes, times, jkt: proof?.jkt });
  }

  /** A token of the second in which something about it changed would be dead for those who follow the feed. */
  async function hold(subject: Subject, lifetime: number): Promise<Times> {
    const first = options.revocations.bornDeadUntil(subject.claims) ?? 0;
    const deadline = Date.now() + LONGEST_WAIT_MS;
    if (first > 0) await wait(Math.min(first * 1000, deadline) - Date.now());
    let times = await subject.hold(lifetime);
    // The clock of the database may be a little late.
    while (times.iat < first && Date.now() < deadline) {
      await wait(50);
      times = await subject.hold(lifetime);
    }
    return times;
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

interface Issue {
  request: ExchangeRequest;
  subject: Subject;
  target: Target;
  scopes: readonly string[];
  times: Times;
  jkt: string | undefined;
}

async function issue(
  ctx: KoaContextWithOIDC,
  { request, subject, target, scopes, times, jkt }: Issue,
): Promise<object> {
  const { provider } = ctx.oidc;
  const { sub, client_id, ...ours } = subject.claims;
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
