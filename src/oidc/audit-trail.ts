/** What the engine announces, as audit events: what was issued, refused, ended. Never a token, code or secret. */

import type { IncomingMessage } from 'node:http';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Actor, Audit } from '../domain/audit.ts';
import { createRefusalThrottle } from '../domain/refusal-throttle.ts';
import type { GrantPayload } from './adapter.ts';
import { registrationFor } from './client-metadata.ts';
import { exchangeNoteOf } from './token-exchange/index.ts';

/** The request's id and the caller's address, kept by the http room. */
export type RequestInfo = (req: IncomingMessage) => { requestId: string; ip: string };

export type ActorOf = (ctx: KoaContextWithOIDC) => Actor;

type Failure = Error & { status?: number; error?: string; error_description?: string; error_detail?: string };

export function createActorOf(requestInfo: RequestInfo): ActorOf {
  return (ctx) => {
    const client = ctx.oidc.client;
    const kind = client === undefined ? 'anonymous' : registrationFor(client).kind;
    return { kind, id: client?.clientId ?? '', ...requestInfo(ctx.req) };
  };
}

/** Subscribes to the events of a newly built provider. */
export function trailEvents(provider: Provider, audit: Audit, actorOf: ActorOf): void {
  const refusals = createRefusalThrottle();
  const note = (
    ctx: KoaContextWithOIDC,
    action: string,
    details: Record<string, unknown>,
    outcome: 'success' | 'refused' = 'success',
    who: Partial<Actor> = {},
  ) => {
    const exchange = exchangeNoteOf(ctx);
    const actor = { ...actorOf(ctx), ...who, ...exchange?.actor };
    const flood = outcome === 'refused' && actor.kind === 'anonymous' ? refusals.take(actor.ip) : {};
    if (flood === undefined) return;
    const { Account, Grant, ClientCredentials } = ctx.oidc.entities;
    const account = Account?.accountId ?? ctx.oidc.session?.accountId;
    const team = (Grant as GrantPayload | undefined)?.teamId ?? (ClientCredentials && teamOf(ctx));
    audit.note({
      action,
      outcome,
      actor,
      teamId: exchange?.teamId ?? team,
      ...(account && { target: { kind: 'user', id: account } }),
      ...(exchange?.target && { target: exchange.target }),
      details: { ...details, ...exchange?.details, ...flood },
    });
  };
  const refused = (action: string) => (ctx: KoaContextWithOIDC, error: Failure) => {
    // What was not even looked at comes in floods.
    if (error.status === 429) return;
    const { grant_type, client_id } = (ctx.oidc.params ?? {}) as Record<string, unknown>;
    const reason = error.error_detail ?? error.error_description;
    const code = error.error ?? error.message;
    // Whoever failed to prove to be a client is nobody; which one was claimed is a detail.
    const claimed = text(client_id) ?? ctx.oidc.client?.clientId;
    const details = { error: code, reason, grant_type: text(grant_type), client_id: claimed };
    note(ctx, action, details, 'refused', code === 'invalid_client' ? { kind: 'anonymous', id: '' } : {});
  };

  provider.on('grant.success', (ctx) => {
    const token = ctx.oidc.entities.AccessToken ?? ctx.oidc.entities.ClientCredentials;
    note(ctx, 'token.issued', { grant_type: text(ctx.oidc.params?.grant_type), scope: token?.scope, jti: token?.jti });
  });
  provider.on('authorization.success', (ctx) => note(ctx, 'code.issued', { scope: text(ctx.oidc.params?.scope) }));
  provider.on('pushed_authorization_request.success', (ctx: KoaContextWithOIDC) =>
    note(ctx, 'authorization_request.pushed', {}),
  );
  provider.on('grant.revoked', (ctx, grantId) =>
    note(ctx, 'grant.revoked', { grant_id: grantId, endpoint: ctx.oidc.route }),
  );
  provider.on('end_session.success', (ctx) => note(ctx, 'session.ended', {}));
  provider.on('grant.error', refused('token.refused'));
  provider.on('authorization.error', refused('authorization.refused'));
  provider.on('pushed_authorization_request.error', refused('authorization_request.refused'));
  provider.on('introspection.error', refused('introspection.refused'));
  provider.on('revocation.error', refused('revocation.refused'));
  provider.on('userinfo.error', refused('userinfo.refused'));
}

function teamOf(ctx: KoaContextWithOIDC): string | undefined {
  const registration = registrationFor(ctx.oidc.client!);
  return registration.kind === 'client' ? registration.record.teamId : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
