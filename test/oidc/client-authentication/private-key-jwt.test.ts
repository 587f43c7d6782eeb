import { createSecretKey, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CryptoKey, exportSPKI, importJWK, SignJWT, UnsecuredJWT } from 'jose';
import { createPerson, createTestApp, createTestClient, postForm } from '../../support/flows.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import { assertionFields, type ClientKey, createClientKey, signAssertion } from '../../support/proofs.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let teamId: string;
let key: ClientKey;
let clientId: string;

beforeAll(async () => {
  server = await startTestServer();
  ({ teamId } = await createPerson(server));
  key = await createClientKey();
  ({ clientId } = await register(key));
});
afterAll(() => server.close());

function register({ jwks }: ClientKey) {
  return createTestClient(server, teamId, { tokenEndpointAuthMethod: 'private_key_jwt', jwks });
}

function present(fields: Record<string, string>) {
  return postForm(`${server.origin}/oauth2/token`, { grant_type: 'client_credentials', ...fields });
}

test('row 57: every advertised algorithm works, and the endpoints of the token take it too', async () => {
  for (const alg of ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA']) {
    const own = await createClientKey(alg);
    const made = await register(own);
    const { status, body } = await present(await signAssertion(server.issuer, made.clientId, own));
    expect([alg, status]).toEqual([alg, 200]);
    for (const endpoint of ['introspect', 'revoke']) {
      const answer = await postForm(`${server.origin}/oauth2/${endpoint}`, {
        token: body.access_token,
        ...(await signAssertion(`${server.issuer}/oauth2/token`, made.clientId, own)),
      });
      expect([endpoint, answer.status]).toEqual([endpoint, 200]);
      if (endpoint === 'introspect') expect(answer.body.active).toBe(true);
    }
  }
});

test('row 57: an assertion that is not right in every part is refused', async () => {
  const now = Math.floor(Date.now() / 1000);
  const other = await createClientKey();
  const neighbour = await register(other);
  for (const changes of [
    { aud: 'https://evil.example' },
    { aud: [] },
    { aud: undefined },
    { aud: `${server.issuer}/` },
    { iss: neighbour.clientId },
    { iss: undefined },
    { sub: neighbour.clientId },
    { sub: undefined },
    { exp: now - 60 },
    { exp: undefined },
    { exp: 'tomorrow' },
    { nbf: now + 600 },
    { jti: undefined },
  ]) {
    const { status, body } = await present(await signAssertion(server.issuer, clientId, key, changes));
    expect([changes, status, body.error]).toEqual([changes, expect.any(Number), 'invalid_client']);
    expect(status).toBe(401);
  }
  const foreign = await present(await signAssertion(server.issuer, clientId, { ...other, kid: key.kid }));
  expect([foreign.status, foreign.body.error]).toEqual([401, 'invalid_client']);
});

test('row 57: neither unsigned nor signed with the public key as a secret', async () => {
  const claims = { iss: clientId, sub: clientId, aud: server.issuer, jti: randomUUID(), exp: Date.now() / 1000 + 60 };
  const publicKey = (await importJWK(key.publicJwk, key.alg, { extractable: true })) as CryptoKey;
  const texts = [new UnsecuredJWT(claims).encode(), 'a.b.c', '..', ''];
  for (const secret of [await exportSPKI(publicKey), JSON.stringify(key.publicJwk), key.publicJwk.x!]) {
    texts.push(
      await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid: key.kid })
        .sign(createSecretKey(Buffer.from(secret))),
    );
  }
  for (const text of texts) {
    const { status, body } = await present({ ...assertionFields(text), client_id: clientId });
    expect([400, 401]).toContain(status);
    expect(body.error).toMatch(/^invalid_(client|request)$/);
  }
});

test('row 57: an assertion is used once', async () => {
  const fields = await signAssertion(server.issuer, clientId, key);
  expect((await present(fields)).status).toBe(200);
  const again = await present(fields);
  expect([again.status, again.body.error]).toEqual([401, 'invalid_client']);
  const elsewhere = await postForm(`${server.origin}/oauth2/introspect`, { token: 'x', ...fields });
  expect(elsewhere.status).toBe(401);
});

test('row 58: of 20 parallel requests with one assertion exactly one succeeds', async () => {
  for (let round = 0; round < 3; round += 1) {
    const fields = await signAssertion(server.issuer, clientId, key);
    const answers = await inParallel(20, () => present(fields));
    expect(countStatuses(answers)).toEqual({ 200: 1, 401: 19 });
  }
});

test('row 57: a client with a key has no secret, and the reverse', async () => {
  const withSecret = await createTestClient(server, teamId);
  const refused = await present(await signAssertion(server.issuer, withSecret.clientId, key));
  expect([refused.status, refused.body.error]).toEqual([401, 'invalid_client']);
  const guessed = await present({ client_id: clientId, client_secret: 'x' });
  expect([guessed.status, guessed.body.error]).toEqual([401, 'invalid_client']);
  const app = await createTestApp(server, { tokenEndpointAuthMethod: 'private_key_jwt', jwks: key.jwks });
  const grant = { grant_type: 'refresh_token', refresh_token: 'unknown' };
  const asApp = await present({ ...(await signAssertion(server.issuer, app.clientId, key)), ...grant });
  expect([asApp.status, asApp.body.error]).toEqual([400, 'invalid_grant']);
});
