/** Everybody who follows the feed remembers each token that ended by itself, so there is room for so many of each owner. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { createRevocations } from '../../../src/domain/revocations.ts';
import { clientCredentials, createPerson, credentials, postForm } from '../../support/flows.ts';
import { digestOf, readFeed } from '../../support/revocation-feed.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange } from '../token-exchange/exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof createPerson>>;

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await createPerson(server);
});
afterAll(() => server?.close());

const revoke = (token: string, more: Record<string, string> = {}) =>
  postForm(`${server.origin}/oauth2/revoke`, { token, ...more });
const statusOf = async (token: string) => (await exchange.call(token, '/api/v1/providers')).status;
const DONE = { status: 200, text: '{}' };

/** As if so many tokens of an owner had ended one by one; nobody hears of them. */
async function fill(owner: string, count: number, life = '5 minutes'): Promise<void> {
  await server.db.transaction(async (tx) => {
    await tx.query('ALTER TABLE revocations DISABLE TRIGGER notify');
    await tx.query(
      `INSERT INTO revocations (kind, id, owner, expires_at)
       SELECT 'token', gen_random_uuid()::text, $1, now() + $2::interval FROM generate_series(1, $3::int)`,
      [owner, life, count],
    );
    await tx.query('ALTER TABLE revocations ENABLE TRIGGER notify');
  });
}

async function inFeed(...words: string[]): Promise<(number | undefined)[]> {
  const { revocations } = (await readFeed(server)).payload;
  return words.map((word) => revocations[digestOf(word)]);
}

const around = (seconds: number) => ({ asymmetricMatch: (found: number) => Math.abs(found - seconds) <= 3 });
const now = () => around(Math.floor(Date.now() / 1000));

test('the thousand-and-first token of a key ends with those from before it, in one entry of the feed', async () => {
  const { id, text } = await exchange.teamKey(person.teamId);
  const neighbour = (await exchange.key((await exchange.teamKey(person.teamId)).text)).body.access_token as string;
  const get = async () => (await exchange.key(text)).body.access_token as string;
  await fill(`key:${id}`, 999);
  await fill(`key:${id}`, 500, '-1 second');
  const [last, kept, next] = [await get(), await get(), await get()];
  expect(await revoke(last)).toMatchObject(DONE);
  expect([await statusOf(last), await statusOf(kept)]).toEqual([401, 200]);
  expect(await revoke(next)).toMatchObject(DONE);
  expect([await statusOf(next), await statusOf(kept), await statusOf(neighbour)]).toEqual([401, 401, 200]);
  const words = [`key:${id}`, `token:${decodeJwt(last).jti}`, `token:${decodeJwt(next).jti}`];
  expect(await inFeed(...words)).toEqual([now(), 0, undefined]);
  const later = await get();
  expect([await statusOf(text), await statusOf(later)]).toEqual([200, 200]);
  const events = (await server.auditEvents()).filter(({ action }) => action === 'token.revoked').slice(-2);
  expect(events).toMatchObject([
    { details: {} },
    { target_id: decodeJwt(next).jti, details: { earlier_tokens_too: true } },
  ]);
});

test('so do those of a client for itself; what it got for a key counts with the key', async () => {
  const client = await exchange.client(person.teamId);
  const { id, text } = await exchange.teamKey(person.teamId);
  for (const owner of [`client:${client.clientId}`, `key:${id}`]) await fill(owner, 1_000);
  const get = async () => (await clientCredentials(server, client)).body.access_token as string;
  const ofKey = (await exchange.key(text, {}, client)).body.access_token as string;
  expect(await revoke(ofKey, credentials(client))).toMatchObject(DONE);
  expect(await inFeed(`client:${client.clientId}`, `key:${id}`)).toEqual([undefined, now()]);
  const [kept, one] = [await get(), await get()];
  expect(await revoke(one, credentials(client))).toMatchObject(DONE);
  expect([await statusOf(one), await statusOf(kept)]).toEqual([401, 401]);
  expect(await inFeed(`client:${client.clientId}`, `token:${decodeJwt(one).jti}`)).toEqual([now(), undefined]);
  expect(await statusOf(await get())).toBe(200);
});

test('those of an app go on ending one by one, and when there are too many, its users keep theirs', async () => {
  const app = await exchange.app();
  const { access_token: one } = await exchange.connect(app, person, 'openid providers:read');
  const { access_token: two } = await exchange.connect(app, person, 'openid providers:read');
  await fill(`client:${app.clientId}`, 1_500);
  expect(await revoke(one, credentials(app))).toMatchObject(DONE);
  expect([await statusOf(one), await statusOf(two)]).toEqual([401, 200]);
  await fill(`client:${app.clientId}`, 18_499);
  const { status, headers, body } = await revoke(two, credentials(app));
  expect([status, headers.get('retry-after'), body]).toEqual([
    429,
    '60',
    { error: 'temporarily_unavailable', error_description: expect.stringContaining('revoked') },
  ]);
  expect(await statusOf(two)).toBe(200);
  expect(await inFeed(`client:${app.clientId}`)).toEqual([undefined]);
});

test('what has ended altogether does not come back by it, and a clock that is ahead is no way past it', async () => {
  const { db, domain } = server;
  const [ended, ahead] = [await exchange.teamKey(person.teamId), await exchange.teamKey(person.teamId)];
  await db.query(`UPDATE api_keys SET tokens_until = now() + interval '5 minutes' WHERE id = $1`, [ended.id]);
  await domain.apiKeys.revoke(ended.id, {}, OPERATOR);
  const iat = Math.floor(Date.now() / 1000) + 60;
  for (const { id } of [ended, ahead]) {
    await fill(`key:${id}`, 1_000);
    const claims = {
      jti: randomUUID(),
      iat,
      exp: iat + 600,
      sub: 'x',
      client_id: `key:${id}`,
      derived_from: [`key:${id}`],
    };
    expect(await domain.revocations.revoke(db, claims)).toBe('earlier');
  }
  await domain.notifications.settle();
  expect(await inFeed(`key:${ended.id}`, `key:${ahead.id}`)).toEqual([0, iat]);
});

test('while the list is long there is room for ten', async () => {
  const { db, domain } = server;
  const crowded = createRevocations({ db, notifications: domain.notifications, longList: 0 });
  const id = randomUUID();
  const iat = Math.floor(Date.now() / 1000);
  const outcomes: string[] = [];
  for (let count = 0; count < 12; count += 1) {
    const claims = { jti: randomUUID(), iat, exp: iat + 600, sub: id, client_id: id };
    outcomes.push(await crowded.revoke(db, claims));
  }
  expect(outcomes).toEqual([...Array(10).fill('ended'), 'earlier', 'earlier']);
});
