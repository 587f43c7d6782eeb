import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ROLE_IDS } from '../../../src/domain/permissions.ts';
import { type Api, createApi } from '../../support/api.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

let server: TestServer;
let api: Api;
let viewer: string;
beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  viewer = await api.key('Viewer', await api.team());
});
afterAll(() => server.close());

const PATH = '/api/v1/roles';

test('roles are listed by name under `roles`, with what they permit and where they can be given', async () => {
  const { status, body } = await api.call({ as: viewer, path: PATH });
  expect([status, Object.keys(body)]).toEqual([200, ['roles', 'next_page_token', 'has_more']]);
  expect(body).toMatchObject({ next_page_token: '', has_more: false });
  expect(body.roles.map(({ name }: { name: string }) => name).sort()).toEqual(Object.keys(ROLE_IDS).sort());
  expect(body.roles.find(({ name }: { name: string }) => name === 'oaa_push')).toEqual({
    id: ROLE_IDS.oaa_push,
    name: 'oaa_push',
    permissions: ['providers:read', 'providers:write'],
    is_available_in_root_team: false,
    is_available_in_non_root_team: true,
    description: expect.stringContaining('team keys'),
  });
});

test('they come in pages, in either order, and by name', async () => {
  const names: string[] = [];
  let token = '';
  for (let pages = 0; pages < 10; pages += 1) {
    const path = `${PATH}?page_size=3&order_by=name+desc&page_token=${token}`;
    const { body } = await api.call({ as: viewer, path });
    names.push(...body.roles.map(({ name }: { name: string }) => name));
    token = encodeURIComponent(body.next_page_token);
    if (token === '') break;
  }
  const { body } = await api.call({ as: viewer, path: `${PATH}?order_by=name` });
  expect(names).toEqual(body.roles.map(({ name }: { name: string }) => name).reverse());
  const found = await api.call({ as: viewer, path: `${PATH}?filter=${encodeURIComponent('name eq "Viewer"')}` });
  expect(found.body.roles.map(({ id }: { id: string }) => id)).toEqual([ROLE_IDS.Viewer]);
});

test('nobody reads them without roles:read', async () => {
  expect((await api.call({ path: PATH })).status).toBe(401);
  const narrow = await api.key('Viewer', await api.team(), ['users:read']);
  expect(await api.call({ as: narrow, path: PATH })).toMatchObject({ status: 403, body: { code: 7 } });
});
