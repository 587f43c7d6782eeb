import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PERMISSIONS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { createBrowser } from '../../support/browser.ts';
import { logInAt, wordsOf } from '../../support/console.ts';
import { createPerson } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const ROLES = '/console/roles';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** The part of the page about one role, as people read it. */
async function sectionOf(name: string, person: { email: string }): Promise<string> {
  const browser = await logInAt(server, person);
  const { text } = await browser.get(`${server.origin}${ROLES}`);
  const section = text.split('<section>').find((one) => one.includes(`<h2><bdi>${name}</bdi></h2>`));
  return wordsOf({ text: section ?? '' });
}

test('each role says in plain words what it permits, resource by resource, and where it can be given', async () => {
  const person = await createPerson(server, { role: 'Viewer' });
  const viewer = await sectionOf('Viewer', person);
  expect(viewer).toContain('Can be given In every team');
  expect(viewer).toContain(`Providers ${PERMISSIONS['providers:read']} providers:read No`);
  expect(viewer).toContain(
    `Personal API keys ${PERMISSIONS['apikeys:read']} apikeys:read ${PERMISSIONS['apikeys:write']}`,
  );
  expect(viewer).not.toContain('Audit trail');
  const push = await sectionOf('oaa_push', person);
  expect(push).toContain('Can be given In every team but the root team');
  expect(push).toContain(PERMISSIONS['providers:write']);
});

test('the roles are what the database says they are, each permission of the server among those of Admin', async () => {
  const person = await createPerson(server, { teamId: ROOT_TEAM_ID });
  const admin = await sectionOf('Admin', person);
  const { rows } = await server.db.query<{ permissions: string[] }>(
    "SELECT permissions FROM roles WHERE name = 'Admin'",
  );
  for (const permission of rows[0]!.permissions) expect(admin).toContain(permission);
  await server.db.query(
    `INSERT INTO roles (name, description, permissions, is_available_in_root_team, is_available_in_non_root_team)
     VALUES ('<b>Own</b>', 'Made <i>here</i>', '{audit:read,reports:run}', true, false)`,
  );
  const browser = await logInAt(server, person);
  const page = await browser.get(`${server.origin}${ROLES}`);
  expect(page.text).not.toMatch(/<b>Own|<i>here/);
  expect(page.text.length).toBeLessThan(100_000);
  expect(wordsOf(page)).toContain('<b>Own</b> Made <i>here</i>. Can be given In the root team only');
  expect(wordsOf(page)).toContain('reports No reports:run');
});

test('row 109: roles are for those who may see them', async () => {
  const anonymous = await createBrowser().get(`${server.origin}${ROLES}`);
  expect([anonymous.status, anonymous.location]).toEqual([303, expect.stringContaining('/login?')]);
  const push = await logInAt(server, await createPerson(server, { role: 'oaa_push' }));
  expect((await push.get(`${server.origin}${ROLES}`)).status).toBe(403);
});
