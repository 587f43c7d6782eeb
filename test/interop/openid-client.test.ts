/** openid-client as its manual shows it, knowing nothing but the issuer and its own registration. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { createPerson, createTestApp, createTestClient, REDIRECT_URI } from '../support/flows.ts';
import { type ClientKey, createClientKey } from '../support/proofs.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { createVisitor, type Visitor } from './person-with-browser.ts';

const SCOPE = 'openid profile email offline_access providers:read';
const BYE = 'https://app.example.com/bye';
let server: TestServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let visitor: Visitor;
let key: ClientKey;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  visitor = createVisitor(server, person);
  key = await createClientKey();
});
afterAll(() => server.close());

function discover(clientId: string, auth: client.ClientAuth, algorithm: 'oidc' | 'oauth2' = 'oidc') {
  return client.discovery(new URL(server.issuer), clientId, undefined, auth, {
    algorithm,
    execute: [client.allowInsecureRequests],
  });
}

/** How a client with that registration authenticates. */
function authFor(method: string, secret: string): client.ClientAuth {
  if (method === 'client_secret_basic') return client.ClientSecretBasic(secret);
  if (method === 'client_secret_post') return client.ClientSecretPost(secret);
  if (method === 'private_key_jwt') return client.PrivateKeyJwt({ key: key.privateKey, kid: key.kid });
  return client.None();
}

function registration(method: string): Record<string, unknown> {
  if (method === 'none') return { type: 'public' };
  return { tokenEndpointAuthMethod: method, ...(method === 'private_key_jwt' && { jwks: key.jwks }) };
}

/** From the authorization request to tokens; `pushed` sends it ahead (RFC 9126). */
async function connect(
  config: client.Configuration,
  { pushed = false, DPoP = undefined as client.DPoPHandle | undefined } = {},
) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const expectedNonce = client.randomNonce();
  const parameters = {
    redirect_uri: REDIRECT_URI,
    scope: SCOPE,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
  };
  const url = pushed
    ? await client.buildAuthorizationUrlWithPAR(config, parameters)
    : client.buildAuthorizationUrl(config, parameters);
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true };
  return client.authorizationCodeGrant(config, await visitor.visit(url), checks, undefined, DPoP && { DPoP });
}

describe.each(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])('an app with %s', (method) => {
  test('logs a person in, refreshes, reads userinfo, introspects, revokes and logs out', async () => {
    const app = await createTestApp(server, registration(method));
    const config = await discover(app.clientId, authFor(method, app.clientSecret));
    client.enableNonRepudiationChecks(config);
    const tokens = await connect(config, { pushed: method !== 'client_secret_post' });
    expect(tokens).toMatchObject({ token_type: 'bearer', scope: SCOPE, refresh_token: expect.any(String) });
    const claims = tokens.claims()!;
    expect(claims).toMatchObject({ iss: server.issuer, sub: person.userId, aud: app.clientId });

    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token!);
    const info = await client.fetchUserInfo(config, refreshed.access_token, claims.sub);
    expect(info).toMatchObject({ sub: person.userId, email: person.email, name: expect.any(String) });
    const api = new URL(`${server.issuer}/api/v1/providers`);
    expect((await client.fetchProtectedResource(config, refreshed.access_token, api, 'GET')).status).toBe(200);

    if (method !== 'none') {
      const answer = await client.tokenIntrospection(config, refreshed.access_token);
      expect(answer).toMatchObject({ active: true, client_id: app.clientId, sub: person.userId });
    }
    await client.tokenRevocation(config, refreshed.refresh_token!);
    await expect(client.refreshTokenGrant(config, refreshed.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    await expect(client.fetchUserInfo(config, refreshed.access_token, claims.sub)).rejects.toMatchObject({
      status: 401,
    });

    const end = client.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token!,
      post_logout_redirect_uri: BYE,
      state: 'over',
    });
    expect((await visitor.logOut(end)).href).toBe(`${BYE}?state=over`);
  });
});

test.each(['client_secret_basic', 'client_secret_post', 'private_key_jwt'])(
  'a service with %s gets tokens for itself, from either discovery document',
  async (method) => {
    const service = await createTestClient(server, person.teamId, registration(method));
    for (const algorithm of ['oidc', 'oauth2'] as const) {
      const config = await discover(service.clientId, authFor(method, service.clientSecret), algorithm);
      const tokens = await client.clientCredentialsGrant(config, { scope: 'providers:read' });
      expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 600 });
      expect(await client.tokenIntrospection(config, tokens.access_token)).toMatchObject({
        active: true,
        sub: service.clientId,
      });
      await client.tokenRevocation(config, tokens.access_token);
      expect(await client.tokenIntrospection(config, tokens.access_token)).toEqual({ active: false });
    }
  },
);

test('an app with DPoP binds its tokens and uses them everywhere', async () => {
  const app = await createTestApp(server);
  const config = await discover(app.clientId, client.ClientSecretBasic(app.clientSecret));
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const tokens = await connect(config, { DPoP });
  expect(tokens.token_type).toBe('dpop');
  const { refresh_token } = await client.refreshTokenGrant(config, tokens.refresh_token!, undefined, { DPoP });
  expect(refresh_token).toEqual(expect.any(String));
  expect(await client.fetchUserInfo(config, tokens.access_token, person.userId, { DPoP })).toMatchObject({
    email: person.email,
  });
  const api = new URL(`${server.issuer}/api/v1/providers`);
  const options = [undefined, undefined, { DPoP }] as const;
  expect((await client.fetchProtectedResource(config, tokens.access_token, api, 'GET', ...options)).status).toBe(200);
});

test('each algorithm an app may choose for its ID tokens is one the library verifies', async () => {
  for (const idTokenSignedResponseAlg of ['RS256', 'ES256', 'EdDSA']) {
    const app = await createTestApp(server, { idTokenSignedResponseAlg });
    const metadata = { id_token_signed_response_alg: idTokenSignedResponseAlg };
    const auth = client.ClientSecretBasic(app.clientSecret);
    const config = await client.discovery(new URL(server.issuer), app.clientId, metadata, auth, {
      execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
    });
    expect((await connect(config)).claims()!.sub).toBe(person.userId);
  }
});
