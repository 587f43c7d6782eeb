/** The revocation feed as a resource server reads it. */
import { createHash } from 'node:crypto';
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, type JWTVerifyResult, jwtVerify } from 'jose';
import { type RawAnswer, send } from './request.ts';
import type { TestServer } from './server.ts';

export type Feed = JWTVerifyResult<JWTPayload & { revocations: Record<string, number> }>;

/** Asks a test server for its feed, under the name the issuer has. */
export function askForFeed(
  server: Pick<TestServer, 'origin' | 'issuer'>,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<RawAnswer> {
  const { port } = new URL(server.origin);
  return send(Number(port), { path: '/oauth2/revocations', method, host: new URL(server.issuer).host, headers });
}

/** What the feed says, with its signature checked by the published keys. */
export async function readFeed(server: Pick<TestServer, 'origin' | 'issuer'>): Promise<Feed> {
  const { issuer, origin } = server;
  const { port } = new URL(origin);
  const jwks = await send(Number(port), { path: '/oauth2/jwks', host: new URL(issuer).host });
  const { text } = await askForFeed(server);
  return jwtVerify(text, createLocalJWKSet(jwks.body as JSONWebKeySet), { issuer, typ: 'revocations+jwt' });
}

/** What the feed calls something that ended, such as `user:<id>`. */
export function digestOf(word: string): string {
  return createHash('sha256').update(word).digest('base64url').slice(0, 22);
}
