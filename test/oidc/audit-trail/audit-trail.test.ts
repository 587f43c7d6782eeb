/** What the trail keeps of those who never said who they are: enough to see them, and never more than that. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { postForm } from '../../support/flows.ts';
import { inParallel } from '../../support/parallel.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange, TYPES } from '../token-exchange/exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
beforeAll(async () => {
  server = await startTestServer({ env: { TRUST_PROXY: '1' } });
  exchange = createExchange(server);
});
afterAll(() => server?.close());

const from = (ip: string) => ({ 'x-forwarded-for': ip });
const refusals = async () => (await server.auditEvents()).filter(({ outcome }) => outcome === 'refused');

test('refusals of nobody, by the hundred and of every kind: sixty a minute of one network, and one that says so', async () => {
  const { clientId } = await exchange.client((await exchange.person()).teamId);
  const token = (fields: Record<string, string>, headers = from('192.0.2.1')) =>
    postForm(`${server.origin}/oauth2/token`, fields, headers);
  const floods = [
    () => token({ grant_type: 'client_credentials' }),
    () => token({ grant_type: 'client_credentials', client_id: clientId, client_secret: 'wrong' }),
    () => exchange.post({ subject_token_type: TYPES.key }, from('192.0.2.1')),
    () => exchange.key('lkp_x', { resource: 'urn:nothing' }, undefined, from('192.0.2.1')),
    () => postForm(`${server.origin}/oauth2/revoke`, { token: 'x' }, from('192.0.2.1')),
    () => postForm(`${server.origin}/oauth2/introspect`, { token: 'x' }, from('192.0.2.1')),
  ];
  for (const ask of floods) await inParallel(15, ask);
  const noted = await refusals();
  expect(noted).toHaveLength(61);
  expect(noted.map(({ details }) => (details as { flood?: true }).flood)).toEqual([...Array(60).fill(undefined), true]);

  await token({ grant_type: 'client_credentials' }, from('198.51.100.1'));
  const client = await exchange.client((await exchange.person()).teamId);
  await exchange.key('lkp_x', {}, client, from('192.0.2.1'));
  const [ofOther, ofClient] = (await refusals()).slice(61);
  expect([ofOther?.actor_kind, ofClient?.actor_kind, ofClient?.actor_id]).toEqual([
    'anonymous',
    'client',
    client.clientId,
  ]);
});

test('so it is at the management API, where keys that open nothing any more are still named', async () => {
  const { teamId } = await exchange.person();
  const { key, text } = await server.domain.apiKeys.createTeam({ teamId, name: 'Switched off' }, OPERATOR);
  await server.domain.apiKeys.revoke(key.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  const before = (await refusals()).length;
  const ask = (bearer: string) =>
    fetch(`${server.origin}/api/v1/providers`, {
      headers: { ...from('203.0.113.9'), authorization: `Bearer ${bearer}` },
    });
  expect((await ask(text)).status).toBe(401);
  await inParallel(80, () => ask('lkt_nothing-of-ours'));
  const noted = (await refusals()).slice(before);
  expect(noted).toHaveLength(61);
  expect(noted[0]).toMatchObject({ actor_kind: 'team_key', actor_id: key.id, team_id: teamId });
  expect(noted.slice(1).every(({ actor_kind }) => actor_kind === 'anonymous')).toBe(true);
  expect(noted.at(-1)).toMatchObject({ details: { flood: true, status: 401 } });
});
