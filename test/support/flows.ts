/** Users, apps and clients made through the domain, and the authorization code flow as a person and an app go through it. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { hash } from '../../src/domain/argon2id.ts';
import { OPERATOR } from '../../src/domain/audit.ts';
import { ROLE_IDS } from '../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn, type Visit } from './browser.ts';
import type { TestServer } from './server.ts';

export const PASSWORD = 'correct horse battery staple';
export const REDIRECT_URI = 'https://app.example.com/callback';

export type Role = keyof typeof ROLE_IDS;

/** A team with one user in it. */
export async function createPerson(
  { db, domain }: TestServer,
  { role = 'Admin' as Role, teamId }: { role?: Role; teamId?: string } = {},
) {
  const name = randomUUID().slice(0, 8);
  const team = teamId ?? (await domain.teams.create({ name: `Team ${name}` }, OPERATOR)).id;
  const email = `${name}@example.com`;
  const user = await domain.users.create(
    { email, name: `Person ${name}`, teamRoles: [{ teamId: team, roles: [ROLE_IDS[role]] }] },
    OPERATOR,
  );
  // What a password costs is in its hash; two real ones per person would be most of the suite's time.
  const cheap = await hash(PASSWORD, { memoryKib: 64, passes: 1, lanes: 1 });
  await db.query('UPDATE users SET password_hash = $2 WHERE id = $1', [user.id, cheap]);
  return { userId: user.id, email, teamId: team };
}

export async function createTestApp({ domain }: TestServer, changes: Record<string, unknown> = {}) {
  const { app, secret } = await domain.oauthApps.create(
    {
      name: 'Test app',
      baseUrl: 'https://app.example.com',
      redirectUris: [REDIRECT_URI],
      postLogoutRedirectUris: ['https://app.example.com/bye'],
      allowedScopes: ['openid', 'profile', 'email', 'offline_access', 'providers:read', 'providers:write'],
      ...changes,
    } as Parameters<typeof domain.oauthApps.create>[0],
    OPERATOR,
  );
  return { clientId: app.clientId, clientSecret: secret!, id: app.id };
}

export async function createTestClient({ domain }: TestServer, teamId: string, changes: Record<string, unknown> = {}) {
  const { client, secret } = await domain.oauthClients.create(
    { name: 'Test client', teamId, allowedScopes: ['providers:read', 'providers:write'], ...changes } as Parameters<
      typeof domain.oauthClients.create
    >[0],
    OPERATOR,
  );
  return { clientId: client.clientId, clientSecret: secret!, id: client.id };
}

export interface Pkce {
  verifier: string;
  challenge: string;
}

export function createPkce(): Pkce {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

export function authorizationUrl(
  server: TestServer,
  clientId: string,
  pkce: Pkce,
  changes: Record<string, string | undefined> = {},
): string {
  const params = {
    client_id: clientId,
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope: 'openid offline_access providers:read',
    state: 'a state',
    code_challenge: pkce.challenge,
    code_challenge_method: 'S256',
    ...changes,
  };
  const query = new URLSearchParams(
    Object.entries(params).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
  return `${server.origin}/oauth2/authorize?${query}`;
}

/** Fills in the login page and continues to what follows it. */
export async function logIn(browser: Browser, page: Visit, email: string, password = PASSWORD): Promise<Visit> {
  const form = formOn(page, '/login');
  const answer = await browser.post(form.url, { ...form.fields, email, password });
  return browser.follow(answer, new URL(page.url).origin);
}

/** Presses Allow on the consent page and continues. */
export async function consent(browser: Browser, page: Visit, teamId: string): Promise<Visit> {
  const form = formOn(page, '/consent');
  const answer = await browser.post(form.url, { ...form.fields, team_id: teamId });
  return browser.follow(answer, new URL(page.url).origin);
}

/** Everything from the authorization request to the redirect back to the app. */
export async function authorize(
  server: TestServer,
  options: {
    clientId: string;
    email: string;
    teamId: string;
    params?: Record<string, string | undefined>;
    browser?: Browser;
  },
) {
  const { clientId, email, teamId, params = {}, browser = createBrowser() } = options;
  const pkce = createPkce();
  let visit = await browser.follow(await browser.get(authorizationUrl(server, clientId, pkce, params)), server.origin);
  if (/\/login"/.test(visit.text)) visit = await logIn(browser, visit, email);
  if (/\/consent"/.test(visit.text)) visit = await consent(browser, visit, teamId);
  const callback = new URL(visit.location ?? fail(visit));
  return { browser, pkce, callback, code: callback.searchParams.get('code') ?? '' };
}

function fail(visit: Visit): never {
  throw new Error(`no redirect to the app: ${visit.status} ${visit.url}\n${visit.text.slice(0, 2_000)}`);
}

/** Posts a form to an endpoint and gives status and JSON. */
export async function postForm(url: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    // biome-ignore lint/suspicious/noExplicitAny: a test says by its expectations what is in an answer
    body: (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, any>,
  };
}

export type TokenClient = { clientId: string; clientSecret?: string };

export function redeemCode(
  server: TestServer,
  client: TokenClient,
  code: string,
  pkce: Pkce,
  changes: Record<string, string> = {},
) {
  return postForm(`${server.origin}/oauth2/token`, {
    grant_type: 'authorization_code',
    code,
    code_verifier: pkce.verifier,
    redirect_uri: REDIRECT_URI,
    ...credentials(client),
    ...changes,
  });
}

export function refresh(
  server: TestServer,
  client: TokenClient,
  refreshToken: string,
  changes: Record<string, string> = {},
) {
  return postForm(`${server.origin}/oauth2/token`, {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    ...credentials(client),
    ...changes,
  });
}

export function clientCredentials(server: TestServer, client: TokenClient, changes: Record<string, string> = {}) {
  return postForm(`${server.origin}/oauth2/token`, {
    grant_type: 'client_credentials',
    ...credentials(client),
    ...changes,
  });
}

export function introspect(server: TestServer, client: TokenClient, token: string) {
  return postForm(`${server.origin}/oauth2/introspect`, { token, ...credentials(client) });
}

export function credentials({ clientId, clientSecret }: TokenClient): Record<string, string> {
  return { client_id: clientId, ...(clientSecret && { client_secret: clientSecret }) };
}

/** The tokens of a freshly consented app. */
export async function connect(server: TestServer, params: Record<string, string | undefined> = {}) {
  const person = await createPerson(server);
  const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  const { code, pkce, browser } = await authorize(server, { ...person, clientId: app.clientId, params });
  const { body } = await redeemCode(server, app, code, pkce);
  return { person, app, browser, tokens: body };
}
