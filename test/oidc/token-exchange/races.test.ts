/** Exchanges while the key is being ended: whoever has the answer that it ended finds no living token of it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { introspect } from '../../support/flows.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import { readFeed } from '../../support/revocation-feed.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange } from './exchange.ts';

const ROUNDS = 20;

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof exchange.person>>;
let guard: Awaited<ReturnType<typeof exchange.client>>;

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await exchange.person();
  guard = await exchange.client(person.teamId, { allowedScopes: ['credentials:introspect'] });
});
afterAll(() => server.close());

const ends: Record<string, (id: string) => Promise<unknown>> = {
  revoked: (id) => server.domain.apiKeys.revoke(id, {}, OPERATOR),
  rotated: (id) => server.domain.apiKeys.rotate(id, {}, {}, OPERATOR),
  deleted: (id) => server.domain.apiKeys.delete(id, {}, OPERATOR),
  'revoked and reinstated': async (id) => {
    await server.domain.apiKeys.revoke(id, {}, OPERATOR);
    await server.domain.apiKeys.reinstate(id, {}, OPERATOR);
  },
};

test.each(['revoked', 'rotated', 'deleted'])(`${ROUNDS} rounds: no token outlives a key that is %s`, async (how) => {
  let issued = 0;
  let refused = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const key = await exchange.personalKey(person);
    const asked = inParallel(4, () => exchange.key(key.text));
    // Sooner and later among the exchanges.
    await new Promise((resolve) => setTimeout(resolve, round / 2));
    await ends[how]!(key.id);
    await server.domain.notifications.settle();
    const answers = await asked;
    expect(Object.keys(countStatuses(answers)).every((status) => status === '200' || status === '400')).toBe(true);
    for (const { status, body } of answers) {
      if (status === 400) {
        expect(body.error).toBe('invalid_grant');
        refused += 1;
        continue;
      }
      issued += 1;
      // What those who follow the feed know of, and what the server says when it is asked.
      expect(server.domain.revocations.isRevoked(decodeJwt(body.access_token))).toBe(true);
      expect((await introspect(server, guard, body.access_token)).body).toEqual({ active: false });
    }
    expect((await exchange.key(key.text)).status).toBe(400);
  }
  expect([issued > 0, refused > 0]).toEqual([true, true]);
});

/** What happens right before or after the database is asked about a key, once, while `work` runs. */
async function aroundHold<T>(
  when: 'before' | 'after',
  end: () => Promise<unknown>,
  work: () => Promise<T>,
): Promise<T> {
  const { apiKeys, notifications } = server.domain;
  const { holdForToken } = apiKeys;
  const once = async () => {
    apiKeys.holdForToken = holdForToken;
    await end();
    await notifications.settle();
  };
  apiKeys.holdForToken = async (...args) => {
    if (when === 'before') await once();
    const held = await holdForToken(...args);
    if (when === 'after') await once();
    return held;
  };
  try {
    return await work();
  } finally {
    apiKeys.holdForToken = holdForToken;
  }
}

test.each(['revoked', 'rotated', 'deleted'])('no token of a key that is %s while it is made', async (how) => {
  const key = await exchange.personalKey(person);
  const end = () => ends[how]!(key.id);
  const { status, body } = await aroundHold('after', end, () => exchange.key(key.text));
  expect([status, body.error]).toEqual([400, 'invalid_grant']);
});

test('a key that comes back while a token is made has one that lives', async () => {
  const key = await exchange.personalKey(person);
  const end = () => ends['revoked and reinstated']!(key.id);
  const { status, body } = await aroundHold('after', end, () => exchange.key(key.text));
  expect([status, server.domain.revocations.isRevoked(decodeJwt(body.access_token))]).toEqual([200, false]);
  const [ended] = Object.values((await readFeed(server)).payload.revocations).sort((one, other) => other - one);
  expect(decodeJwt(body.access_token).iat).toBeGreaterThan(ended!);
});

test('what a key loses before its first token is asked of nobody, and is not in it', async () => {
  const api = await exchange.api(['read', 'write']);
  const [left, lost] = api.names;
  const key = await exchange.personalKey(person, { scopes: api.names });
  const narrow = () =>
    server.domain.resourceServers.update(api.id, { scopes: [{ name: left!, description: left! }] }, {}, OPERATOR);
  const ask = () => exchange.key(key.text, { resource: api.identifier });
  const { body } = await aroundHold('before', narrow, ask);
  expect([body.scope, lost]).toEqual([left, expect.any(String)]);

  const retired = await exchange.personalKey(person);
  const retire = () => server.domain.retirements.create({ keyId: retired.id, retiresAt: new Date() }, {}, OPERATOR);
  const answer = await aroundHold('before', retire, () => exchange.key(retired.text));
  expect([answer.status, answer.body.error]).toEqual([400, 'invalid_grant']);
  expect(answer.headers.get('sunset')).toEqual(expect.any(String));

  const closed = await exchange.api([]);
  const close = () => server.domain.resourceServers.update(closed.id, { acceptsApiKeys: false }, {}, OPERATOR);
  const fresh = await exchange.personalKey(person);
  const refused = await aroundHold('before', close, () => exchange.key(fresh.text, { resource: closed.identifier }));
  expect([refused.status, refused.body.error]).toEqual([400, 'invalid_target']);
});

test('a key that is switched off and on again: its tokens of before stay dead, and a new one is not born dead', async () => {
  const key = await exchange.personalKey(person);
  const before = (await exchange.key(key.text)).body.access_token;
  await ends['revoked and reinstated']!(key.id);
  await server.domain.notifications.settle();
  const after = (await exchange.key(key.text)).body.access_token;
  expect(server.domain.revocations.isRevoked(decodeJwt(before))).toBe(true);
  expect(server.domain.revocations.isRevoked(decodeJwt(after))).toBe(false);
});

test('the text of before a rotation: its tokens end with the overlap, and those of before are dead', async () => {
  const key = await exchange.personalKey(person);
  const before = (await exchange.key(key.text)).body.access_token;
  const { text } = await server.domain.apiKeys.rotate(key.id, { overlapSeconds: 60 }, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect(server.domain.revocations.isRevoked(decodeJwt(before))).toBe(true);
  const [old, fresh] = [await exchange.key(key.text), await exchange.key(text)];
  expect(old.body.expires_in).toBeLessThanOrEqual(60);
  expect(fresh.body.expires_in).toBe(600);
});

test('the end of the owner’s rights is the end of the token: disabled, out of the team, the team deleted', async () => {
  const root = OPERATOR;
  for (const end of [
    (one: typeof person) => server.domain.users.update(one.userId, { enabled: false }, {}, root),
    (one: typeof person) => server.domain.memberships.remove(one, root),
    (one: typeof person) => server.domain.teams.delete(one.teamId, root),
  ]) {
    const one = await exchange.person();
    const key = await exchange.personalKey(one);
    const { body } = await exchange.key(key.text);
    await end(one);
    await server.domain.notifications.settle();
    expect(server.domain.revocations.isRevoked(decodeJwt(body.access_token))).toBe(true);
    expect((await exchange.call(body.access_token, '/api/v1/providers')).status).toBe(401);
    const again = await exchange.key(key.text);
    expect([again.status, again.body.error]).toEqual([400, 'invalid_grant']);
  }
});
