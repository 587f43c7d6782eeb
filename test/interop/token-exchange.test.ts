/** Token exchange with client libraries that know the specifications and nothing of this server. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { OPERATOR } from '../../src/domain/audit.ts';
import { connect, createTestClient } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
const KEY = 'urn:latchkey:token-type:api_key';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const HTTP = { [oauth.allowInsecureRequests]: true };

let server: TestServer;
let flow: Awaited<ReturnType<typeof connect>>;
let key: string;
beforeAll(async () => {
  server = await startTestServer();
  flow = await connect(server);
  const scopes = ['providers:read', 'teams:read'];
  key = (await server.domain.apiKeys.createPersonal({ ...flow.person, name: 'Script', scopes }, OPERATOR)).text;
}, 30_000);
afterAll(() => server?.close());

test('oauth4webapi: a key without a client, and a token by the resource server it is for', async () => {
  const issuer = new URL(server.issuer);
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, HTTP));
  expect(as.grant_types_supported).toContain(GRANT);
  const nobody: oauth.ClientAuth = () => {};
  const anonymous = { client_id: 'nobody' };
  const fields = { subject_token: key, subject_token_type: KEY, scope: 'providers:read' };
  const asked = await oauth.genericTokenEndpointRequest(as, anonymous, nobody, GRANT, fields, HTTP);
  const answer = await oauth.processGenericTokenEndpointResponse(as, anonymous, asked);
  expect(answer).toMatchObject({ scope: 'providers:read', issued_token_type: ACCESS_TOKEN, token_type: 'bearer' });
  const request = new Request(`${server.issuer}/api/v1/providers`, {
    headers: { authorization: `Bearer ${answer.access_token}` },
  });
  const claims = await oauth.validateJwtAccessToken(as, request, server.audience, HTTP);
  expect(claims).toMatchObject({ sub: flow.person.userId });

  const allowedScopes = ['credentials:introspect', 'providers:read'];
  const made = await createTestClient(server, flow.person.teamId, { allowedScopes });
  const client = { client_id: made.clientId };
  const auth = oauth.ClientSecretBasic(made.clientSecret);
  const subject = { subject_token: flow.tokens.access_token, subject_token_type: ACCESS_TOKEN };
  const passed = await oauth.genericTokenEndpointRequest(as, client, auth, GRANT, subject, HTTP);
  const token = await oauth.processGenericTokenEndpointResponse(as, client, passed);
  expect(decodeJwt(token.access_token)).toMatchObject({
    sub: flow.person.userId,
    scope: 'providers:read',
    act: { sub: made.clientId },
  });
});

test('openid-client: both by an app', async () => {
  const { clientId, clientSecret } = flow.app;
  const config = await openid.discovery(
    new URL(server.issuer),
    clientId,
    undefined,
    openid.ClientSecretPost(clientSecret),
    { execute: [openid.allowInsecureRequests] },
  );
  const narrower = await openid.genericGrantRequest(config, GRANT, {
    subject_token: flow.tokens.access_token,
    subject_token_type: ACCESS_TOKEN,
    scope: 'providers:read',
  });
  expect(narrower).toMatchObject({ scope: 'providers:read', issued_token_type: ACCESS_TOKEN });
  const ofKey = await openid.genericGrantRequest(config, GRANT, { subject_token: key, subject_token_type: KEY });
  expect(decodeJwt(ofKey.access_token)).toMatchObject({ client_id: clientId, act: { sub: clientId } });
  await expect(
    openid.genericGrantRequest(config, GRANT, { subject_token: 'lkp_wrong', subject_token_type: KEY }),
  ).rejects.toMatchObject({ error: 'invalid_grant', status: 400 });
});
