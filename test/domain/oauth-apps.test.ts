import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OauthAppInput } from '../../src/domain/oauth-apps.ts';
import { classify, digestOf } from '../../src/domain/secret-text.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

let all: Credentials;
beforeAll(async () => {
  all = await openCredentials();
});
afterAll(() => all.close());

const INPUT: OauthAppInput = {
  name: 'Reports',
  baseUrl: 'https://app.example.com',
  redirectUris: ['https://app.example.com/callback'],
};
const create = (changes: Partial<OauthAppInput> = {}) => all.apps.create({ ...INPUT, ...changes }, TESTER);

const publicJwk = (kid = 'one') => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
  kid,
});

async function consent(clientId: string): Promise<string> {
  const team = await all.makeTeam();
  const user = await all.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] });
  const id = randomUUID();
  await all.db.query(
    `INSERT INTO grants (id, user_id, team_id, client_id, payload, expires_at)
     VALUES ($1, $2, $3, $4, '{}', now() + interval '1 day')`,
    [id, user.id, team.id, clientId],
  );
  await all.db.query(
    `INSERT INTO oidc_payloads (model, id, grant_id, payload, expires_at)
     VALUES ('RefreshToken', $1, $2, '', now() + interval '1 day')`,
    [digestOf(id), id],
  );
  return id;
}

describe('registering an app', () => {
  test('takes a name, where it lives and where it sends people back', async () => {
    const { app, secret } = await create();
    expect(app).toMatchObject({
      clientId: expect.stringMatching(/^app_[\w-]{22}$/),
      type: 'confidential',
      tokenEndpointAuthMethod: 'client_secret_basic',
      allowedScopes: ['openid', 'profile', 'email', 'offline_access'],
      idTokenSignedResponseAlg: 'RS256',
      enabled: true,
    });
    expect(classify(secret!)).toBe('secret');
    expect(await all.apps.find(app.clientId)).toEqual(app);
    expect(await all.apps.find(app.id)).toEqual(app);
    expect(await all.apps.list({ limit: 1_000 })).toContainEqual({ ...app, sortKey: expect.any(String) });
  });

  test('row 86: its secret is in the answer and nowhere else', async () => {
    const { app, secret } = await create();
    const [kept] = await all.secrets.list({ kind: 'app', id: app.id });
    expect([kept?.prefix, kept?.lastFour]).toEqual([secret!.slice(0, 8), secret!.slice(-4)]);
    const seen = [await all.rows('client_secrets'), await all.rows('oauth_apps'), await all.rows('audit_events')];
    expect(JSON.stringify(seen)).not.toContain(secret!.slice(8, -4));
  });

  test('a public app has no secret', async () => {
    const { app, secret } = await create({ type: 'public' });
    expect(secret).toBeUndefined();
    expect(app.tokenEndpointAuthMethod).toBe('none');
    await expect(all.secrets.add({ kind: 'app', id: app.id }, {}, TESTER)).rejects.toMatchObject({
      kind: 'failed_precondition',
    });
  });

  test('an app with keys of its own proves itself with them', async () => {
    const jwk = publicJwk();
    const { app, secret } = await create({ jwks: { keys: [{ ...jwk, ext: true, x5u: 'http://evil.example' }] } });
    expect(secret).toBeUndefined();
    expect(app.tokenEndpointAuthMethod).toBe('private_key_jwt');
    expect(app.jwks).toEqual({ keys: [jwk] });
  });

  test.each<[string, string, Partial<OauthAppInput>]>([
    ['an empty name', 'name', { name: '' }],
    ['an unknown scope', 'allowed_scopes', { allowedScopes: ['openid', 'root'] }],
    ['no scope', 'allowed_scopes', { allowedScopes: [] }],
    ['an unknown type', 'type', { type: 'native' as 'public' }],
    [
      'a public app with a secret',
      'token_endpoint_auth_method',
      { type: 'public', tokenEndpointAuthMethod: 'client_secret_post' },
    ],
    ['a confidential app without proof', 'token_endpoint_auth_method', { tokenEndpointAuthMethod: 'none' }],
    ['a method we do not have', 'token_endpoint_auth_method', { tokenEndpointAuthMethod: 'client_secret_jwt' }],
    ['private_key_jwt without keys', 'jwks', { tokenEndpointAuthMethod: 'private_key_jwt' }],
    [
      'keys with a secret method',
      'jwks',
      { tokenEndpointAuthMethod: 'client_secret_post', jwks: { keys: [publicJwk()] } },
    ],
    ['an unsigned ID token', 'id_token_signed_response_alg', { idTokenSignedResponseAlg: 'none' }],
    ['an ID token signed with the secret', 'id_token_signed_response_alg', { idTokenSignedResponseAlg: 'HS256' }],
  ])('%s is refused', async (_, field, changes) => {
    await expect(create(changes)).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field }] });
  });

  test.each<[string, unknown]>([
    ['a symmetric key', { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] }],
    ['a private key', { keys: [generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })] }],
    [
      'a short RSA key',
      { keys: [generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })] },
    ],
    ['an encryption key', { keys: [{ ...publicJwk(), use: 'enc' }] }],
    ['a broken key', { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }] }],
    ['a curve for something else', { keys: [generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })] }],
    ['two keys of one name', { keys: [publicJwk('a'), publicJwk('a')] }],
    ['a kind from the prototype', { keys: [{ kty: 'constructor' }] }],
    ['no key', { keys: [] }],
    ['no set', 'keys'],
  ])('jwks: %s is refused', async (_, jwks) => {
    await expect(create({ jwks })).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field: 'jwks' }] });
  });
});

describe('row 115: redirect URIs', () => {
  test.each<[Partial<OauthAppInput> & { redirectUris: string[] }]>([
    [{ redirectUris: ['https://app.example.com', 'https://app.example.com/', 'https://app.example.com/a?b=c'] }],
    [{ redirectUris: ['https://eu.app.example.com/cb', 'https://app.example.com:8443/cb'] }],
    [{ baseUrl: 'http://localhost:4000', redirectUris: ['http://localhost:4000/cb', 'http://localhost:4001/cb'] }],
    [{ baseUrl: 'http://[::1]:4000/', redirectUris: ['http://[::1]:4000/cb'] }],
    [{ type: 'public', redirectUris: ['http://127.0.0.1/cb', 'http://[::1]:9/cb', 'http://localhost:1234/'] }],
    [{ type: 'public', redirectUris: ['com.example.app:/cb', 'com.example.my-app://done/cb'] }],
  ])('accepted: %j', async (changes) => {
    expect((await create(changes)).app.redirectUris).toEqual(changes.redirectUris);
  });

  const bad = [
    'http://app.example.com/cb',
    'https://evil.example/cb',
    'https://app.example.com.evil.example/cb',
    'https://fooapp.example.com/cb',
    'https://example.com/cb',
    'https://user@app.example.com/cb',
    'https://user:pass@app.example.com/cb',
    'https://app.example.com/cb#fragment',
    'https://app.example.com/cb#',
    'https://app.example.com/*',
    'https://*.app.example.com/cb',
    '*',
    'https://app.example.com/a/../cb',
    'https://app.example.com/%2e%2e/cb',
    'https://APP.example.com/cb',
    'https://app.example.com:443/cb',
    'https:\\\\app.example.com\\cb',
    'https:/app.example.com/cb',
    'https://app.example.com/c b',
    'https://app.example.com/\n',
    'https://аpp.example.com/cb',
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'ftp://app.example.com/',
    'myapp:/cb',
    'com.example.app:/cb',
    'http://localhost/cb',
    'http://127.0.0.1:3000/cb',
    '//app.example.com/cb',
    '/cb',
    '',
    'https://app.example.com/<img src=x>',
    `https://app.example.com/${'a'.repeat(2_000)}`,
  ];
  test.each(bad)('refused: %s', async (uri) => {
    for (const changes of [{ redirectUris: [uri] }, { postLogoutRedirectUris: [uri] }]) {
      const field = 'redirectUris' in changes ? 'redirect_uris' : 'post_logout_redirect_uris';
      await expect(create(changes)).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field }] });
    }
  });

  test.each([
    'myapp:/cb',
    'javascript:alert(1)',
    'javascript.x:alert(1)#',
    'http://192.168.0.1/cb',
    'http://localhost.evil.example/cb',
    'http://127.0.0.1.evil.example/cb',
    'https://localhost/cb',
    'com.example.app:/*',
  ])('refused for a public app: %s', async (uri) => {
    await expect(create({ type: 'public', redirectUris: [uri] })).rejects.toMatchObject({
      fields: [{ field: 'redirect_uris' }],
    });
  });

  test('refused: plain http where the app has https', async () => {
    const changes = { baseUrl: 'https://localhost:4000', redirectUris: ['http://localhost:4000/cb'] };
    await expect(create(changes)).rejects.toMatchObject({ fields: [{ field: 'redirect_uris' }] });
  });

  test('"any redirect URI" is refused with an explanation', async () => {
    for (const redirectUris of [['*'], []]) {
      await expect(create({ redirectUris })).rejects.toThrow(/any redirect URI.*RFC 9700/);
    }
  });

  test.each(['http://app.example.com', 'https://u:p@app.example.com', 'javascript:alert(1)', 'app.example.com', '*'])(
    'base_url %s is refused',
    async (baseUrl) => {
      await expect(create({ baseUrl })).rejects.toMatchObject({ fields: [{ field: 'base_url' }] });
    },
  );
});

describe('changing an app', () => {
  test('keeps what is not named, and checks the whole', async () => {
    const { app } = await create({ allowedScopes: ['openid', 'providers:read'] });
    const changed = await all.apps.update(app.id, { name: 'New name' }, TESTER);
    expect(changed).toMatchObject({
      ...app,
      name: 'New name',
      updatedAt: expect.any(Date),
      version: expect.any(String),
    });
    expect(changed.version).not.toBe(app.version);
    await expect(all.apps.update(app.id, { baseUrl: 'https://other.example' }, TESTER)).rejects.toMatchObject({
      fields: [{ field: 'redirect_uris' }],
    });
    await expect(all.apps.update(randomUUID(), { name: 'x' }, TESTER)).rejects.toMatchObject({ kind: 'not_found' });
  });

  test('what really changed is recorded by its name on the wire, and a change of nothing is none', async () => {
    const { app } = await create({ jwks: { keys: [publicJwk()] } });
    const { id, createdAt, ...same } = app;
    for (const changes of [{}, { jwks: app.jwks }, { logoUrl: null }, same]) {
      expect(await all.apps.update(id, changes, TESTER)).toEqual(app);
    }
    await all.apps.update(id, { ...same, baseUrl: `${app.baseUrl}/`, idTokenSignedResponseAlg: 'ES256' }, TESTER);
    const events = (await all.events('oauth_app.updated')).filter((one) => one.target_id === id);
    expect(events).toMatchObject([{ details: { changed: ['base_url', 'id_token_signed_response_alg'] } }]);
  });

  test('waits for whoever changes resource servers before it takes the app', async () => {
    const { app } = await create();
    await all.db.query(`INSERT INTO resource_servers (name, identifier, scopes, access_token_ttl_seconds, signing_alg)
      VALUES ('R', 'urn:example:r', '[]', 600, 'ES256')`);
    let changing: Promise<unknown> | undefined;
    await all.db.transaction(async (tx) => {
      await tx.query('SELECT 1 FROM resource_servers FOR UPDATE');
      changing = all.apps.update(app.id, { name: 'x' }, TESTER);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await tx.query('SELECT 1 FROM oauth_apps WHERE id = $1 FOR UPDATE NOWAIT', [app.id]);
    });
    await changing;
  });

  test('can turn to keys and back to a secret', async () => {
    const { app } = await create();
    const jwks = { keys: [publicJwk()] };
    const change = (changes: Partial<OauthAppInput>) => all.apps.update(app.id, changes, TESTER);
    expect(await change({ tokenEndpointAuthMethod: 'private_key_jwt', jwks })).toMatchObject({ jwks });
    expect(await change({ name: 'again' })).toMatchObject({ jwks });
    expect(await change({ tokenEndpointAuthMethod: 'client_secret_post' })).toMatchObject({ jwks: null });
    // The secret it had has ended with the first change.
    expect(await all.secrets.list({ kind: 'app', id: app.id })).toEqual([]);
  });

  test("disabling ends what users granted, and nobody else's; enabling does not bring it back", async () => {
    const [{ app }, { app: other }] = [await create(), await create()];
    const [first, second, kept] = [
      await consent(app.clientId),
      await consent(app.clientId),
      await consent(other.clientId),
    ];
    expect(await all.apps.disable(app.id, TESTER)).toMatchObject({
      app: { enabled: false },
      ended: { grants: 2, tokens: 2 },
    });
    expect(await all.apps.disable(app.id, TESTER)).toMatchObject({
      app: { enabled: false },
      ended: { grants: 0, tokens: 0 },
    });
    expect(await all.apps.enable(app.id, TESTER)).toMatchObject({ enabled: true });
    const grants = Object.keys(await all.rows('grants'));
    expect(grants).toContain(kept);
    expect(grants).not.toContain(first);
    const { rows } = await all.db.query('SELECT grant_id FROM oidc_payloads WHERE grant_id = ANY($1)', [
      [first, second, kept],
    ]);
    expect(rows).toEqual([{ grant_id: kept }]);
  });

  test('row 117: deleting an app takes its grants and secrets along and leaves all others', async () => {
    const [{ app }, { app: other }] = [await create(), await create()];
    await consent(app.clientId);
    const kept = await consent(other.clientId);
    const apps = await all.rows('oauth_apps');
    const ended = { grants: 1, tokens: 1 };
    expect(await all.apps.delete(app.id, TESTER)).toMatchObject({ app: { id: app.id }, ended });
    const { [app.id]: _, ...others } = apps;
    expect(await all.rows('oauth_apps')).toEqual(others);
    expect(Object.keys(await all.rows('grants'))).toContain(kept);
    const { rows } = await all.db.query('SELECT id FROM client_secrets WHERE oauth_app_id = $1', [app.id]);
    expect(rows).toEqual([]);
    await expect(all.apps.delete(app.id, TESTER)).rejects.toMatchObject({ kind: 'not_found' });
  });

  test('row 119: each change is recorded once', async () => {
    const { app } = await create();
    await all.apps.update(app.id, { name: 'x' }, TESTER);
    await all.apps.disable(app.id, TESTER);
    await all.apps.disable(app.id, TESTER);
    await all.apps.enable(app.id, TESTER);
    await all.apps.enable(app.id, TESTER);
    await all.apps.delete(app.id, TESTER);
    const { rows } = await all.db.query('SELECT action FROM audit_events WHERE target_id = $1 ORDER BY id', [app.id]);
    expect(rows.map((row) => row.action)).toEqual(
      ['created', 'updated', 'disabled', 'enabled', 'deleted'].map((verb) => `oauth_app.${verb}`),
    );
  });
});

describe('an app as the protocol sees it', () => {
  test('comes with the digests of its live secrets, and follows every change', async () => {
    const { app, secret } = await create();
    const find = () => all.registrations.findForProtocol(app.clientId);
    expect(await find()).toMatchObject({ kind: 'app', record: app });
    expect((await find())?.secrets).toEqual([{ id: expect.any(String), digest: digestOf(secret!), expiresAt: null }]);
    expect(await find()).toBe(await find());
    await all.apps.disable(app.id, TESTER);
    expect(await soon(async () => (await find())?.record.enabled === false)).toBe(true);
    await all.apps.delete(app.id, TESTER);
    expect(await soon(async () => (await find()) === undefined)).toBe(true);
  });

  test('what is not a client_id is nobody', async () => {
    for (const clientId of ['', 'app_', `app_${'a'.repeat(22)}`, 'x\0', randomUUID(), '__proto__']) {
      expect(await all.registrations.findForProtocol(clientId)).toBeUndefined();
    }
  });
});
