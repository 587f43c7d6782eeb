/** `/oauth2/verify` as proxies ask it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../src/domain/audit.ts';
import { ROLE_IDS } from '../../src/domain/permissions.ts';
import { createSecretText } from '../../src/domain/secret-text.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  credentials,
  postForm,
  redeemCode,
} from '../support/flows.ts';
import { createClientKey, signDpopProof } from '../support/proofs.ts';
import { type RawAnswer, send } from '../support/request.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { soon } from '../support/soon.ts';

const REPORTS = 'https://reports.example.com';

let server: TestServer;
let port: number;
let person: Awaited<ReturnType<typeof createPerson>>;
let client: Awaited<ReturnType<typeof createTestClient>>;
let personal: string;
let networks = 0;

beforeAll(async () => {
  server = await startTestServer({ env: { TRUST_PROXY: '1' } });
  port = Number(new URL(server.origin).port);
  person = await createPerson(server);
  await server.domain.resourceServers.create(
    { identifier: REPORTS, name: 'Reports', scopes: [{ name: 'reports:read' }, { name: 'reports:write' }] },
    OPERATOR,
  );
  const allowedScopes = ['providers:read', 'reports:read'];
  client = await createTestClient(server, person.teamId, { allowedScopes });
  personal = (await makeKey(['providers:read', 'reports:read'])).text;
  await settled();
}, 30_000);
afterAll(() => server?.close());

const settled = () => server.domain.notifications.settle();
const makeKey = (scopes?: string[], { userId, teamId } = person) =>
  server.domain.apiKeys.createPersonal({ userId, teamId, name: 'k', ...(scopes && { scopes }) }, OPERATOR);
const tokenFor = async (resource?: string) =>
  (await clientCredentials(server, client, resource === undefined ? {} : { resource })).body.access_token as string;

interface Ask {
  resource?: string;
  scope?: string;
  method?: string;
  headers?: Record<string, string | string[]>;
  /** Appended as it is. */
  query?: string;
  body?: string;
  /** Where the caller of the proxy is. */
  from?: string;
}

function verify(credential: string | undefined, { resource, scope, query = '', headers, from, ...ask }: Ask = {}) {
  const named = new URLSearchParams({ ...(resource && { resource }), ...(scope && { scope }) });
  return send(port, {
    ...{ path: `/oauth2/verify?${named}${query}`, ...ask },
    headers: {
      ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
      // Every request from a network of its own, so that only who tests the limit meets it.
      'x-forwarded-for': from ?? `10.${++networks >> 8}.${networks & 255}.1`,
      ...headers,
    },
  });
}

/** What is said of whoever is let in. */
function identity({ headers }: RawAnswer): Record<string, unknown> {
  const ours = Object.entries(headers).filter(([name]) => name.startsWith('latchkey-'));
  return Object.fromEntries(ours.map(([name, value]) => [name.slice('latchkey-'.length), value]));
}

describe('who is let in', () => {
  test('each kind of credential for the own API is told by the same six headers', async () => {
    const { teamId, userId } = person;
    const team = await server.domain.apiKeys.createTeam({ teamId, name: 'ours' }, OPERATOR);
    const { key, text } = await makeKey(['providers:read', 'reports:read']);
    const machine = await tokenFor();
    const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
    const flow = await authorize(server, { ...person, clientId: app.clientId });
    const ofUser = (await redeemCode(server, app, flow.code, flow.pkce)).body.access_token;
    const jti = (token: string) => `access_token ${decodeJwt(token).jti}`;
    const byKey = { team: teamId, client: '' };
    for (const [credential, expected] of [
      [
        text,
        { ...byKey, subject: userId, kind: 'user', scope: 'providers:read', credential: `personal_key ${key.id}` },
      ],
      [
        team.text,
        {
          ...{ ...byKey, subject: `team:${teamId}`, kind: 'team', scope: 'providers:read providers:write' },
          credential: `team_key ${team.key.id}`,
        },
      ],
      [
        machine,
        {
          ...{ subject: client.clientId, kind: 'client', team: teamId, client: client.clientId },
          ...{ scope: 'providers:read', credential: jti(machine) },
        },
      ],
      [
        ofUser,
        {
          ...{ subject: userId, kind: 'user', team: teamId, client: app.clientId },
          ...{ scope: 'providers:read', credential: jti(ofUser) },
        },
      ],
    ] as const) {
      const answer = await verify(credential);
      expect([answer.status, answer.text, answer.headers['cache-control']]).toEqual([200, '', 'no-store']);
      expect(identity(answer)).toEqual(expected);
    }
  });

  test('a registered API: its tokens, and keys with its scopes alone', async () => {
    const token = await tokenFor(REPORTS);
    expect(identity(await verify(token, { resource: REPORTS }))).toMatchObject({
      scope: 'reports:read',
      kind: 'client',
    });
    expect(identity(await verify(personal, { resource: REPORTS }))).toMatchObject({ scope: 'reports:read' });
    expect(identity(await verify((await makeKey()).text, { resource: REPORTS }))).toMatchObject({ scope: '' });
    expect((await verify(token)).status).toBe(401);
    expect((await verify(await tokenFor(), { resource: REPORTS })).status).toBe(401);
  });

  test('any method will do, and a body is not waited for', async () => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      expect([method, (await verify(personal, { method })).status]).toEqual([method, 200]);
    }
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const posted = await verify(personal, { method: 'POST', body: 'access_token=x', headers: form });
    expect(posted.status).toBe(200);
    const socket = connect(port, '127.0.0.1');
    socket.write(`POST /oauth2/verify HTTP/1.1\r\nHost: localhost:${port}\r\nAuthorization: Bearer ${personal}\r\n`);
    socket.write('Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n');
    let answer = '';
    while (!answer.includes(' 200 OK')) answer += (await once(socket, 'data'))[0];
    socket.destroy();
  });

  test('the subrequest of nginx, as it comes: HTTP/1.0, with the headers of the request it is about', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.end(
      [
        `GET /oauth2/verify?resource=${encodeURIComponent(REPORTS)}&scope=reports%3Aread HTTP/1.0`,
        ...[`Host: localhost:${port}`, 'X-Forwarded-For: 10.99.0.1', 'Connection: close', 'User-Agent: curl/7.88.1'],
        ...[
          'Accept: */*',
          'Content-Type: application/json',
          `Authorization: Bearer ${personal}`,
          'Cookie: a=b',
          '',
          '',
        ],
      ].join('\r\n'),
    );
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toContain(`\r\nLatchkey-Subject: ${person.userId}\r\n`);
  });
});

describe('who is refused', () => {
  test('row 73: nothing presented is a bare challenge; what is malformed is a 401 too, the one word proxies know', async () => {
    const bare = await verify(undefined);
    expect([bare.status, bare.headers['www-authenticate']]).toEqual([401, expect.stringMatching(/^Bearer (?!error)/)]);
    const foreign = await verify(undefined, { headers: { authorization: 'Basic YTpi', cookie: 'session=x' } });
    expect([foreign.status, foreign.headers['www-authenticate']]).toEqual([401, bare.headers['www-authenticate']]);
    for (const headers of [
      { authorization: `Bearer ${personal} ${personal}` },
      { authorization: [`Bearer ${personal}`, `Bearer ${personal}`] },
      { authorization: 'Bearer' },
      { authorization: `Bearer ${personal}`, 'x-api-key': personal },
    ] as Record<string, string | string[]>[]) {
      const { status, headers: answered } = await verify(undefined, { headers });
      expect([headers, status]).toEqual([headers, 401]);
      expect(answered['www-authenticate']).toContain('error="invalid_request"');
    }
  });

  test('row 75: a credential in the query is none, and costs the one in the header', async () => {
    expect((await verify(undefined, { query: `&access_token=${personal}` })).status).toBe(401);
    expect((await verify(undefined, { query: `&api_key=${personal}` })).status).toBe(401);
    expect((await verify(personal, { query: '&access_token=x' })).status).toBe(401);
    expect(server.log.join('')).not.toContain(personal.slice(8, 40));
  });

  test('row 73: a credential that opens nothing; one that lacks a scope, with its name', async () => {
    const wrong = await verify(`${personal.slice(0, -4)}AAAA`);
    expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([401, expect.stringContaining('invalid_token')]);
    expect(identity(wrong)).toEqual({});
    const low = await verify(personal, { scope: 'providers:read providers:write' });
    expect([low.status, low.headers['www-authenticate']]).toEqual([
      403,
      expect.stringMatching(/error="insufficient_scope".*scope="providers:read providers:write"/),
    ]);
    expect(identity(low)).toEqual({});
    expect((await verify(personal, { scope: 'providers:read' })).status).toBe(200);
    expect((await verify(personal, { scope: 'reports:read' })).status).toBe(403);
    expect((await verify(personal, { resource: REPORTS, scope: 'reports:read' })).status).toBe(200);
  });

  test('row 82: a DPoP-bound token, with or without a proof: nobody knows for which URL', async () => {
    const key = await createClientKey();
    const url = `${server.issuer}/oauth2/token`;
    const dpop = await signDpopProof(key, { method: 'POST', url });
    const fields = { grant_type: 'client_credentials', ...credentials(client) };
    const { body } = await postForm(url, fields, { dpop });
    expect(body.token_type).toBe('DPoP');
    const asked = { method: 'GET', url: `${server.issuer}/oauth2/verify`, accessToken: body.access_token };
    const proof = await signDpopProof(key, asked);
    const authorization = `DPoP ${body.access_token}`;
    expect((await verify(undefined, { headers: { authorization, dpop: proof } })).status).toBe(401);
    expect((await verify(body.access_token)).status).toBe(401);
  });

  test('what the proxy asks is wrong: 400, which it tells its operator and not the caller', async () => {
    for (const ask of [
      { resource: 'https://unknown.example.com' },
      { resource: `${REPORTS}/` },
      { resource: REPORTS, query: `&resource=${encodeURIComponent(server.audience)}` },
      { scope: 'providers:read', query: '&scope=' },
      { query: '&scope=a%22b' },
      { query: '&scope=a%0D%0Ab' },
      { query: '&resource=%00' },
      { query: '&resource=' },
    ]) {
      const { status, headers, text } = await verify(personal, { ...ask, headers: { accept: 'text/html' } });
      expect([ask, status, identity({ headers } as RawAnswer)]).toEqual([ask, 400, {}]);
      expect(JSON.parse(text)).toMatchObject({ code: 3, message: expect.any(String), details: expect.any(Array) });
      expect(text).not.toContain('unknown.example.com');
    }
    expect((await verify(personal, { query: '&path=/a?b=c&page=2' })).status).toBe(200);
  });

  test('the Host of the request the proxy asks about changes nothing', async () => {
    const asked = await verify(personal, { headers: { host: 'reports.example.com' } });
    expect([asked.status, identity(asked)]).toMatchObject([200, { subject: person.userId }]);
  });
});

describe('what changes', () => {
  test('rows 90, 91: rights, keys, clients and consents count as they are now', async () => {
    const someone = await createPerson(server, { role: 'Operator' });
    const { text, key } = await makeKey(undefined, someone);
    const other = await createTestClient(server, person.teamId, { allowedScopes: ['providers:read', 'teams:read'] });
    const token = (await clientCredentials(server, other)).body.access_token;
    const scope = async (credential: string) => identity(await verify(credential)).scope;
    expect([await scope(text), await scope(token)]).toEqual([
      expect.stringContaining('providers:write'),
      'providers:read teams:read',
    ]);
    const teamRoles = [{ teamId: someone.teamId, roles: [ROLE_IDS.Viewer] }];
    await server.domain.users.update(someone.userId, { teamRoles }, {}, OPERATOR);
    await server.domain.oauthClients.update(other.id, { allowedScopes: ['teams:read'] }, {}, OPERATOR);
    await settled();
    expect([await scope(text), await scope(token)]).toEqual([
      expect.not.stringContaining('providers:write'),
      'teams:read',
    ]);
    await server.domain.apiKeys.revoke(key.id, {}, OPERATOR);
    await server.domain.oauthClients.disable(other.id, {}, OPERATOR);
    await settled();
    expect([(await verify(text)).status, (await verify(token)).status]).toEqual([401, 401]);
  });

  test('the resource server: which scopes it has, whether it takes keys, and that it is another one', async () => {
    const resource = 'urn:example:changing';
    const input = { identifier: resource, name: 'Changing', scopes: [{ name: 'changing:a' }, { name: 'changing:b' }] };
    let made = await server.domain.resourceServers.create(input, OPERATOR);
    const change = async (changes: object) => {
      made = await server.domain.resourceServers.update(made.id, changes, {}, OPERATOR);
      await settled();
    };
    await settled();
    const { text } = await makeKey(['changing:a', 'changing:b']);
    const allowedScopes = ['changing:a', 'changing:b'];
    const own = await createTestClient(server, person.teamId, { allowedScopes });
    const token = (await clientCredentials(server, own, { resource })).body.access_token;
    const exchange = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: text, resource };
    const exchanged = await postForm(`${server.origin}/oauth2/token`, {
      ...exchange,
      subject_token_type: 'urn:latchkey:token-type:api_key',
    });
    const all = [text, token, exchanged.body.access_token as string];
    const see = async () => {
      const answers = await Promise.all(all.map((one) => verify(one, { resource })));
      return answers.map((one) => (one.status === 200 ? identity(one).scope : one.status));
    };
    expect(await see()).toEqual(Array(3).fill('changing:a changing:b'));
    await change({ scopes: [{ name: 'changing:b' }] });
    expect(await see()).toEqual(Array(3).fill('changing:b'));
    await change({ acceptsApiKeys: false });
    expect(await see()).toEqual([401, 'changing:b', 401]);
    await change({ acceptsApiKeys: true });
    // What was got for a key before that stays ended.
    expect(await see()).toEqual(['changing:b', 'changing:b', 401]);

    await server.domain.resourceServers.delete(made.id, {}, OPERATOR);
    await settled();
    expect(await see()).toEqual([400, 400, 400]);
    await server.domain.resourceServers.create({ ...input, scopes: [] }, OPERATOR);
    await server.db.query(
      `UPDATE resource_servers SET created_at = now() + interval '2 seconds' WHERE identifier = $1`,
      [resource],
    );
    await settled();
    expect(await see()).toEqual(['', 401, 401]);
  });

  test('a key that is to be given up says so; after its day the refusal says why', async () => {
    const { text, key } = await makeKey(['providers:read']);
    const retiresAt = new Date(Date.now() + 3_600_000);
    const replacementUrl = 'https://docs.example.com/tokens';
    await server.domain.retirements.create({ keyId: key.id, retiresAt, replacementUrl }, {}, OPERATOR);
    await settled();
    const link = `<${replacementUrl}>; rel="deprecation sunset"`;
    const notice = { sunset: retiresAt.toUTCString(), link, deprecation: expect.stringMatching(/^@\d+$/) };
    const answers = [await verify(text), await verify(text, { scope: 'providers:write' })];
    expect(answers.map(({ status, headers }) => [status, headers])).toMatchObject([
      [200, notice],
      [403, notice],
    ]);
    await server.db.query(`UPDATE retirements SET retires_at = now() - interval '1 second' WHERE key_id = $1`, [
      key.id,
    ]);
    await settled();
    const { status, headers } = await verify(text);
    expect([status, headers]).toMatchObject([401, { link, sunset: expect.any(String) }]);
    expect((await verify(personal)).headers.sunset).toBeUndefined();
  });

  test('its requests are counted with those of the credential', async () => {
    const { text, key } = await makeKey(['providers:read']);
    for (const ask of [{}, { scope: 'providers:write' }, { resource: REPORTS }]) await verify(text, ask);
    await server.domain.credentialUses.flush();
    const { rows } = await server.db.query('SELECT kind, requests FROM credential_uses WHERE credential = $1', [
      key.id,
    ]);
    expect(rows).toEqual([{ kind: 'personal_key', requests: '3' }]);
  });
});

describe('how many wrong ones', () => {
  const count = (answers: { status: number }[], status: number) =>
    answers.filter((one) => one.status === status).length;
  const guesses = (many: number) => Array.from({ length: many }, () => createSecretText('lkp_').text);

  /**
   * Asks for all at once while only keys in memory are found. `meanwhile` begins when fifty are refused.
   * @returns the answers, the first ones to come before others
   */
  async function askHeldUp(texts: string[], from: string, meanwhile?: () => Promise<void>): Promise<Response[]> {
    const answers: Response[] = [];
    const ask = (text: string) =>
      fetch(`${server.origin}/oauth2/verify`, {
        headers: { authorization: `Bearer ${text}`, 'x-forwarded-for': from },
      });
    let asked: Promise<unknown> | undefined;
    await server.db.transaction(async (tx) => {
      await tx.query('LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE');
      asked = Promise.all(texts.map(async (text) => answers.push(await ask(text))));
      expect(await soon(async () => answers.length === 50)).toBe(true);
      await meanwhile?.();
    });
    await asked;
    return answers;
  }

  test('row F13: 60 of one network within 10 seconds, and 50 in turn; what was good lately goes on', async () => {
    const from = '192.0.2.7';
    const good = (await makeKey()).text;
    expect((await verify(good, { from })).status).toBe(200);
    const answers = await askHeldUp(guesses(160), from, async () => {
      expect((await verify(good, { from })).status).toBe(200);
      expect((await verify(undefined, { from, headers: { authorization: `bearer   ${good}` } })).status).toBe(200);
      expect((await verify(good, { from, scope: 'reports:none' })).status).toBe(403);
      expect((await verify(undefined, { from })).status).toBe(401);
    });
    expect([count(answers, 401), count(answers, 429)]).toEqual([110, 50]);
    const { headers, status } = answers[0]!;
    expect([status, headers.get('retry-after'), headers.get('cache-control')]).toEqual([429, '10', 'no-store']);
    expect(await answers[0]!.json()).toMatchObject({ code: 8 });
    // One that nobody knows yet has its turn as well.
    expect((await verify((await makeKey()).text, { from })).status).toBe(200);
  });

  test('good ones cost nothing, however many there are, one after another or at once', async () => {
    const from = '2001:db8::1';
    const keys = await Promise.all(Array.from({ length: 100 }, () => makeKey()));
    for (const { text } of keys.slice(0, 70)) expect((await verify(text, { from })).status).toBe(200);
    expect((await verify(personal, { from, scope: 'reports:none' })).status).toBe(403);
    const at = (network: string, texts: string[]) => Promise.all(texts.map((text) => verify(text, { from: network })));
    const fresh = keys.map(({ text }) => text);
    expect(count(await at('2001:db8:1::2', fresh), 200)).toBe(100);
    expect(count(await at('2001:db8:1::3', Array(100).fill((await makeKey()).text)), 200)).toBe(100);
  });

  test('tokens are renewed all the time: beside whoever guesses, new ones are let in', async () => {
    const from = '192.0.2.12';
    const token = await tokenFor();
    await askHeldUp(guesses(160), from, async () => {
      expect((await verify(token, { from })).status).toBe(200);
      expect((await verify(`${token.slice(0, -8)}AAAAAAAA`, { from })).status).toBe(401);
    });
  });

  test('a good one that was revoked is one of the wrong ones', async () => {
    const from = '192.0.2.9';
    const { text, key } = await makeKey();
    expect((await verify(text, { from })).status).toBe(200);
    await server.domain.apiKeys.revoke(key.id, {}, OPERATOR);
    await settled();
    expect((await verify(text, { from })).status).toBe(401);
    await askHeldUp(guesses(160), from, async () => {
      expect((await verify(text, { from })).status).toBe(429);
    });
  });
});
