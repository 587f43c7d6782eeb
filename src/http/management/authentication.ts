/**
 * Who calls the management API: the published resource middleware, with the parts that live in this process in place of
 * its remote ones, or a person's session. On top of what a credential says stands what its owner may do at this moment.
 */
import type { Context, Middleware, Next } from 'koa';
import type { ApiKeys } from '../../domain/api-keys.ts';
import type { Actor, Audit } from '../../domain/audit.ts';
import type { Authority } from '../../domain/authority.ts';
import type { Caller } from '../../domain/authorization.ts';
import { createRefusalThrottle } from '../../domain/refusal-throttle.ts';
import { authenticate, type Failure, type Principal } from '../../resource/index.ts';
import { requestInfoOf } from '../middleware/request-info.ts';
import { noteRefusal } from '../refusals.ts';
import { countUse, createResourceOptions, type LocalCheckOptions, ownApi } from '../resource-options.ts';
import { callerFrom } from './actor.ts';
import { createCallerOfSession, type SessionOptions } from './session.ts';

export interface AuthenticationOptions extends Pick<SessionOptions, 'sessionOf' | 'csrf'>, LocalCheckOptions {
  audience: string;
  audit: Pick<Audit, 'note'>;
  apiKeys: LocalCheckOptions['apiKeys'] & Pick<ApiKeys, 'holderOf'>;
  authority: LocalCheckOptions['authority'] & Pick<Authority, 'teamsOf'>;
  scopesSupported: string[];
}

/**
 * Puts a `Caller` into `ctx.state.caller` whose permissions are effective: the owner's now ∩ the credential's scopes (∩ what its
 * app is allowed now). For a credential there is its `Principal` too, narrowed alike, in `ctx.state.principal`; for a
 * session there is none.
 */
export function createAuthentication(options: AuthenticationOptions): Middleware[] {
  const callerOfSession = createCallerOfSession(options);
  const check = createResourceOptions(options, ownApi(options.audience));
  const refusals = createRefusalThrottle();
  const fromCredential = authenticate(
    { ...check.options, scopesSupported: options.scopesSupported },
    {
      async renderFailure(ctx: Context, failure) {
        await noteFailure(ctx, failure);
        renderFailure(ctx, failure);
      },
    },
  );

  /** A credential that opens nothing, and a right that is lacking. Coming without any credential is neither. */
  async function noteFailure(ctx: Context, { status, reason }: Failure): Promise<void> {
    if (status === 503 || ctx.get('authorization') === '') return;
    const caller = ctx.state.caller as Caller | undefined;
    if (caller !== undefined) return noteRefusal(options.audit, ctx, caller, { status, reason });
    const info = requestInfoOf(ctx.req);
    const flood = refusals.take(info.ip);
    if (flood === undefined) return;
    const holder = (await holderOf(ctx)) ?? { actor: { kind: 'anonymous', id: '' } };
    noteRefusal(options.audit, ctx, { ...holder, actor: { ...holder.actor, ...info } }, { status, reason, ...flood });
  }

  /** Who came with a key that opens nothing any more: whoever switched it off wants to know that it is still used. */
  async function holderOf(ctx: Context): Promise<{ actor: Actor; teamId: string } | undefined> {
    const [, text] = /^Bearer +(\S+)$/i.exec(ctx.get('authorization')) ?? [];
    // That it cannot be told changes nothing about the answer.
    const key = text && (await options.apiKeys.holderOf(text).catch(() => undefined));
    return key ? { actor: { kind: `${key.kind}_key`, id: key.id }, teamId: key.teamId } : undefined;
  }

  async function narrow(ctx: Context, next: Next): Promise<void> {
    const principal = check.narrow(ctx.state.principal as Principal);
    countUse(options.credentialUses, principal);
    ctx.state.principal = principal;
    ctx.state.caller = callerFrom(principal, requestInfoOf(ctx.req), await heldBy(principal));
    await next();
  }

  /** What the credential has, here and elsewhere: what it may give to the keys it makes. */
  async function heldBy({ credential, scopes }: Principal): Promise<Iterable<string>> {
    if (credential.kind !== 'personal_key') return scopes;
    return (await options.apiKeys.rightsOfKey(credential.id))?.scopes ?? scopes;
  }

  return [
    async (ctx, next) => {
      ctx.state.caller = await callerOfSession(ctx);
      return ctx.state.caller ? next() : fromCredential(ctx, () => narrow(ctx, next));
    },
  ];
}

function renderFailure(ctx: Context, failure: Failure): void {
  ctx.status = failure.status;
  ctx.set(failure.headers);
  ctx.set('Cache-Control', 'no-store');
  ctx.body = failure.body;
}
