import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import {
  clientCredentials,
  connect,
  createPerson,
  createTestClient,
  credentials,
  introspect,
  postForm,
  refresh,
} from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

test('a person logs in, consents, and the app gets tokens it can use, refresh, introspect and revoke', async () => {
  const { app, tokens, person } = await connect(server);
  expect(tokens).toMatchObject({
    token_type: 'Bearer',
    expires_in: 600,
    scope: 'openid offline_access providers:read',
  });
  expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ typ: 'at+jwt', alg: 'ES256' });
  expect(decodeJwt(tokens.access_token)).toMatchObject({
    iss: server.issuer,
    sub: person.userId,
    aud: server.audience,
    client_id: app.clientId,
    team_id: person.teamId,
  });
  const userinfo = await fetch(`${server.origin}/oauth2/userinfo`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  expect(await userinfo.json()).toEqual({ sub: person.userId });
  const api = await fetch(`${server.origin}/api/v1/providers`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  expect([api.status, await api.json()]).toEqual([200, { values: [], next_page_token: '', has_more: false }]);
  const second = await refresh(server, app, tokens.refresh_token);
  expect(second.status).toBe(200);
  expect((await introspect(server, app, second.body.access_token)).body).toMatchObject({
    active: true,
    sub: person.userId,
  });
  expect((await introspect(server, app, second.body.refresh_token)).body).toMatchObject({ active: true });
  const revoked = await postForm(`${server.origin}/oauth2/revoke`, {
    token: second.body.refresh_token,
    ...credentials(app),
  });
  expect([revoked.status, revoked.text]).toEqual([200, '{}']);
  expect((await introspect(server, app, second.body.access_token)).body).toEqual({ active: false });
});

test('a machine client gets a token for its team with one request', async () => {
  const { teamId } = await createPerson(server);
  const client = await createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
  const { status, body } = await clientCredentials(server, client);
  expect([status, body.scope]).toEqual([200, 'providers:read providers:write']);
  expect(decodeJwt(body.access_token)).toMatchObject({ sub: client.clientId, team_id: teamId, aud: server.audience });
});
