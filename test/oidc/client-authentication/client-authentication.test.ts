import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { later } from '../../support/clock.ts';
import { clientCredentials, createPerson, createTestApp, createTestClient, postForm } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

let server: TestServer;
let teamId: string;
let client: Awaited<ReturnType<typeof createTestClient>>;

beforeAll(async () => {
  server = await startTestServer();
  ({ teamId } = await createPerson(server));
  client = await createTestClient(server, teamId);
});
afterAll(() => server.close());

const ENDPOINTS = ['token', 'introspect', 'revoke', 'par'];
const FIELDS = { grant_type: 'client_credentials', token: 'x' };

function post(endpoint: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
  return postForm(`${server.origin}/oauth2/${endpoint}`, fields, headers);
}

function basic(id: string, secret: string): Record<string, string> {
  const text = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
  return { authorization: `Basic ${Buffer.from(text).toString('base64')}` };
}

/** Everything that could tell two answers apart. */
function shape({ status, headers, text }: { status: number; headers: Headers; text: string }) {
  const kept = [...headers].filter(([name]) => !['date', 'x-request-id'].includes(name));
  return { status, headers: kept, text };
}

describe('without proof of who is asking', () => {
  test('row 44: no client authentication at all is invalid_client at every endpoint', async () => {
    for (const endpoint of ENDPOINTS) {
      for (const fields of [FIELDS, {}, { ...FIELDS, client_secret: client.clientSecret }]) {
        const { status, body, headers } = await post(endpoint, fields as Record<string, string>);
        expect([endpoint, status, body.error]).toEqual([endpoint, 401, 'invalid_client']);
        expect(headers.get('www-authenticate')).toMatch(/^Basic realm="/);
      }
    }
  });

  test('row 44: a client_id alone is no authentication for a client that has a secret', async () => {
    for (const endpoint of ENDPOINTS) {
      const { status, body } = await post(endpoint, { ...FIELDS, client_id: client.clientId });
      expect([endpoint, status, body.error]).toEqual([endpoint, 401, 'invalid_client']);
    }
  });

  test('rows 45, 46: unknown client, disabled client and wrong secret get one answer', async () => {
    const disabled = await createTestClient(server, teamId);
    await server.domain.oauthClients.disable(disabled.id, {}, OPERATOR);
    const wrong = `${client.clientSecret.slice(0, -1)}${client.clientSecret.endsWith('A') ? 'B' : 'A'}`;
    for (const endpoint of ENDPOINTS) {
      const answers = [];
      for (const [id, secret] of [
        [client.clientId, wrong],
        [client.clientId, 'x'],
        [client.clientId, client.clientSecret.toUpperCase()],
        [client.clientId, `${client.clientSecret}A`],
        [client.clientId, client.clientSecret.slice(0, -1)],
        ['svc_unknown', wrong],
        ['__proto__', wrong],
        [disabled.clientId, disabled.clientSecret],
      ] as const) {
        const byHeader = await post(endpoint, FIELDS, basic(id, secret));
        expect(byHeader.headers.get('www-authenticate')).toMatch(/^Basic realm="/);
        answers.push(byHeader);
      }
      expect(shape(answers[0]!)).toMatchObject({ status: 401 });
      expect(answers[0]!.body).toMatchObject({ error: 'invalid_client' });
      for (const answer of answers) expect(shape(answer)).toEqual(shape(answers[0]!));
    }
  });
});

describe('how it is sent', () => {
  test('row 47: one method per request, and never in the address', async () => {
    const { clientId: client_id, clientSecret: client_secret } = client;
    const twice = await post('token', { ...FIELDS, client_id, client_secret }, basic(client_id, client_secret));
    expect([twice.status, twice.body.error]).toEqual([400, 'invalid_request']);
    for (const query of [`client_id=${client_id}&client_secret=${client_secret}`, `client_secret=${client_secret}`]) {
      const { status, text } = await post(`token?${query}`, { grant_type: 'client_credentials' });
      expect([400, 401]).toContain(status);
      expect(text).not.toMatch(/access_token/);
    }
    const half = await post(`token?client_secret=${client_secret}`, { ...FIELDS, client_id });
    expect(half.status).toBe(401);
  });

  test('row 47: secret methods stand in for each other, but not for the others', async () => {
    for (const tokenEndpointAuthMethod of ['client_secret_basic', 'client_secret_post']) {
      const one = await createTestClient(server, teamId, { tokenEndpointAuthMethod });
      expect((await clientCredentials(server, one)).status).toBe(200);
      expect((await post('token', FIELDS, basic(one.clientId, one.clientSecret))).status).toBe(200);
    }
    const open = await createTestApp(server, { type: 'public' });
    const { status, body } = await post('token', FIELDS, basic(open.clientId, 'x'));
    expect([status, body.error]).toEqual([401, 'invalid_client']);
  });

  test('row 48: Basic values are form-urlencoded, and what is not is refused', async () => {
    const encoded = [...client.clientSecret].map((c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
    const header = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    expect((await post('token', FIELDS, header(`${client.clientId}:${encoded}`))).status).toBe(200);
    const lowerCase = { authorization: basic(client.clientId, client.clientSecret).authorization!.replace('B', 'b') };
    expect((await post('token', FIELDS, lowerCase)).status).toBe(200);
    // Not ours, but other people's secrets: read as they were meant, they are only wrong.
    const special = await post('token', FIELDS, basic(client.clientId, ':%+ é&='));
    expect([400, 401]).toContain(special.status);
    for (const authorization of [
      'Basic',
      'Basic ',
      'Basic !',
      `Basic ${Buffer.from('no colon').toString('base64')}`,
      `Basic ${Buffer.from(`${client.clientId}:%zz`).toString('base64')}`,
      `Basic ${Buffer.from(`${client.clientId}:`).toString('base64')}`,
      `Bearer ${client.clientSecret}`,
    ]) {
      const { status, body } = await post('token', FIELDS, { authorization });
      expect([400, 401]).toContain(status);
      expect(body.error).toMatch(/^invalid_(request|client)$/);
    }
  });

  test('row 49: a form in a POST, each parameter once', async () => {
    const { clientId: client_id, clientSecret: client_secret } = client;
    const url = `${server.origin}/oauth2/token`;
    const json = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...FIELDS, client_id, client_secret }),
    });
    expect([400, 415]).toContain(json.status);
    await json.text();
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const { status } = await fetch(`${url}?grant_type=client_credentials`, {
        method,
        headers: basic(client_id, client_secret),
      });
      expect([404, 405]).toContain(status);
    }
    for (const repeated of ['scope', 'grant_type', 'client_id', 'client_secret', 'resource']) {
      const fields = new URLSearchParams({ ...FIELDS, client_id, client_secret, scope: 'providers:read' });
      fields.append('resource', 'https://one.example');
      fields.append(repeated, repeated === 'resource' ? 'https://two.example' : fields.get(repeated)!);
      const answer = await fetch(url, { method: 'POST', body: fields });
      expect([repeated, answer.status]).toEqual([repeated, 400]);
      expect(await answer.text()).not.toMatch(/access_token/);
    }
  });
});

describe('what it may be used for', () => {
  test('rows 50, 130: grants that do not exist are unsupported_grant_type', async () => {
    for (const grant_type of [
      'password',
      'implicit',
      'urn:ietf:params:oauth:grant-type:device_code',
      'urn:ietf:params:oauth:grant-type:token_exchange',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'urn:openid:params:grant-type:ciba',
      '__proto__',
      'constructor',
      'CLIENT_CREDENTIALS',
    ]) {
      const { status, body } = await clientCredentials(server, client, {
        grant_type,
        username: 'a',
        password: 'b',
        subject_token: 'x',
      });
      expect([grant_type, status, body.error]).toEqual([grant_type, 400, 'unsupported_grant_type']);
    }
    const none = await post('token', { client_id: client.clientId, client_secret: client.clientSecret });
    expect([none.status, none.body.error]).toEqual([400, 'invalid_request']);
  });

  test('row 51: a grant that is not for this client is unauthorized_client', async () => {
    const app = await createTestApp(server);
    const online = await createTestApp(server, { allowedScopes: ['openid'] });
    for (const [who, fields] of [
      [app, { grant_type: 'client_credentials' }],
      [client, { grant_type: 'authorization_code', code: 'x', redirect_uri: 'https://app.example.com/callback' }],
      [client, { grant_type: 'refresh_token', refresh_token: 'x' }],
      [online, { grant_type: 'refresh_token', refresh_token: 'x' }],
    ] as const) {
      const { status, body } = await clientCredentials(server, who, fields as Record<string, string>);
      expect([fields.grant_type, status, body.error]).toEqual([fields.grant_type, 400, 'unauthorized_client']);
    }
  });

  test('a machine client cannot send people to log in', async () => {
    const answer = await fetch(
      `${server.origin}/oauth2/authorize?${new URLSearchParams({
        client_id: client.clientId,
        response_type: 'code',
        redirect_uri: 'https://app.example.com/callback',
        scope: 'providers:read',
      })}`,
      { redirect: 'manual' },
    );
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
  });
});

test('row 52: no answer of these endpoints is stored, good or bad', async () => {
  const { clientId: client_id, clientSecret: client_secret } = client;
  for (const endpoint of ENDPOINTS) {
    for (const fields of [
      { ...FIELDS, client_id, client_secret },
      { ...FIELDS, client_id, client_secret: 'wrong' },
      FIELDS,
      { client_id, client_secret, scope: '"', token: 'a', grant_type: 'password' },
    ]) {
      const { headers, status } = await post(endpoint, fields as Record<string, string>);
      expect([endpoint, status, headers.get('cache-control')]).toEqual([endpoint, status, 'no-store']);
      expect(headers.get('content-type')).toMatch(/^application\/json/);
    }
  }
});

test('row 59: two secrets live side by side while one replaces the other, then the old one is dead', async () => {
  const { id, clientId, clientSecret } = await createTestClient(server, teamId);
  const owner = { kind: 'client', id } as const;
  const works = async (secret: string) =>
    (await clientCredentials(server, { clientId, clientSecret: secret })).status === 200;
  expect(await works(clientSecret)).toBe(true);
  const { text } = await server.domain.clientSecrets.add(owner, { overlapSeconds: 60 }, OPERATOR);
  expect(await soon(() => works(text))).toBe(true);
  expect(await works(clientSecret)).toBe(true);
  expect(await later(61, () => works(clientSecret))).toBe(false);
  expect(await later(61, () => works(text))).toBe(true);

  const { secret, text: last } = await server.domain.clientSecrets.add(owner, { overlapSeconds: 0 }, OPERATOR);
  expect(await soon(() => works(last))).toBe(true);
  expect([await works(clientSecret), await works(text)]).toEqual([false, false]);
  await server.domain.clientSecrets.end(owner, secret.id, { force: true }, OPERATOR);
  expect(await soon(async () => !(await works(last)))).toBe(true);
});
