/**
 * Every kind of credential at every kind of API: five frameworks that know the server by its address only, and an API in
 * the server's own process. The same principal, status, body and headers, to the byte.
 */
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt, exportSPKI, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import { OPERATOR } from '../../src/domain/audit.ts';
import { digestOf } from '../../src/domain/secret-text.ts';
import { createResourceOptions, ownApi } from '../../src/http/resource-options.ts';
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
import { startTestServer, type TestServer } from '../support/server.ts';
import { FRAMEWORKS, startFramework } from './frameworks.ts';
import { createKey } from './issuer.ts';

type Api = Omit<Awaited<ReturnType<typeof startFramework>>, 'name'> & { name: string };

const KINDS = [
  'JWT by code',
  'JWT by client credentials',
  'exchanged JWT of a personal key',
  'exchanged JWT of a team key',
  'delegated JWT',
  'personal key',
  'team key',
  'imported key',
] as const;
type Kind = (typeof KINDS)[number];

interface Credential {
  text: string;
  /** What the principal says of it. */
  principal: Record<string, unknown>;
  /** Ends just this one. */
  revoke(): Promise<unknown>;
  /** Keys only: makes it end by its own date, now. */
  expire?(): Promise<unknown>;
}

const COMPARED = ['content-type', 'www-authenticate', 'cache-control', 'retry-after', 'deprecation', 'sunset', 'link'];

let server: TestServer;
let apis: Api[];
let person: { userId: string; email: string; teamId: string };
let good: Record<Kind, Credential>;

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server, { role: 'Operator' });
  const asker = await createTestClient(server, person.teamId, { allowedScopes: ['credentials:introspect'] });
  const { clientId, clientSecret } = asker;
  const legacyKeys = (text: string) => text.startsWith('acme_');
  const remote = {
    ...{ issuer: server.issuer, audience: server.audience, legacyKeys },
    introspection: { clientId, clientSecret, cacheSeconds: 0 },
  };
  const published = { keys: (await server.domain.signingKeys.current()).published };
  const { options: inProcess } = createResourceOptions(
    {
      ...server.domain,
      issuer: server.issuer,
      publishedKeys: () => published,
      isRevoked: server.domain.revocations.isRevoked,
      onError: (error) => console.error(error),
    },
    ownApi(server.audience),
  );
  apis = await Promise.all([
    ...FRAMEWORKS.map((name) => startFramework(name, remote)),
    startFramework('koa', inProcess).then((api) => ({ ...api, name: 'in process' })),
  ]);
  good = await createAll();
});
afterAll(async () => {
  await Promise.all((apis ?? []).map((api) => api.stop()));
  await server?.close();
});

const ACCESS_TOKEN = { credential: { kind: 'access_token' } };

async function createAll(): Promise<Record<Kind, Credential>> {
  const all = {} as Record<Kind, Credential>;
  for (const kind of KINDS) all[kind] = await MAKE[kind]();
  return all;
}

const revokeAt = (fields: Record<string, string>) => postForm(`${server.origin}/oauth2/revoke`, fields);

function expireKey(id: string) {
  return server.db.query(`UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = $1`, [id]);
}

async function personalKey() {
  const { key, text } = await server.domain.apiKeys.createPersonal({ ...person, name: 'Key' }, OPERATOR);
  return { id: key.id, text };
}

async function teamKey() {
  const { key, text } = await server.domain.apiKeys.createTeam({ teamId: person.teamId, name: 'Key' }, OPERATOR);
  return { id: key.id, text };
}

async function userToken() {
  const app = await createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post' });
  const { code, pkce } = await authorize(server, { ...person, clientId: app.clientId });
  const { body } = await redeemCode(server, app, code, pkce);
  return { app, text: body.access_token as string };
}

async function exchanged(fields: Record<string, string>): Promise<string> {
  const { status, body } = await postForm(`${server.origin}/oauth2/token`, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    ...fields,
  });
  expect({ status, error: body.error_description }).toEqual({ status: 200, error: undefined });
  return body.access_token;
}

const exchangedKey = (text: string) =>
  exchanged({ subject_token: text, subject_token_type: 'urn:latchkey:token-type:api_key' });

const MAKE: Record<Kind, () => Promise<Credential>> = {
  async 'JWT by code'() {
    const { app, text } = await userToken();
    const principal = { kind: 'user', subject: person.userId, clientId: app.clientId, ...ACCESS_TOKEN };
    return { text, principal, revoke: () => revokeAt({ token: text, ...credentials(app) }) };
  },
  async 'JWT by client credentials'() {
    const client = await createTestClient(server, person.teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
    const { body } = await clientCredentials(server, client);
    const { clientId } = client;
    const principal = { kind: 'client', subject: clientId, clientId, ...ACCESS_TOKEN };
    return {
      text: body.access_token,
      principal,
      revoke: () => revokeAt({ token: body.access_token, ...credentials(client) }),
    };
  },
  async 'exchanged JWT of a personal key'() {
    const key = await personalKey();
    const text = await exchangedKey(key.text);
    const principal = { kind: 'user', subject: person.userId, clientId: `key:${key.id}`, ...ACCESS_TOKEN };
    return { text, principal, revoke: () => revokeAt({ token: key.text }) };
  },
  async 'exchanged JWT of a team key'() {
    const key = await teamKey();
    const text = await exchangedKey(key.text);
    const subject = `team:${person.teamId}`;
    const principal = { kind: 'team', subject, clientId: `key:${key.id}`, ...ACCESS_TOKEN };
    return { text, principal, revoke: () => revokeAt({ token: key.text }) };
  },
  async 'delegated JWT'() {
    const { app, text: parent } = await userToken();
    const actor = await createTestClient(server, person.teamId, {
      allowedScopes: ['credentials:introspect', 'providers:read'],
      tokenEndpointAuthMethod: 'client_secret_post',
    });
    const text = await exchanged({
      ...credentials(actor),
      subject_token: parent,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'providers:read',
    });
    const principal = { kind: 'user', subject: person.userId, clientId: actor.clientId, ...ACCESS_TOKEN };
    return { text, principal, revoke: () => revokeAt({ token: parent, ...credentials(app) }) };
  },
  async 'personal key'() {
    const { id, text } = await personalKey();
    const principal = { kind: 'user', subject: person.userId, credential: { kind: 'personal_key', id } };
    return { text, principal, revoke: () => revokeAt({ token: text }), expire: () => expireKey(id) };
  },
  async 'team key'() {
    const { id, text } = await teamKey();
    const principal = { kind: 'team', subject: `team:${person.teamId}`, credential: { kind: 'team_key', id } };
    return { text, principal, revoke: () => revokeAt({ token: text }), expire: () => expireKey(id) };
  },
  async 'imported key'() {
    const text = `acme_${randomUUID()}`;
    const digest = digestOf(text).toString('hex');
    const fields = {
      digest,
      algorithm: 'sha256',
      prefix: 'acme_',
      last_four: text.slice(-4),
      team: person.teamId,
      name: `Key ${randomUUID()}`,
    };
    const { problems } = await server.domain.keyImport.run([{ line: 1, fields }], { source: 'test' }, OPERATOR);
    expect(problems).toEqual([]);
    await server.domain.notifications.settle();
    const { rows } = await server.db.query<{ id: string }>('SELECT id FROM api_keys WHERE name = $1', [fields.name]);
    const { id } = rows[0]!;
    const principal = { kind: 'team', subject: `team:${person.teamId}`, credential: { kind: 'team_key', id } };
    return { text, principal, revoke: () => revokeAt({ token: text }), expire: () => expireKey(id) };
  },
};

interface Answer {
  status: number | undefined;
  headers: Record<string, unknown>;
  body: string;
}

function ask({ port }: Api, credential: string): Promise<Answer> {
  const options = { host: '127.0.0.1', port, headers: { authorization: `Bearer ${credential}` }, agent: false };
  return new Promise((resolve, reject) => {
    const sent = request(options, async (res) => {
      let body = '';
      for await (const chunk of res) body += chunk;
      const headers = Object.fromEntries(COMPARED.map((name) => [name, res.headers[name]]));
      resolve({ status: res.statusCode, headers, body });
    });
    sent.on('error', reject).end();
  });
}

/** Asks all; for a refusal the one answer all gave, to the byte. */
async function refusalOf(credential: string): Promise<Answer> {
  const answers: Record<string, Answer> = {};
  for (const api of apis) answers[api.name] = await ask(api, credential);
  const first = Object.values(answers)[0]!;
  expect(answers).toEqual(Object.fromEntries(Object.keys(answers).map((name) => [name, first])));
  return first;
}

async function expectRefused(credential: string, message: string): Promise<void> {
  const { status, headers, body } = await refusalOf(credential);
  expect({ status, message: JSON.parse(body).message }).toEqual({ status: 401, message });
  expect(headers['www-authenticate']).toMatch(/^Bearer error="invalid_token", .*resource_metadata="/);
}

const messageFor = (text: string) => (text.split('.').length === 3 ? 'Invalid access token' : 'Unauthenticated');

describe('every credential, in Koa, Express, Fastify, Hono, node:http and the server itself', () => {
  test.each(KINDS)('rows 69, 88: a good one, %s: the same principal everywhere', async (kind) => {
    const { text, principal } = good[kind];
    const seen: Record<string, unknown> = {};
    for (const api of apis) {
      const { status, body } = await ask(api, text);
      expect({ [api.name]: status }).toEqual({ [api.name]: 200 });
      seen[api.name] = JSON.parse(body);
    }
    const first = Object.values(seen)[0] as Record<string, unknown>;
    expect(seen).toEqual(Object.fromEntries(Object.keys(seen).map((name) => [name, first])));
    expect(first).toMatchObject({ ...principal, teamId: person.teamId });
    expect((first.scopes as string[]).includes('providers:read')).toBe(true);
  });

  describe('revoked', () => {
    let revoked: Record<Kind, Credential>;

    beforeAll(async () => {
      revoked = await createAll();
      for (const { text } of Object.values(revoked)) {
        for (const api of apis) expect({ [api.name]: (await ask(api, text)).status }).toEqual({ [api.name]: 200 });
      }
      for (const { revoke } of Object.values(revoked)) await revoke();
      for (const { text } of Object.values(revoked)) await allRefuse(text);
    }, 20_000);

    test.each(KINDS)('rows 81, 93: %s: refused alike', async (kind) => {
      await expectRefused(revoked[kind].text, messageFor(revoked[kind].text));
    });
  });

  test.each(['personal key', 'team key', 'imported key'] as const)('row 88: an expired one, %s', async (kind) => {
    const { text, expire } = await MAKE[kind]();
    await expire!();
    await server.domain.notifications.settle();
    await expectRefused(text, 'Unauthenticated');
  });

  test('row 71: an expired JWT of each kind, signed by the server itself', async () => {
    for (const kind of KINDS.slice(0, 5)) {
      const claims = decodeJwt(good[kind].text);
      await expectRefused(
        await signed({ ...claims, iat: claims.iat! - 1_200, exp: claims.iat! - 600 }),
        'Invalid access token',
      );
    }
  });

  test.each(forgeries())('rows 70, 71, 72: forged: %s', async (_, forge) => {
    await expectRefused(await forge(good['JWT by client credentials'].text), 'Invalid access token');
  });
});

/** Until none lets it in, five seconds at most: APIs hear of it by the revocation feed. */
async function allRefuse(text: string): Promise<void> {
  const deadline = Date.now() + 5_000;
  for (const api of apis) {
    while ((await ask(api, text)).status === 200 && Date.now() < deadline)
      await new Promise((done) => setTimeout(done, 20));
  }
}

async function serverKey(): Promise<JWK & { kid: string; alg: string }> {
  const { signing } = await server.domain.signingKeys.current();
  return signing.find(({ alg }) => alg === 'ES256') as JWK & { kid: string; alg: string };
}

/** What only the server itself could have signed. */
async function signed(claims: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
  const jwk = await serverKey();
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: jwk.kid, typ: 'at+jwt', ...header })
    .sign(await importJWK(jwk, 'ES256'), { crit: { 'urn:x': true } });
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

type Forge = (token: string) => string | Promise<string>;

/** What an attacker makes of a good token, and what the server signs that is no access token for this API. */
function forgeries(): [string, Forge][] {
  const parts = (token: string) => token.split('.') as [string, string, string];
  const byOther = async (token: string, header: Record<string, unknown>) => {
    const { privateKey, jwk } = await createKey('other');
    const { kid } = await serverKey();
    const brought = header.jwk === true ? { ...header, jwk } : header;
    return new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid, ...brought })
      .sign(privateKey);
  };
  const byPublicKey = async (token: string, secret: (jwk: JWK) => Uint8Array | Promise<Uint8Array>) => {
    const { d: _d, ...jwk } = await serverKey();
    return new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: 'HS256', kid: jwk.kid!, typ: 'at+jwt' })
      .sign(await secret(jwk));
  };
  const changed = (changes: (claims: JWTPayload) => JWTPayload, header = {}): Forge => {
    return (token) => signed({ ...decodeJwt(token), ...changes(decodeJwt(token)) }, header);
  };
  const now = Math.floor(Date.now() / 1000);
  return [
    ['alg none', (token) => `${part({ alg: 'none', typ: 'at+jwt' })}.${parts(token)[1]}.`],
    [
      'alg none with the signature',
      (token) => `${part({ alg: 'none', typ: 'at+jwt' })}.${parts(token).slice(1).join('.')}`,
    ],
    [
      'HS256 with the public key as PEM',
      (token) =>
        byPublicKey(token, async (jwk) =>
          Buffer.from(await exportSPKI((await importJWK(jwk, 'ES256', { extractable: true })) as never)),
        ),
    ],
    ['HS256 with the public key as JSON', (token) => byPublicKey(token, (jwk) => Buffer.from(JSON.stringify(jwk)))],
    ['another key under our kid', (token) => byOther(token, {})],
    ['another key, brought along as jwk', (token) => byOther(token, { jwk: true })],
    ['another key, pointed at by jku', (token) => byOther(token, { jku: 'http://127.0.0.1:9/jwks' })],
    ['another key, pointed at by x5u', (token) => byOther(token, { x5u: 'http://127.0.0.1:9/cert' })],
    ['an unknown kid', (token) => byOther(token, { kid: 'unknown' })],
    ['no kid', (token) => byOther(token, { kid: undefined })],
    [
      'another payload',
      (token) => [parts(token)[0], part({ ...decodeJwt(token), scope: 'users:write' }), parts(token)[2]].join('.'),
    ],
    ['another signature', (token) => token.replace(/.{4}$/, (end) => (end === 'AAAA' ? 'BBBB' : 'AAAA'))],
    ['a truncated signature', (token) => token.slice(0, -4)],
    [
      'a signature of zeros',
      (token) => `${parts(token).slice(0, 2).join('.')}.${Buffer.alloc(64).toString('base64url')}`,
    ],
    ['an extension that must be understood', changed(() => ({}), { crit: ['urn:x'], 'urn:x': 1 })],
    ['another audience', changed(() => ({ aud: 'https://other.example' }))],
    ['another issuer', changed(() => ({ iss: 'https://other.example' }))],
    ['not valid yet', changed(() => ({ nbf: now + 600 }))],
    ['issued in the future', changed(() => ({ iat: now + 600, exp: now + 1_200 }))],
    ['no end', changed(() => ({ exp: undefined }) as JWTPayload)],
    ['no team', changed(() => ({ team_id: undefined }))],
    ['an ID token', changed(() => ({}), { typ: 'JWT' })],
    ['a client assertion', changed((claims) => ({ iss: claims.sub!, aud: server.issuer }), { typ: 'JWT' })],
  ];
}
