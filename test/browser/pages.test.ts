/** No page is forgotten: neither by the checks nor by the pictures. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startTestServer, type TestServer } from '../support/server.ts';
import { NO_PAGES, PAGES } from './pages.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server?.close());

test('every page behind a login is listed', () => {
  const listed = new Set([...PAGES.map(({ route }) => route), ...NO_PAGES]);
  const routes = server.app.pages.filter(({ method }) => method === 'GET').map(({ path }) => path);
  expect(routes.filter((route) => !listed.has(route))).toEqual([]);
});

test('every page that is listed is there, under a name of its own', () => {
  const routes = new Set(server.app.pages.map(({ path }) => path));
  const behindLogin = PAGES.filter(({ route }) => /^\/(console|account)/.test(route));
  expect(behindLogin.filter(({ route }) => !routes.has(route)).map(({ name }) => name)).toEqual([]);
  expect(new Set(PAGES.map(({ name }) => name)).size).toBe(PAGES.length);
});
