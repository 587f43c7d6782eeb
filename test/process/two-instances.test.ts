/** Two processes on one database, behind no balancer at all: every request may meet either of them. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createDomain, type Domain } from '../../src/domain/index.ts';
import { type Database, openDatabase } from '../../src/storage/pool.ts';
import type { Browser } from '../support/browser.ts';
import { createEmptyDatabase } from '../support/empty-database.ts';
import {
  authorizationUrl,
  authorize,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
  credentials,
  type Pkce,
  REDIRECT_URI,
} from '../support/flows.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { freePort, killRemaining, type Process, startProcess } from '../support/process.ts';
import { type RawAnswer, type RawRequest, send } from '../support/request.ts';
import type { TestServer } from '../support/server.ts';

const ROUNDS = 50;
const PARALLEL = 20;
const SECRET = randomBytes(32).toString('base64url');

describe('two instances on one database', () => {
  let database: TestDatabase;
  let instances: [Process, Process];
  let issuer: string;
  let db: Database;
  /** A third process's view of the database, as the command line has it. */
  let domain: Domain;
  let server: TestServer;

  beforeAll(async () => {
    database = await createEmptyDatabase();
    const ports = [await freePort(), await freePort()] as const;
    issuer = `http://localhost:${ports[0]}`;
    const env = { DATABASE_URL: database.connectionString, SECRET, ISSUER: issuer };
    instances = await Promise.all([startProcess({ port: ports[0], env }), startProcess({ port: ports[1], env })]);
    db = openDatabase({ connectionString: database.connectionString });
    domain = createDomain({
      db,
      secrets: [SECRET],
      lifetimes: { idToken: 3600, session: 604_800, sessionIdle: 86_400 },
      onError: (error) => console.error(error),
    });
    await domain.notifications.start();
    server = { domain, db, origin: issuer } as unknown as TestServer;
  }, 60_000);

  afterAll(async () => {
    await killRemaining();
    await domain?.close();
    await db?.close();
    await database?.drop();
  });

  /** To one of them, under the name both have. */
  function ask(instance: number, request: RawRequest): Promise<RawAnswer> {
    return send(instances[instance % 2]!.port, { host: new URL(issuer).host, ...request });
  }

  const token = (instance: number, body: Record<string, string>) => ask(instance, { path: '/oauth2/token', body });

  /** Whether the token, looked at by its own app, is active. */
  const isActive = async (instance: number, caller: Record<string, string>, text: string) =>
    (await ask(instance, { path: '/oauth2/introspect', body: { ...caller, token: text } })).body.active as boolean;

  const callApi = (instance: number, bearer: string) =>
    ask(instance, { path: '/api/v1/providers', headers: { authorization: `Bearer ${bearer}` } });

  async function createParty() {
    const person = await createPerson(server);
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const { browser, code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
    return { person, app, browser, code, pkce };
  }

  /** Another code for who is logged in and has consented: no page, one request. */
  async function nextCode(browser: Browser, clientId: string, pkce: Pkce): Promise<string> {
    const { location = '' } = await browser.get(authorizationUrl(server, clientId, pkce));
    return new URL(location).searchParams.get('code')!;
  }

  /** One request, twenty times at once over both; gives the winner's answer. */
  async function race(body: Record<string, string>): Promise<{ body: Record<string, string>; losers: string[] }> {
    const answers = await Promise.all(Array.from({ length: PARALLEL }, (_, index) => token(index, body)));
    const won = answers.filter((answer) => answer.status === 200);
    const lost = answers.filter((answer) => answer.status !== 200);
    expect(won).toHaveLength(1);
    return { body: won[0]!.body, losers: lost.map((answer) => `${answer.status} ${answer.body.error}`) };
  }

  async function inRounds<T>(work: (round: number) => Promise<T>): Promise<T[]> {
    const results: T[] = [];
    for (let round = 0; round < ROUNDS; round += 2) {
      results.push(...(await Promise.all([work(round), work(round + 1)])));
    }
    return results;
  }

  test('row F11: started at once on an empty database, one migrates and makes the keys, and both serve', async () => {
    const migrated = instances.map((one) => one.log().filter(({ msg }) => msg === 'migrated').length);
    expect([...migrated].sort()).toEqual([0, expect.any(Number)]);
    expect(Math.max(...migrated)).toBeGreaterThanOrEqual(5);
    const { rows } = await db.query('SELECT alg FROM signing_keys ORDER BY alg');
    expect(rows.map(({ alg }) => alg)).toEqual(['ES256', 'EdDSA', 'RS256']);
    const [a, b] = await Promise.all([0, 1].map((one) => ask(one, { path: '/oauth2/jwks' })));
    expect(a!.body.keys).toHaveLength(3);
    expect(b!.text).toBe(a!.text);
  });

  test('rows 41, 63: of 20 parallel redemptions of a code, and 20 of a refresh token, exactly one gets tokens, which live', async () => {
    const { app, browser } = await createParty();
    const [pkce, refused] = [createPkce(), Array(PARALLEL - 1).fill('400 invalid_grant')];
    const codes = await inRounds(() => nextCode(browser, app.clientId, pkce));
    expect(new Set(codes).size).toBe(ROUNDS);
    const redeemed = await inRounds(async (round) => {
      const { body, losers } = await race({
        ...credentials(app),
        grant_type: 'authorization_code',
        code: codes[round]!,
        code_verifier: pkce.verifier,
        redirect_uri: REDIRECT_URI,
      });
      expect(losers).toEqual(refused);
      return body;
    });
    const refreshed = await inRounds(async (round) => {
      const { body, losers } = await race({
        ...credentials(app),
        grant_type: 'refresh_token',
        refresh_token: redeemed[round]!.refresh_token!,
      });
      expect(losers).toEqual(refused);
      return body;
    });
    const tokens = refreshed.flatMap((body) => [body.access_token!, body.refresh_token!]);
    const live = await Promise.all(tokens.map((text, index) => isActive(index, credentials(app), text)));
    expect(live).toEqual(Array(2 * ROUNDS).fill(true));
    expect(new Set(tokens).size).toBe(2 * ROUNDS);
  }, 60_000);

  test('row 58: of 20 parallel uses of one client assertion exactly one counts', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] };
    const team = await domain.teams.create({ name: 'Asserting' }, OPERATOR);
    const { clientId } = await createTestClient(server, team.id, { tokenEndpointAuthMethod: 'private_key_jwt', jwks });
    const assertion = new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(issuer)
      .setIssuedAt()
      .setExpirationTime('1m');
    const { losers } = await race({
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await assertion.sign(privateKey),
      grant_type: 'client_credentials',
    });
    expect(losers).toEqual(Array(PARALLEL - 1).fill('401 invalid_client'));
  });

  test('rows 59, 67, 81, 91, 93: what ends anywhere is refused by every instance within a second', async () => {
    const { person, app, code, pkce } = await createParty();
    const method = { tokenEndpointAuthMethod: 'client_secret_post' };
    const [client, closed] = await Promise.all([
      createTestClient(server, person.teamId, method),
      createTestClient(server, person.teamId, method),
    ]);
    const personal = await domain.apiKeys.createPersonal({ ...person, name: 'Personal' }, OPERATOR);
    const team = await domain.apiKeys.createTeam({ teamId: person.teamId, name: 'Team' }, OPERATOR);
    const redeem = { grant_type: 'authorization_code', code, code_verifier: pkce.verifier, redirect_uri: REDIRECT_URI };
    const { body: tokens } = await token(0, { ...credentials(app), ...redeem });
    const first = await token(0, { ...credentials(client), grant_type: 'client_credentials' });

    // Asked of both; the first time puts each answer in the memory of both.
    const works = {
      clientSecret: (one) => statusOf(token(one, { ...credentials(client), grant_type: 'client_credentials' })),
      client: (one) => statusOf(token(one, { ...credentials(closed), grant_type: 'client_credentials' })),
      clientToken: (one) => statusOf(callApi(one, first.body.access_token)),
      personalKey: (one) => statusOf(callApi(one, personal.text)),
      teamKey: (one) => statusOf(callApi(one, team.text)),
      userToken: (one) => statusOf(callApi(one, tokens.access_token)),
      app: (one) => statusOf(ask(one, { path: authorizationUrl(server, app.clientId, pkce).slice(issuer.length) })),
    } satisfies Record<string, (instance: number) => Promise<number>>;
    const both = async (name: keyof typeof works) => [await works[name](0), await works[name](1)];
    for (const name of Object.keys(works) as (keyof typeof works)[]) {
      expect([name, ...(await both(name))]).toEqual([name, ...Array(2).fill(name === 'app' ? 303 : 200)]);
    }

    async function endsWithinASecond(name: keyof typeof works, status: number, end: () => Promise<unknown>) {
      await end();
      const deadline = Date.now() + 1_000;
      let seen = await both(name);
      while (seen.some((one) => one !== status) && Date.now() < deadline) seen = await both(name);
      expect([name, ...seen]).toEqual([name, status, status]);
    }
    await endsWithinASecond('teamKey', 401, () => domain.apiKeys.revoke(team.key.id, {}, OPERATOR));
    const owner = { kind: 'client', id: client.id } as const;
    const [secret] = await domain.clientSecrets.list(owner);
    await endsWithinASecond('clientSecret', 401, () =>
      domain.clientSecrets.end(owner, secret!.id, { force: true }, OPERATOR),
    );
    await endsWithinASecond('client', 401, () => domain.oauthClients.disable(closed.id, {}, OPERATOR));
    await endsWithinASecond('clientToken', 401, () => domain.oauthClients.disable(client.id, {}, OPERATOR));
    await endsWithinASecond('userToken', 401, () => domain.users.setEnabled(person.userId, false, OPERATOR));
    await endsWithinASecond('personalKey', 401, async () => {});
    await endsWithinASecond('app', 400, () => domain.oauthApps.disable(app.id, OPERATOR));
  });

  test('row 81: an access token revoked on one instance is refused by the other within a second', async () => {
    const team = await domain.teams.create({ name: 'Revoking' }, OPERATOR);
    const client = await createTestClient(server, team.id, { tokenEndpointAuthMethod: 'client_secret_post' });
    const { body } = await token(0, { ...credentials(client), grant_type: 'client_credentials' });
    expect((await callApi(1, body.access_token)).status).toBe(200);
    await ask(0, { path: '/oauth2/revoke', body: { ...credentials(client), token: body.access_token } });
    await eventually(async () => (await callApi(1, body.access_token)).status === 401);
  });

  test('row 7: a rotated signing key is published by both before either signs with it', async () => {
    const kids = async (one: number) =>
      (await ask(one, { path: '/oauth2/jwks' })).body.keys.map(({ kid }: { kid: string }) => kid);
    const team = await domain.teams.create({ name: 'Rotating' }, OPERATOR);
    const client = await createTestClient(server, team.id, { tokenEndpointAuthMethod: 'client_secret_post' });
    const signedWith = async (one: number) => {
      const { body } = await token(one, { ...credentials(client), grant_type: 'client_credentials' });
      return decodeProtectedHeader(body.access_token).kid;
    };
    const before = await signedWith(0);
    const [planned] = await domain.signingKeys.rotate({ alg: 'ES256' }, OPERATOR);
    await eventually(async () => (await kids(0)).includes(planned!.kid) && (await kids(1)).includes(planned!.kid));
    expect([await signedWith(0), await signedWith(1)]).toEqual([before, before]);
    const [urgent] = await domain.signingKeys.rotate({ alg: 'ES256', now: true }, OPERATOR);
    await eventually(async () => (await signedWith(0)) === urgent!.kid && (await signedWith(1)) === urgent!.kid);
    expect(await kids(1)).toEqual(expect.arrayContaining([before, urgent!.kid]));
  });
});

async function statusOf(answer: Promise<RawAnswer>): Promise<number> {
  return (await answer).status;
}

/** Within one second. */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 1_000;
  while (!(await holds())) if (Date.now() > deadline) throw new Error('not within a second');
}
