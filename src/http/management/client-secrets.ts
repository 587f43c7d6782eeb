/** Secrets of OAuth2 Apps and Clients (wire contract): two can live at once, so that none has to be changed in a moment. */
import { z } from 'zod';
import { type Caller, teamReach } from '../../domain/authorization.ts';
import type { ClientSecret, ClientSecrets, SecretOwnerInput } from '../../domain/client-secrets.ts';
import type { OauthApps } from '../../domain/oauth-apps.ts';
import type { OauthClients } from '../../domain/oauth-clients.ts';
import { found } from '../found.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

/** A secret inside its app or client. */
export const SECRET = z
  .object({
    id: z.string(),
    prefix: z.string().meta({ description: 'How its text starts' }),
    created_at: time,
    expires_at: time.nullable().meta({ description: 'Null: lives until it is ended' }),
    last_used_at: time.nullable().meta({ description: 'Null: never' }),
  })
  .meta({ id: 'ClientSecret' });

/** The secret itself, where it is answered once. */
export const SECRET_TEXT = z.string().meta({ description: 'The secret itself; in this answer and never again' });

const BODY = z.strictObject({
  overlap_seconds: z
    .int()
    .optional()
    .meta({ description: 'The secrets before it end after so many seconds; left out: when they are ended' }),
  expires_at: time.nullable().optional().meta({ description: 'When the new one ends (default never)' }),
});

export interface ClientSecretOptions {
  oauthApps: Pick<OauthApps, 'find'>;
  oauthClients: Pick<OauthClients, 'find'>;
  clientSecrets: ClientSecrets;
}

/** Below `/api/v1/oauth2/apps/{id}` and `/api/v1/oauth2/clients/{id}`, where `id` is that or the client_id. */
export function createClientSecretOperations({ oauthApps, oauthClients, clientSecrets }: ClientSecretOptions): Noun {
  const owners = [
    {
      noun: 'app' as const,
      async find(reference: string): Promise<SecretOwnerInput> {
        const { id } = found(await oauthApps.find(reference), 'OAuth2 app');
        return { kind: 'app', id };
      },
    },
    {
      noun: 'client' as const,
      async find(reference: string, caller: Caller): Promise<SecretOwnerInput> {
        const { id } = found(await oauthClients.find(reference, teamReach(caller)), 'OAuth2 client');
        return { kind: 'client', id, ...teamReach(caller) };
      },
    },
  ];
  return owners.flatMap(({ noun, find }) => [
    operation({
      id: `oauth_${noun}_secrets.create`,
      method: 'POST',
      path: `/api/v1/oauth2/${noun}s/{id}/secrets`,
      tag: `OAuth2 ${noun}s`,
      summary: 'Add a secret; at most two live at once. Its text is in this answer and never again',
      body: BODY,
      answer: z.object({ value: SECRET.extend({ client_secret: SECRET_TEXT }) }),
      errors: ['not_found', 'failed_precondition'],
      async handle({ params, body, caller }) {
        const expiresAt = body.expires_at ? new Date(body.expires_at) : undefined;
        const options = { overlapSeconds: body.overlap_seconds, expiresAt };
        const { secret, text } = await clientSecrets.add(await find(params.id, caller), options, caller.actor);
        return { body: { value: { ...secretToWire(secret), client_secret: text } } };
      },
    }),
    operation({
      id: `oauth_${noun}_secrets.delete`,
      method: 'DELETE',
      path: `/api/v1/oauth2/${noun}s/{id}/secrets/{secret_id}`,
      tag: `OAuth2 ${noun}s`,
      summary: 'End a secret at once',
      query: z.strictObject({
        force: z
          .enum(['true', 'false'])
          .optional()
          .meta({ description: `Even the last one; the ${noun} cannot prove who it is then` }),
      }),
      answer: z.object({}),
      errors: ['not_found', 'failed_precondition'],
      async handle({ params, query, caller }) {
        const force = query.force === 'true';
        await clientSecrets.end(await find(params.id, caller), params.secret_id, { force }, caller.actor);
        return { body: {} };
      },
    }),
  ]);
}

export function secretToWire(secret: ClientSecret) {
  return {
    id: secret.id,
    prefix: secret.prefix,
    created_at: secret.createdAt.toISOString(),
    expires_at: secret.expiresAt?.toISOString() ?? null,
    last_used_at: secret.lastUsedAt?.toISOString() ?? null,
  };
}
