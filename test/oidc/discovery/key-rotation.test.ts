import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { soon } from '../../support/credentials.ts';
import { clientCredentials, createPerson, createTestClient, introspect } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let client: Awaited<ReturnType<typeof createTestClient>>;
beforeAll(async () => {
  server = await startTestServer();
  const { teamId } = await createPerson(server);
  client = await createTestClient(server, teamId);
});
afterAll(() => server.close());

async function keySet(): Promise<JSONWebKeySet> {
  return (await fetch(`${server.origin}/oauth2/jwks`)).json() as Promise<JSONWebKeySet>;
}

/** A token, proven to be verifiable with the keys published at this moment. */
async function issue(): Promise<{ token: string; kid: string }> {
  const { body } = await clientCredentials(server, client);
  await jwtVerify(body.access_token, createLocalJWKSet(await keySet()), { issuer: server.issuer });
  return { token: body.access_token, kid: decodeProtectedHeader(body.access_token).kid! };
}

test('row 7: a new key is published before it signs, and old tokens go on being accepted', async () => {
  const first = await issue();

  const [ahead] = await server.domain.signingKeys.rotate({ alg: 'ES256' }, OPERATOR);
  expect(await soon(async () => (await keySet()).keys.some(({ kid }) => kid === ahead!.kid))).toBe(true);
  expect((await issue()).kid).toBe(first.kid);

  // Its hour comes; what makes the server look is the next change of keys.
  await server.db.query('UPDATE signing_keys SET signs_from = now() WHERE kid = $1', [ahead!.kid]);
  await server.domain.signingKeys.rotate({ alg: 'EdDSA' }, OPERATOR);
  expect(await soon(async () => (await issue()).kid === ahead!.kid)).toBe(true);
  const second = await issue();

  const [atOnce] = await server.domain.signingKeys.rotate({ alg: 'ES256', now: true }, OPERATOR);
  expect(await soon(async () => (await issue()).kid === atOnce!.kid)).toBe(true);

  for (const { token } of [first, second]) {
    await jwtVerify(token, createLocalJWKSet(await keySet()), { issuer: server.issuer });
    expect((await introspect(server, client, token)).body).toMatchObject({ active: true });
    const api = await fetch(`${server.origin}/api/v1/providers`, { headers: { authorization: `Bearer ${token}` } });
    expect(api.status).toBe(200);
  }
});

test('row 7: no token is ever ahead of the published keys while they change under load', async () => {
  let done = false;
  const rotating = (async () => {
    for (let round = 0; round < 5; round += 1) {
      await server.domain.signingKeys.rotate({ alg: 'ES256', now: true }, OPERATOR);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    done = true;
  })();
  const kids = new Set<string>();
  for (let round = 0; round < 500 && !done; round += 1) kids.add((await issue()).kid);
  await rotating;
  expect(kids.size).toBeGreaterThan(1);
});
