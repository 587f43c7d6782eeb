import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, createApi } from '../../support/api.ts';
import { connect, createTestClient, introspect } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/api/v1/apikeys:import';

let server: TestServer;
let api: Api;
let root: string;
let teamId: string;
beforeAll(async () => {
  server = await startTestServer({ env: { IMPORT_PEPPERS: 'old=hex:00ff\nnew=x' } });
  api = createApi(server);
  root = await api.key('Admin');
  teamId = await api.team();
});
afterAll(() => server?.close());

const newText = (start = 'acme_') => `${start}${randomBytes(12).toString('hex')}`;
const digestOf = (text: string) => createHash('sha256').update(text).digest('base64url');
const keyOf = (text: string, more: object = {}) => ({
  digest: digestOf(text),
  algorithm: 'sha256',
  prefix: text.slice(0, 5),
  last_four: text.slice(-4),
  name: 'Old',
  team: teamId,
  ...more,
});
const post = (keys: object[], more: object = {}, as = root) => api.call({ as, path: PATH, body: { keys, ...more } });
const providers = (as: string) => api.call({ as, path: '/api/v1/providers' });

test('the key that was imported works unchanged, is in the lists, and who imported it is known', async () => {
  const person = await api.user('Operator', teamId);
  const [personal, shared] = [newText(), newText('SG.x.')];
  const answer = await post([keyOf(personal, { owner: person.email, scopes: ['providers:read'] }), keyOf(shared)], {
    source: 'old system',
  });
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual({ value: { imported: 2, skipped: 0, failed: 0, problems: [] } });
  for (const text of [personal, shared]) expect((await providers(text)).status).toBe(200);

  const filter = encodeURIComponent(`team_id eq "${teamId}"`);
  const lists = [`/api/v1/apikeys?filter=${filter}`, `/api/preview/teamkeys?filter=${filter}`];
  const [[mine], [teams]] = (await Promise.all(lists.map((path) => api.call({ as: root, path })))).map(
    ({ body }) => body.values,
  ) as [[{ id: string }], [{ id: string }]];
  const importer = (await server.domain.apiKeys.verify(root))?.userId;
  const common = { access_key: '', name: 'Old', status: 'ACTIVE', team_id: teamId, created_by: importer };
  expect(mine).toMatchObject({ ...common, owner_email: person.email, prefix: 'acme_', last_four: personal.slice(-4) });
  expect(teams).toMatchObject({ ...common, prefix: 'SG.x.', last_four: shared.slice(-4) });

  const events = (await server.auditEvents()).filter(({ action }) => action === 'api_key.imported');
  expect(events).toMatchObject([
    { actor_kind: 'personal_key', details: { file: 'old system', imported: 2, failed: 0 } },
  ]);

  await api.call({ as: root, method: 'POST', path: `/api/v1/apikeys/${mine.id}:revoke`, body: {} });
  expect(await providers(personal)).toMatchObject({ status: 401, body: { message: 'Unauthenticated' } });
  const rotated = await api.call({ as: root, path: `/api/preview/teamkeys/${teams.id}:rotate`, body: {} });
  expect(rotated.body.value.access_key).toMatch(/^lkt_/);
  expect(await providers(shared)).toMatchObject({ status: 401, body: { message: 'Unauthenticated' } });
  expect((await providers(rotated.body.value.access_key)).status).toBe(200);
});

test('row 88: what begins like an imported key is unauthenticated, everything else is answered as ever', async () => {
  const text = newText();
  await post([keyOf(text)]);
  const message = async (as: string) => (await providers(as)).body.message;
  expect(await message(`${text}0`)).toBe('Unauthenticated');
  expect(await message('acme_ä')).not.toBe('Unauthenticated');
  expect(await message('zz.zz')).toBe('Invalid API key');
  expect(await message('zzzz0123456789')).toBe('Malformed API key');
  expect(await message('lkp_0123456789')).toBe('Malformed API key');
  expect(await message('z.z.z')).toBe('Invalid access token');
  expect(await message('eyJ.e30.z')).toBe('Invalid access token');
});

test('introspection answers it like any other key', async () => {
  const text = newText('SG.a.');
  await post([keyOf(text, { expires_at: '2999-01-01T00:00:00Z' })]);
  const client = await createTestClient(server, teamId, { allowedScopes: ['credentials:introspect'] });
  const { body } = await introspect(server, client, text);
  expect(body).toMatchObject({ active: true, token_type: 'api_key', kind: 'team', team_id: teamId });
  const elsewhere = await createTestClient(server, await api.team(), { allowedScopes: ['credentials:introspect'] });
  for (const [caller, token] of [
    [elsewhere, text],
    [client, `${text}0`],
    [client, 'acme_0123456789abcdef'],
  ] as const) {
    expect((await introspect(server, caller, token)).body).toEqual({ active: false });
  }
});

test('a refresh token is still one when imported keys can look like anything', async () => {
  await post([keyOf(newText(), { prefix: '' })]);
  const { app, tokens } = await connect(server);
  const { body } = await introspect(server, app, tokens.refresh_token);
  expect(body).toMatchObject({ active: true, client_id: app.clientId });
});

test('what is wrong is told by its place and field; more than a thousand at once and strange fields are refused', async () => {
  const answer = await post([keyOf(newText()), keyOf(newText(), { algorithm: 'md5' })], { dry_run: true });
  expect(answer.body.value).toEqual({
    imported: 1,
    skipped: 0,
    failed: 1,
    problems: [{ index: 1, field: 'algorithm', description: expect.stringContaining('must be one of') }],
  });
  const pepper = { algorithm: 'hmac-sha256', digest: randomBytes(32).toString('hex') };
  const peppered = await post([keyOf('x', { ...pepper, pepper: 'old' }), keyOf('y', { ...pepper, pepper: 'lost' })]);
  expect(peppered.body.value).toMatchObject({ imported: 1, problems: [{ index: 1, field: 'pepper' }] });
  expect(await post([{ ...keyOf('x'), text: 'x' }])).toMatchObject({ status: 400 });
  expect(await post([])).toMatchObject({ status: 400 });
  const short = { digest: 'x', algorithm: 'x', name: 'x' };
  expect(await post(Array.from({ length: 1_001 }, () => short))).toMatchObject({ status: 400 });
});

test('row 89: only for administrators of the root team, who may make such keys themselves', async () => {
  const key = [keyOf(newText())];
  const admin = await api.key('Admin', teamId);
  expect(await post(key, {}, admin)).toMatchObject({ status: 403 });
  const narrow = await api.key('Admin', ROOT_TEAM_ID, ['users:write']);
  expect(await post(key, {}, narrow)).toMatchObject({
    status: 403,
    body: { message: expect.stringContaining('teamkeys') },
  });
  expect(await post(key)).toMatchObject({ status: 200, body: { value: { imported: 1 } } });
});
