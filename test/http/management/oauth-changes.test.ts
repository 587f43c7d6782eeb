/** Changes of apps and clients over HTTP that they have in common, and what a change of one thing does to others. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Api, type ApiCall, createApi, fieldsOf } from '../../support/api.ts';
import { REDIRECT_URI } from '../../support/flows.ts';
import { createClientKey } from '../../support/proofs.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let api: Api;
let root: string;
let teamId: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
  teamId = await api.team();
}, 30_000);
afterAll(() => server?.close());

const call = (path: string, more: Partial<ApiCall> = {}) => api.call({ as: root, path: `/api/v1${path}`, ...more });

describe.each([
  ['app', '/oauth2/apps', () => ({ base_url: 'https://app.example.com', redirect_uris: [REDIRECT_URI] })],
  ['client', '/oauth2/clients', () => ({ team_id: teamId })],
])('an OAuth2 %s', (noun, path, input) => {
  async function create(changes: object = {}) {
    const body = { name: 'Reports', allowed_scopes: ['providers:read'], ...input(), ...changes };
    const made = await call(path, { body });
    expect(made.status).toBe(200);
    return made.body.value;
  }
  const patch = (id: string, body: object) => call(`${path}/${id}`, { method: 'PATCH', body });
  const secretsEnded = async (clientId: string) =>
    (await server.auditEvents()).filter(
      ({ action, details }) =>
        action === 'client_secret.ended' && (details as { client_id: string }).client_id === clientId,
    );

  test('is the same version after a change that changes nothing, of which nothing is recorded', async () => {
    const { id } = await create();
    const { headers, body } = await call(`${path}/${id}`);
    for (const changes of [{}, body.value, { name: 'Reports' }]) {
      const answer = await patch(id, changes);
      expect([answer.status, answer.headers.etag, answer.body]).toEqual([200, headers.etag, body]);
    }
    await patch(id, { name: 'New', allowed_scopes: ['providers:read'] });
    const events = (await server.auditEvents()).filter((one) => one.target_id === id);
    expect(events).toMatchObject([
      { action: `oauth_${noun}.created` },
      { action: `oauth_${noun}.updated`, details: { changed: ['name'] } },
    ]);
  });

  test('row 112: as it was read may be sent back after it was used', async () => {
    const { client_secret: _, ...read } = await create();
    const one = `${path}/${read.id}`;
    await server.db.query(`UPDATE oauth_${noun}s SET last_used_at = now() WHERE id = $1`, [read.id]);
    await server.db.query(`UPDATE client_secrets SET last_used_at = now() WHERE oauth_${noun}_id = $1`, [read.id]);
    const used = (await call(one)).body.value;
    expect([used.last_used_at, used.secrets[0].last_used_at]).not.toContain(null);
    for (const body of [read, used]) {
      const { status, body: answer } = await call(one, { method: 'PATCH', body });
      expect([status, answer.value]).toEqual([200, { ...used, updated_at: answer.value.updated_at }]);
    }
    const later = { last_used_at: '2090-01-01T00:00:00.000Z' };
    const [secret] = read.secrets;
    const wrong = [
      later,
      ...[
        { ...secret, ...later },
        { ...secret, prefix: 'x' },
      ].map((changed) => ({ secrets: [changed] })),
    ];
    for (const changes of [...wrong, { secrets: [] }, { secrets: [secret, secret] }]) {
      const { status, body } = await call(one, { method: 'PATCH', body: { ...read, ...changes } });
      expect([status, fieldsOf({ body })]).toEqual([400, Object.keys(changes)]);
    }
  });

  test('and its resource server can be changed by many at once', async () => {
    const statuses = new Set<number>();
    for (let round = 0; round < 4; round += 1) {
      const scopes = [{ name: `${noun}${round}:read` }];
      const identifier = `urn:example:${noun}${round}`;
      const made = await call('/resource_servers', { body: { identifier, name: 'R', scopes } });
      const { id } = await create({ allowed_scopes: ['providers:read', `${noun}${round}:read`] });
      const resource = `/resource_servers/${made.body.value.id}`;
      const answers = await Promise.all([
        ...['A', 'B', 'C'].map((name) => patch(id, { name })),
        call(resource, { method: 'PATCH', body: { scopes: [{ name: `${noun}${round}:write` }] } }),
        patch(id, { name: 'Last' }),
        call(resource, { method: 'DELETE' }),
      ]);
      for (const { status } of answers) statuses.add(status);
      expect((await call(`${path}/${id}`)).body.value.allowed_scopes).toEqual(['providers:read']);
    }
    expect([...statuses].filter((status) => status !== 200 && status !== 404)).toEqual([]);
  });

  test('that turns to keys of its own loses its secrets, and needs none', async () => {
    const { id, client_id } = await create();
    await call(`${path}/${id}/secrets`, { body: {} });
    const { jwks } = await createClientKey();
    const { status, body } = await patch(id, { token_endpoint_auth_method: 'private_key_jwt', jwks });
    expect([status, body.value.secrets]).toEqual([200, []]);
    expect(await secretsEnded(client_id)).toHaveLength(2);
    const { rows } = await server.db.query(
      'SELECT * FROM client_secrets WHERE oauth_app_id = $1 OR oauth_client_id = $1',
      [id],
    );
    expect(rows).toEqual([]);
    // Left behind by an earlier release: nobody has to force its end.
    await server.db.query(
      `INSERT INTO client_secrets (oauth_${noun}_id, digest, prefix, last_four) VALUES ($1, sha256($2), 'lks_left', 'over')`,
      [id, Buffer.from(id)],
    );
    const [left] = (await call(`${path}/${id}`)).body.value.secrets;
    expect((await call(`${path}/${id}/secrets/${left.id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await call(`${path}/${id}`)).body.value.secrets).toEqual([]);
  });

  test('has no secret by an unknown id, whether it has others or none', async () => {
    const [one, other] = [await create(), await create()];
    const end = (secret: string) => call(`${path}/${one.id}/secrets/${secret}`, { method: 'DELETE' });
    const unknown = [other.secrets[0].id, '00000000-0000-4000-8000-000000000001'];
    for (const secret of unknown) expect((await end(secret)).status).toBe(404);
    expect((await end(one.secrets[0].id)).status).toBe(400);
    expect((await end(`${one.secrets[0].id}?force=true`)).status).toBe(200);
    for (const secret of [...unknown, one.secrets[0].id]) expect((await end(secret)).status).toBe(404);
    expect((await call(`${path}/${other.id}`)).body.value.secrets).toHaveLength(1);
  });
});
