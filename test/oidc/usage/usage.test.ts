import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { createTestApp, createTestClient } from '../../support/flows.ts';
import { type RawRequest, send } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

type Client = Awaited<ReturnType<typeof createTestClient>>;

let server: TestServer;
let teamId: string;
let keyId: string;
/** Named by a resource server; allowed to introspect in its team, in every team; and none of that. */
const clients = {} as { named: Client; guard: Client; root: Client; plain: Client };

beforeAll(async () => {
  server = await startTestServer();
  const { domain } = server;
  teamId = (await domain.teams.create({ name: 'Counted' }, OPERATOR)).id;
  keyId = (await domain.apiKeys.createTeam({ teamId, name: 'Push' }, OPERATOR)).key.id;
  const elsewhere = (await domain.teams.create({ name: 'Elsewhere' }, OPERATOR)).id;
  const allowedScopes = ['credentials:introspect'];
  clients.named = await createTestClient(server, elsewhere);
  clients.guard = await createTestClient(server, elsewhere, { allowedScopes });
  clients.root = await createTestClient(server, ROOT_TEAM_ID, { allowedScopes });
  clients.plain = await createTestClient(server, teamId);
  await domain.resourceServers.create(
    { identifier: 'https://reports.example.com', name: 'Reports', clientIds: [clients.named.clientId] },
    OPERATOR,
  );
  await domain.notifications.settle();
});
afterAll(() => server.close());

const basic = ({ clientId, clientSecret }: { clientId: string; clientSecret: string }) =>
  `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;

const post = (authorization: string | undefined, body: string | Buffer, more: Partial<RawRequest> = {}) =>
  send(Number(new URL(server.origin).port), {
    path: '/oauth2/usage',
    method: 'POST',
    body,
    headers: { ...(authorization && { authorization }), 'content-type': 'application/json', ...more.headers },
  });

const row = (more: object = {}) => ({ team_id: teamId, credential: 'team_key', id: keyId, count: 3, ...more });
const report = (client: Client, ...requests: unknown[]) => post(basic(client), JSON.stringify({ requests }));

/** Requests counted for the key so far. */
async function counted(): Promise<number> {
  await server.domain.credentialUses.flush();
  const { rows } = await server.db.query<{ requests: string }>(
    'SELECT coalesce(sum(requests), 0) AS requests FROM credential_uses WHERE credential = $1',
    [keyId],
  );
  return Number(rows[0]!.requests);
}

test('the metadata says where', async () => {
  const { body } = await send(Number(new URL(server.origin).port), { path: '/.well-known/oauth-authorization-server' });
  expect(body.usage_endpoint).toBe(`${server.issuer}/oauth2/usage`);
});

test('resource servers report, of any team; a client that may introspect, of the teams it may ask about', async () => {
  const before = await counted();
  const answer = await report(clients.named, row(), row({ count: 4 }));
  expect([answer.status, answer.text, answer.headers['cache-control']]).toEqual([204, '', 'no-store']);
  expect(await counted()).toBe(before + 7);
  expect((await report(clients.root, row())).status).toBe(204);
  expect(await counted()).toBe(before + 10);
  // Of another team: passed over, like what there is not.
  expect((await report(clients.guard, row())).status).toBe(204);
  expect((await report(clients.named, row({ id: randomUUID() }), row({ id: 'x' }), row({ team_id: 'x' }))).status).toBe(
    204,
  );
  expect(await counted()).toBe(before + 10);
});

test('nobody else reports', async () => {
  const before = await counted();
  const app = await createTestApp(server);
  const body = JSON.stringify({ requests: [row()] });
  const { clientId } = clients.named;
  for (const authorization of [
    undefined,
    'Basic',
    'Basic !!',
    `Basic ${Buffer.from('no colon').toString('base64')}`,
    `Basic ${Buffer.from('%:%').toString('base64')}`,
    basic({ clientId, clientSecret: clients.plain.clientSecret }),
    basic({ clientId, clientSecret: '' }),
    basic({ clientId: 'svc_nobody', clientSecret: 'x' }),
    `Bearer ${clients.named.clientSecret}`,
  ]) {
    const answer = await post(authorization, body);
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client']);
    expect(answer.headers['www-authenticate']).toMatch(/^Basic realm="http/);
  }
  for (const client of [clients.plain, { ...app, clientSecret: app.clientSecret! }]) {
    const answer = await post(basic(client), body);
    expect([answer.status, answer.body.error]).toEqual([403, 'unauthorized_client']);
  }
  await server.domain.oauthClients.disable(clients.guard.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect((await report(clients.guard, row())).status).toBe(401);
  expect(await counted()).toBe(before);
});

test('a report has limits, and is counted as a whole or not at all', async () => {
  const before = await counted();
  const as = basic(clients.named);
  const many = Array.from({ length: 501 }, () => row());
  for (const [status, body] of [
    [400, 'no JSON'],
    [400, 'null'],
    [400, '{}'],
    [400, '{"requests": {}}'],
    [400, JSON.stringify({ requests: many })],
    [413, JSON.stringify({ requests: [row()], more: 'x'.repeat(128 * 1024) })],
    ...[null, 7, {}, row({ count: 0 }), row({ count: -1 }), row({ count: 1.5 }), row({ count: '3' })].map(wrong),
    ...[row({ count: 2_000_001 }), row({ team_id: 7 }), row({ credential: 'session' }), row({ id: 7 })].map(wrong),
    // Text alone: what turns into the right text is none.
    ...[row({ credential: ['team_key'] }), row({ credential: { toString: null, valueOf: null } })].map(wrong),
    wrong(row({ id: 'x'.repeat(101) })),
  ] as [number, string][]) {
    const answer = await post(as, body);
    expect([body.slice(0, 99), answer.status, answer.body.error]).toEqual([
      body.slice(0, 99),
      status,
      'invalid_request',
    ]);
  }
  expect((await post(as, '{}', { headers: { 'content-type': 'text/plain' } })).status).toBe(415);
  // Without a length that says it before.
  const long = new Blob([JSON.stringify({ requests: [row()] }), ' '.repeat(128 * 1024)]).stream();
  const streamed = await fetch(`${server.origin}/oauth2/usage`, {
    ...{ method: 'POST', body: long, duplex: 'half' },
    headers: { authorization: as, 'content-type': 'application/json' },
  } as RequestInit);
  expect(streamed.status).toBe(413);
  expect(await counted()).toBe(before);
  expect((await report(clients.named, ...many.slice(1))).status).toBe(204);
  expect(await counted()).toBe(before + 1_500);
});

test('strangers in its network do not keep a resource server from reporting', async () => {
  const strange = (n: number) => {
    const authorization = basic({ clientId: `svc_${String(n).padStart(22, 'a')}`, clientSecret: 'x' });
    return fetch(`${server.origin}/oauth2/usage`, { method: 'POST', headers: { authorization } });
  };
  expect((await report(clients.named)).status).toBe(204);
  const answers: Response[] = [];
  let asked: Promise<unknown> | undefined;
  // While no other client can be looked up.
  await server.db.transaction(async (tx) => {
    await tx.query('LOCK TABLE oauth_clients IN ACCESS EXCLUSIVE MODE');
    asked = Promise.all(Array.from({ length: 160 }, async (_, n) => answers.push(await strange(n))));
    expect(await soon(async () => answers.length >= 50)).toBe(true);
    expect((await report(clients.named)).status).toBe(204);
  });
  expect([answers[0]!.status, answers[0]!.headers.get('retry-after')]).toEqual([429, '60']);
  expect(await answers[0]!.json()).toMatchObject({ error: 'slow_down' });
  await asked;
  expect(answers.filter(({ status }) => status === 401).length).toBeGreaterThanOrEqual(50);
  expect((await report(await createTestClient(server, ROOT_TEAM_ID))).status).toBe(403);
  expect((await post(undefined, '')).status).toBe(401);
});

test('one client after another cannot keep the server busy', async () => {
  const client = await createTestClient(server, ROOT_TEAM_ID, { allowedScopes: ['credentials:introspect'] });
  const statuses: number[] = [];
  for (let time = 0; time < 301; time += 1) statuses.push((await report(client)).status);
  expect(statuses).toEqual([...Array<number>(300).fill(204), 429]);
  expect((await report(client)).headers['retry-after']).toBe('60');
  expect((await report(clients.named)).status).toBe(204);
});

function wrong(one: unknown): [number, string] {
  return [400, JSON.stringify({ requests: [row(), one] })];
}
