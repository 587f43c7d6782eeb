/** What happens to a resource server happens to the tokens for it, also to those that only the feed is asked about. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { clientCredentials, introspect } from '../../support/flows.ts';
import { digestOf, readFeed } from '../../support/revocation-feed.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange } from '../token-exchange/exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof exchange.person>>;

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await exchange.person();
});
afterAll(() => server?.close());

/** A resource server without scopes, and a key and a client with a token for it each. */
async function makeSituation() {
  const api = await exchange.api([]);
  const guard = await exchange.client(person.teamId);
  await server.domain.resourceServers.update(api.id, { clientIds: [guard.clientId] }, {}, OPERATOR);
  await server.domain.notifications.settle();
  const key = await exchange.teamKey(person.teamId);
  const client = await exchange.client(person.teamId);
  const ofKey = async () => (await exchange.key(key.text, { resource: api.identifier })).body.access_token as string;
  const ofClient = async () =>
    (await clientCredentials(server, client, { resource: api.identifier })).body.access_token as string;
  return { api, guard, ofKey, ofClient };
}

/** `live` or `dead`, as the feed has it by the words about the resource server. */
async function feedSays(token: string): Promise<string> {
  const { aud, iat, derived_from } = decodeJwt<{ derived_from?: string[] }>(token);
  const words = [`aud:${aud}`, ...(derived_from ? [`aud_keys:${aud}`] : [])];
  const { revocations } = (await readFeed(server)).payload;
  const isDead = words.some((word) => {
    const before = revocations[digestOf(word)];
    return before === 0 || (before !== undefined && iat! <= before);
  });
  return isDead ? 'dead' : 'live';
}

const feedSaysAll = (...tokens: string[]) => Promise.all(tokens.map(feedSays));

test('row 81: one that is deleted leaves no token behind', async () => {
  const { api, ofKey, ofClient } = await makeSituation();
  const tokens = [await ofKey(), await ofClient()];
  expect(await feedSaysAll(...tokens)).toEqual(['live', 'live']);
  await server.domain.resourceServers.delete(api.id, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect(await feedSaysAll(...tokens)).toEqual(['dead', 'dead']);
});

test('row 81: one that is registered anew, also within the second, has nothing of the former one', async () => {
  const { api, guard, ofKey, ofClient } = await makeSituation();
  // The beginning of a second, so that all of it is in one.
  await sleep(1000 - (Date.now() % 1000));
  const tokens = [await ofKey(), await ofClient()];
  await server.domain.resourceServers.delete(api.id, {}, OPERATOR);
  const anew = { identifier: api.identifier, name: 'Other', clientIds: [guard.clientId] };
  await server.domain.resourceServers.create(anew, OPERATOR);
  await server.domain.notifications.settle();
  expect(await feedSaysAll(...tokens)).toEqual(['dead', 'dead']);
  for (const token of tokens) expect((await introspect(server, guard, token)).body).toEqual({ active: false });
  for (const next of [await ofClient(), await ofKey()]) {
    expect([await feedSays(next), (await introspect(server, guard, next)).body.active]).toEqual(['live', true]);
  }
});

test('row 81: one that takes no API keys any more ends the tokens that were got for them, and only those', async () => {
  const { api, guard, ofKey, ofClient } = await makeSituation();
  const tokens = [await ofKey(), await ofClient()] as const;
  const accept = async (acceptsApiKeys: boolean) => {
    await server.domain.resourceServers.update(api.id, { acceptsApiKeys }, {}, OPERATOR);
    await server.domain.notifications.settle();
  };
  await server.domain.resourceServers.update(api.id, { name: 'New', acceptsApiKeys: true }, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect(await feedSaysAll(...tokens)).toEqual(['live', 'live']);
  await accept(false);
  expect(await feedSaysAll(...tokens)).toEqual(['dead', 'live']);
  // Nor do they come back.
  await accept(true);
  expect(await feedSaysAll(...tokens)).toEqual(['dead', 'live']);
  expect((await introspect(server, guard, tokens[0])).body).toEqual({ active: false });
  expect((await introspect(server, guard, tokens[1])).body.active).toBe(true);
});

test('one that took no keys and is registered anew takes them', async () => {
  const { api, ofKey } = await makeSituation();
  await server.domain.resourceServers.update(api.id, { acceptsApiKeys: false }, {}, OPERATOR);
  await server.domain.resourceServers.delete(api.id, {}, OPERATOR);
  await server.domain.resourceServers.create({ identifier: api.identifier, name: 'Other' }, OPERATOR);
  await server.domain.notifications.settle();
  expect(await feedSays(await ofKey())).toBe('live');
});
