/** What OAuth2 Apps and Clients have in common on the wire: how they prove who they are, who made them, and their use. */
import { z } from 'zod';
import type { ClientSecret } from '../../domain/client-secrets.ts';
import type { OauthClient } from '../../domain/oauth-clients.ts';
import { SECRET, secretToWire } from './client-secrets.ts';
import { movingTime } from './echo.ts';
import { time } from './schemas.ts';

/** The `jwks` field. */
export const JWKS = z
  .object({ keys: z.array(z.record(z.string(), z.unknown())) })
  .meta({ id: 'PublicJwks', description: 'A JWK Set (RFC 7517 §5) of public keys' });

/** How it proves who it is, in what is answered. */
export const PROOF = {
  token_endpoint_auth_method: z.string(),
  jwks: JWKS.optional(),
  jwks_uri: z.string().optional(),
};

/** The same keys, in what is sent. */
export const SENT_KEYS = {
  jwks: JWKS.optional(),
  jwks_uri: z.string().optional().meta({ description: 'Where its JWK Set is: https, instead of `jwks`' }),
};

/** Who made it and when, and what it was used with. */
export const RECORD = {
  created_by: z.string().nullable(),
  created_at: time,
  updated_at: time,
  last_used_at: time.nullable().meta({ description: 'Null: never' }),
  secrets: z.array(SECRET).meta({ description: 'Those that live' }),
};

/** What use alone changes. */
export const ECHO = { last_used_at: movingTime, secrets: { last_used_at: movingTime } };

/** What ending an app or client answers about what ended with it. */
export const ENDED = {
  ended_grants: z.int().meta({ description: 'Consents of users' }),
  ended_tokens: z.int().meta({ description: 'Refresh tokens and codes; access tokens end too, and are not counted' }),
};

/** The fields of `PROOF`. */
export function proofToWire(one: Pick<OauthClient, 'tokenEndpointAuthMethod' | 'jwks' | 'jwksUri'>) {
  return {
    token_endpoint_auth_method: one.tokenEndpointAuthMethod,
    ...(one.jwks && { jwks: one.jwks }),
    ...(one.jwksUri !== null && { jwks_uri: one.jwksUri }),
  };
}

/** The fields of `RECORD`. */
export function recordToWire(
  one: Pick<OauthClient, 'createdBy' | 'createdAt' | 'updatedAt' | 'lastUsedAt'> & { secrets: ClientSecret[] },
) {
  return {
    created_by: one.createdBy,
    created_at: one.createdAt.toISOString(),
    updated_at: one.updatedAt.toISOString(),
    last_used_at: one.lastUsedAt?.toISOString() ?? null,
    secrets: one.secrets.map(secretToWire),
  };
}
