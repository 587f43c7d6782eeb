/** oauth4webapi, which checks every answer against the specifications, step by step. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import { createPerson, createTestApp, createTestClient, REDIRECT_URI } from '../support/flows.ts';
import { type ClientKey, createClientKey } from '../support/proofs.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { createVisitor, type Visitor } from './person-with-browser.ts';

const SCOPE = 'openid email offline_access providers:read';
const HTTP = { [oauth.allowInsecureRequests]: true };
let server: TestServer;
let as: oauth.AuthorizationServer;
let person: Awaited<ReturnType<typeof createPerson>>;
let visitor: Visitor;
let key: ClientKey;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
  visitor = createVisitor(server, person);
  key = await createClientKey('Ed25519');
  const issuer = new URL(server.issuer);
  as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, HTTP));
});
afterAll(() => server.close());

const METHODS: Record<string, (secret: string) => oauth.ClientAuth> = {
  client_secret_basic: (secret) => oauth.ClientSecretBasic(secret),
  client_secret_post: (secret) => oauth.ClientSecretPost(secret),
  private_key_jwt: () => oauth.PrivateKeyJwt({ key: key.privateKey, kid: key.kid }),
  none: () => oauth.None(),
};

function registration(method: string): Record<string, unknown> {
  if (method === 'none') return { type: 'public' };
  return { tokenEndpointAuthMethod: method, ...(method === 'private_key_jwt' && { jwks: key.jwks }) };
}

test('the OAuth discovery document says the same as the OpenID one', async () => {
  const issuer = new URL(server.issuer);
  const response = await oauth.discoveryRequest(issuer, { ...HTTP, algorithm: 'oauth2' });
  expect(await oauth.processDiscoveryResponse(issuer, response)).toEqual(as);
});

test.each(Object.keys(METHODS))('an app with %s goes all the way from authorize to logout', async (method) => {
  const app = await createTestApp(server, registration(method));
  const client: oauth.Client = { client_id: app.clientId };
  const auth = METHODS[method]!(app.clientSecret);
  const verifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  const url = new URL(as.authorization_endpoint!);
  url.search = new URLSearchParams({
    client_id: app.clientId,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    scope: SCOPE,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  }).toString();

  const params = oauth.validateAuthResponse(as, client, await visitor.visit(url), state);
  const granted = await oauth.authorizationCodeGrantRequest(as, client, auth, params, REDIRECT_URI, verifier, HTTP);
  const result = await oauth.processAuthorizationCodeResponse(as, client, granted, {
    expectedNonce: nonce,
    requireIdToken: true,
  });
  await oauth.validateApplicationLevelSignature(as, granted, HTTP);
  expect(oauth.getValidatedIdTokenClaims(result)).toMatchObject({ sub: person.userId, nonce });

  const again = await oauth.refreshTokenGrantRequest(as, client, auth, result.refresh_token!, HTTP);
  const refreshed = await oauth.processRefreshTokenResponse(as, client, again);
  expect(refreshed.scope).toBe(SCOPE);

  const info = await oauth.userInfoRequest(as, client, refreshed.access_token, HTTP);
  expect(await oauth.processUserInfoResponse(as, client, person.userId, info)).toEqual({
    sub: person.userId,
    email: person.email,
  });
  const request = new Request(`${server.issuer}/api/v1/providers`, {
    headers: { authorization: `Bearer ${refreshed.access_token}` },
  });
  const claims = await oauth.validateJwtAccessToken(as, request, server.audience, HTTP);
  expect(claims).toMatchObject({ client_id: app.clientId, sub: person.userId, team_id: person.teamId });

  if (method !== 'none') {
    const asked = await oauth.introspectionRequest(as, client, auth, refreshed.access_token, HTTP);
    expect(await oauth.processIntrospectionResponse(as, client, asked)).toMatchObject({ active: true });
  }
  const revoked = await oauth.revocationRequest(as, client, auth, refreshed.refresh_token!, HTTP);
  expect(await oauth.processRevocationResponse(revoked)).toBeUndefined();
  const dead = await oauth.refreshTokenGrantRequest(as, client, auth, refreshed.refresh_token!, HTTP);
  await expect(oauth.processRefreshTokenResponse(as, client, dead)).rejects.toMatchObject({ error: 'invalid_grant' });

  const end = new URL(as.end_session_endpoint!);
  end.search = new URLSearchParams({
    id_token_hint: result.id_token!,
    post_logout_redirect_uri: 'https://app.example.com/bye',
    state,
  }).toString();
  expect((await visitor.logOut(end)).href).toBe(`https://app.example.com/bye?state=${state}`);
});

test('an app can push its request first', async () => {
  const app = await createTestApp(server);
  const client: oauth.Client = { client_id: app.clientId };
  const auth = METHODS.client_secret_basic!(app.clientSecret);
  const verifier = oauth.generateRandomCodeVerifier();
  const parameters = {
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    scope: SCOPE,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  };
  const response = await oauth.pushedAuthorizationRequest(as, client, auth, parameters, HTTP);
  const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, response);
  const url = new URL(as.authorization_endpoint!);
  url.search = new URLSearchParams({ client_id: app.clientId, request_uri }).toString();
  const params = oauth.validateAuthResponse(as, client, await visitor.visit(url), oauth.expectNoState);
  const granted = await oauth.authorizationCodeGrantRequest(as, client, auth, params, REDIRECT_URI, verifier, HTTP);
  expect(await oauth.processAuthorizationCodeResponse(as, client, granted)).toHaveProperty('id_token');
});

test.each(Object.keys(METHODS).filter((method) => method !== 'none'))(
  'a service with %s gets a token for itself',
  async (method) => {
    const service = await createTestClient(server, person.teamId, registration(method));
    const client: oauth.Client = { client_id: service.clientId };
    const auth = METHODS[method]!(service.clientSecret);
    const response = await oauth.clientCredentialsGrantRequest(as, client, auth, { scope: 'providers:read' }, HTTP);
    const { access_token, scope } = await oauth.processClientCredentialsResponse(as, client, response);
    expect(scope).toBe('providers:read');
    const asked = await oauth.introspectionRequest(as, client, auth, access_token, HTTP);
    expect(await oauth.processIntrospectionResponse(as, client, asked)).toMatchObject({
      active: true,
      sub: service.clientId,
      team_id: person.teamId,
    });
  },
);

test('a denied request comes back as an error the library understands', async () => {
  const app = await createTestApp(server);
  const client: oauth.Client = { client_id: app.clientId };
  const url = new URL(as.authorization_endpoint!);
  url.search = new URLSearchParams({
    client_id: app.clientId,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    scope: 'openid',
    state: 's',
  }).toString();
  const callback = await visitor.visit(url);
  expect(() => oauth.validateAuthResponse(as, client, callback, 's')).toThrow(
    expect.objectContaining({ error: 'invalid_request' }),
  );
});
