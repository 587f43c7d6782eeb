/**
 * Tokens as W3 and W4 present them: live ones and ones that are over, asked for from the contender itself, and forged ones.
 */
import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose';
import type { Clients, Contender } from './contenders.ts';
import { authorize, type FlowJob, tokenRequest } from './flows.ts';
import { post } from './load.ts';
import { load } from './measure.ts';
import { PASSWORD, REDIRECT_URI } from './seed.ts';

/** Where a contender's endpoints are. */
export interface Endpoints {
  token_endpoint: string;
  introspection_endpoint: string;
  revocation_endpoint: string;
  authorization_endpoint: string;
  jwks_uri: string;
  /** Only of a Latchkey that has one. */
  revocation_feed_endpoint?: string;
}

export async function endpointsOf(origin: string): Promise<Endpoints> {
  const response = await fetch(`${origin}/.well-known/openid-configuration`, { signal: AbortSignal.timeout(5_000) });
  return (await response.json()) as Endpoints;
}

export interface IssuedToken {
  text: string;
  clientId: string;
}

/** That many access tokens of service clients, as fast as the server makes them. */
export async function issueTokens(
  { name, port, origin }: Contender,
  clients: Clients,
  count: number,
  more: { resource?: string; scope?: string } = { scope: 'providers:read' },
): Promise<IssuedToken[]> {
  const { pathname } = new URL((await endpointsOf(origin)).token_endpoint);
  const requests = clients.map(([client_id, client_secret]) => ({
    text: post(port, pathname, { grant_type: 'client_credentials', client_id, client_secret, ...more }),
    about: client_id,
    body: ['{"access_token":"'],
  }));
  const { samples, wrong } = await load({ port, connections: 16, requests, seconds: 120, most: count, keep: count });
  if (wrong > 0 || samples.length < count)
    throw new Error(`${name} gives no tokens: ${samples[0]?.body.slice(0, 300)}`);
  return samples
    .slice(0, count)
    .map(({ about, body }) => ({ text: (JSON.parse(body) as { access_token: string }).access_token, clientId: about }));
}

/** Ends tokens at the revocation endpoint (RFC 7009), each as the client it was issued to. */
export async function revokeTokens(origin: string, clients: Clients, tokens: IssuedToken[]): Promise<void> {
  const { revocation_endpoint } = await endpointsOf(origin);
  const secrets = new Map(clients);
  for (const { text: token, clientId: client_id } of tokens) {
    const body = new URLSearchParams({ token, client_id, client_secret: secrets.get(client_id)! });
    const response = await fetch(revocation_endpoint, { method: 'POST', body, signal: AbortSignal.timeout(5_000) });
    if (response.status !== 200) throw new Error(`revocation answered ${response.status}: ${await response.text()}`);
  }
}

/** The same header and claims, signed with a key of ours. */
export async function forgeTokens(tokens: IssuedToken[]): Promise<IssuedToken[]> {
  const { privateKey } = await generateKeyPair('ES256');
  return Promise.all(
    tokens.map(async ({ text, clientId }) => ({
      text: await new SignJWT(decodeJwt(text))
        .setProtectedHeader({ ...decodeProtectedHeader(text), alg: 'ES256' })
        .sign(privateKey),
      clientId,
    })),
  );
}

/** Text that looks like an opaque token. */
export function randomTokens(count: number): IssuedToken[] {
  return Array.from({ length: count }, () => ({ text: randomBytes(32).toString('base64url'), clientId: 'nobody' }));
}

/** The tokens of a user who logged in: refresh tokens, the one replaced by the other, and the last access token. */
export interface UserTokens {
  access: IssuedToken;
  live: IssuedToken;
  replaced: IssuedToken;
}

/** Sends that many people through login and consent, each with a consent of their own. */
export async function userTokens(
  { origin, app }: Contender,
  { count, users }: { count: number; users: number },
): Promise<UserTokens[]> {
  const agent = new Agent({ keepAlive: true });
  const { authorization_endpoint, token_endpoint } = await endpointsOf(origin);
  const job: FlowJob = { origin, app, redirectUri: REDIRECT_URI, password: PASSWORD, users, parallel: 8, seconds: 60 };
  const clientId = app.id;
  const issued: UserTokens[] = [];
  let begun = 0;

  async function person(): Promise<void> {
    while (begun < count) {
      const user = `user${begun % users}@example.com`;
      begun += 1;
      const verifier = randomBytes(32).toString('base64url');
      const code = await authorize(job, agent, new URL(authorization_endpoint), user, verifier);
      const grant = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: REDIRECT_URI };
      const first = (await tokenRequest(job, agent, token_endpoint, grant)).refresh_token!;
      const second = await tokenRequest(job, agent, token_endpoint, {
        grant_type: 'refresh_token',
        refresh_token: first,
      });
      issued.push({
        access: { text: second.access_token!, clientId },
        live: { text: second.refresh_token!, clientId },
        replaced: { text: first, clientId },
      });
    }
  }

  await Promise.all(Array.from({ length: job.parallel }, person));
  agent.destroy();
  return issued;
}
