/** Whoever holds an API key, or a token that was got for one, may end it, with a client or without. */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { createSecretText } from '../../../src/domain/secret-text.ts';
import {
  clientCredentials,
  connect,
  createPerson,
  type createTestClient,
  credentials,
  postForm,
} from '../../support/flows.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import { digestOf, readFeed } from '../../support/revocation-feed.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange } from '../token-exchange/exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof createPerson>>;
let client: Awaited<ReturnType<typeof createTestClient>>;

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await createPerson(server);
  client = await exchange.client(person.teamId);
});
afterAll(() => server?.close());

const revoke = (token: string, more: Record<string, string> = {}, headers: Record<string, string> = {}) =>
  postForm(`${server.origin}/oauth2/revoke`, { token, ...more }, headers);
const statusOf = async (token: string) => (await exchange.call(token, '/api/v1/providers')).status;
const DONE = { status: 200, text: '{}' };

async function importedKey() {
  const text = `acme_${randomUUID()}`;
  const name = `Key ${randomUUID()}`;
  const digest = createHash('sha256').update(text).digest('hex');
  const fields = { algorithm: 'sha256', digest, prefix: 'acme_', team: person.teamId, name };
  await server.domain.keyImport.run([{ line: 1, fields }], { source: 'test' }, OPERATOR);
  await server.domain.notifications.settle();
  const { rows } = await server.db.query<{ id: string }>('SELECT id FROM api_keys WHERE name = $1', [name]);
  return { id: rows[0]!.id, text };
}

const KEYS = {
  personal: () => exchange.personalKey(person),
  team: () => exchange.teamKey(person.teamId),
  imported: importedKey,
};

test.each(['personal', 'team', 'imported'] as const)(
  'row 79: a %s key that its holder ends opens nothing once the answer is there; its owner can reinstate it',
  async (kind) => {
    const { id, text } = await KEYS[kind]();
    expect(await statusOf(text)).toBe(200);
    const { headers, ...answer } = await revoke(text);
    expect(answer).toMatchObject(DONE);
    expect([headers.get('content-type'), headers.get('cache-control')]).toEqual([
      'application/json; charset=utf-8',
      'no-store',
    ]);
    expect(await statusOf(text)).toBe(401);
    expect(await server.domain.apiKeys.find(id)).toMatchObject({ status: 2 });
    expect(await revoke(text)).toMatchObject(DONE);
    const events = (await server.auditEvents()).filter(
      (event) => event.target_id === id && event.action === 'api_key.revoked',
    );
    expect(events).toMatchObject([
      {
        actor_kind: kind === 'personal' ? 'personal_key' : 'team_key',
        actor_id: id,
        team_id: person.teamId,
        details: { endpoint: 'revocation' },
      },
    ]);
    expect(JSON.stringify(events)).not.toContain(text);
    await server.domain.apiKeys.reinstate(id, {}, OPERATOR);
    await server.domain.notifications.settle();
    expect(await statusOf(text)).toBe(200);
  },
);

test('row 79: a client that proves who it is may do so too, one that fails to may not', async () => {
  const { id, text } = await exchange.teamKey(person.teamId);
  const wrongs: Record<string, string>[] = [
    { ...credentials(client), client_secret: 'wrong' },
    { client_id: 'nobody' },
    { client_secret: 'lonely' },
    { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
  ];
  for (const wrong of wrongs) {
    expect(await revoke(text, wrong)).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  }
  const basic = { authorization: `Basic ${Buffer.from('nobody:nothing').toString('base64')}` };
  expect((await revoke(text, {}, basic)).status).toBe(401);
  expect(await statusOf(text)).toBe(200);
  expect(await revoke(text, { ...credentials(client), token_type_hint: 'access_token' })).toMatchObject(DONE);
  expect(await statusOf(text)).toBe(401);
  const events = (await server.auditEvents()).filter((event) => event.target_id === id);
  expect(events.at(-1)).toMatchObject({ action: 'api_key.revoked', actor_kind: 'client', actor_id: client.clientId });
});

test('a text that was replaced ends the key only as long as it opens it', async () => {
  const [kept, spent, late] = await inParallel(3, () => exchange.teamKey(person.teamId));
  const rotate = async (key = kept!, overlapSeconds = 60) =>
    (await server.domain.apiKeys.rotate(key.id, { overlapSeconds }, {}, OPERATOR)).text;
  const [, ...renewed] = [await rotate(kept), await rotate(spent, 0), await rotate(late)];
  await server.db.query(`UPDATE api_keys SET previous_expires_at = now() - interval '1 second' WHERE id = $1`, [
    late!.id,
  ]);
  await server.domain.notifications.settle();
  for (const { text } of [spent!, late!]) expect(await revoke(text)).toMatchObject(DONE);
  expect(await Promise.all(renewed.map(statusOf))).toEqual([200, 200]);
  expect(await revoke(kept!.text)).toMatchObject(DONE);
  expect(await server.domain.apiKeys.find(kept!.id)).toMatchObject({ status: 2 });
});

test('nor does it where nobody has heard yet that it was replaced, or that the key is gone', async () => {
  const { db, domain } = server;
  const { transaction } = db;
  const [replaced, deleted] = [await exchange.teamKey(person.teamId), await exchange.personalKey(person)];
  const changes = [
    [replaced, `UPDATE api_keys SET digest = sha256('x') WHERE id = $1`],
    [deleted, 'DELETE FROM api_keys WHERE id = $1'],
  ] as const;
  for (const [key, change] of changes) {
    expect(await statusOf(key.text)).toBe(200);
    // Another instance does it between the look into the memory here and the change.
    db.transaction = async (work) => {
      db.transaction = transaction;
      await db.query(change, [key.id]);
      return transaction(work);
    };
    expect(await revoke(key.text)).toMatchObject(DONE);
    expect(db.transaction).toBe(transaction);
  }
  expect(await domain.apiKeys.find(replaced.id)).toMatchObject({ status: 1 });
  expect((await server.auditEvents()).filter(({ target_id }) => target_id === replaced.id)).toMatchObject([
    { action: 'api_key.created' },
  ]);
});

test('a key ends its tokens, and the feed says so', async () => {
  const { id, text } = await exchange.personalKey(person);
  const { body } = await exchange.key(text);
  const { body: byClient } = await exchange.key(text, {}, client);
  const children = [body.access_token, byClient.access_token] as string[];
  expect(await Promise.all(children.map(statusOf))).toEqual([200, 200]);
  expect(await revoke(text)).toMatchObject(DONE);
  expect(await Promise.all(children.map(statusOf))).toEqual([401, 401]);
  expect((await readFeed(server)).payload.revocations).toHaveProperty([digestOf(`key:${id}`)], 0);
});

test('a token that stands for a key alone ends by itself, without a client or with any', async () => {
  const { id, text } = await exchange.teamKey(person.teamId);
  const [one, two, three] = await inParallel(3, async () => (await exchange.key(text)).body.access_token as string);
  expect(await revoke(one!)).toMatchObject(DONE);
  expect(await revoke(two!, credentials(client))).toMatchObject(DONE);
  expect([await statusOf(one!), await statusOf(two!), await statusOf(three!), await statusOf(text)]).toEqual([
    401, 401, 200, 200,
  ]);
  const { jti } = decodeJwt(one!);
  expect((await readFeed(server)).payload.revocations).toHaveProperty([digestOf(`token:${jti}`)], 0);
  const events = (await server.auditEvents()).filter(({ target_id }) => target_id === jti);
  expect(events).toMatchObject([{ action: 'token.revoked', actor_kind: 'team_key', actor_id: id }]);
  // One that names a client is that client's to end.
  const named = (await exchange.key(text, {}, client)).body.access_token as string;
  const other = await exchange.client(person.teamId);
  expect((await revoke(named)).status).toBe(401);
  expect(await revoke(named, credentials(other))).toMatchObject(DONE);
  expect(await statusOf(named)).toBe(200);
  expect(await revoke(named, credentials(client))).toMatchObject(DONE);
  expect(await statusOf(named)).toBe(401);
});

test('row 79: what is unknown or damaged is answered alike without a client; what needs its client still does', async () => {
  const [header, , signature] = ((await clientCredentials(server, client)).body.access_token as string).split('.');
  const payload = Buffer.from(JSON.stringify({ client_id: 'key:x', jti: 'x' })).toString('base64url');
  const { text } = await exchange.teamKey(person.teamId);
  const unknown = [
    createSecretText('lkp_').text,
    createSecretText('lkt_').text,
    'lkp_x',
    `${text}x`,
    `acme_${randomUUID()}`,
    `${header}.${payload}.${signature}`,
  ];
  for (const one of unknown) expect([one, await revoke(one)]).toMatchObject([one, DONE]);
  expect(await statusOf(text)).toBe(200);
  const { tokens } = await connect(server);
  const machine = (await clientCredentials(server, client)).body.access_token as string;
  for (const one of [tokens.access_token, tokens.refresh_token, machine, 'garbage', 'a.b.c', 'lks_x']) {
    expect([one, await revoke(one)]).toMatchObject([one, { status: 401, body: { error: 'invalid_client' } }]);
  }
  expect([await statusOf(tokens.access_token), await statusOf(machine)]).toEqual([200, 200]);
  expect(await postForm(`${server.origin}/oauth2/revoke`, {})).toMatchObject({
    status: 401,
    body: { error: 'invalid_client' },
  });
  const twice = `token=${text}&token=${text}`;
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await fetch(`${server.origin}/oauth2/revoke`, { method: 'POST', body: twice, headers: form });
  expect([answer.status, await answer.json()]).toMatchObject([400, { error: 'invalid_request' }]);
});

test('a flood of keys that are none is bounded, in the words of OAuth, and stays out of the trail', async () => {
  const { text } = await exchange.teamKey(person.teamId);
  expect(await statusOf(text)).toBe(200);
  const before = (await server.auditEvents()).length;
  // As slow as a database that has something else to do.
  const { query } = server.db;
  server.db.query = async (...asked) => {
    if (asked[0].includes('previous_digest')) await sleep(5);
    return query(...asked);
  };
  const answers = await inParallel(300, () => revoke(createSecretText('lkp_').text));
  server.db.query = query;
  const counts = countStatuses(answers);
  expect(Object.keys(counts)).toEqual(['200', '429']);
  expect(counts[429]).toBeGreaterThan(50);
  const { headers, body } = answers.find(({ status }) => status === 429)!;
  expect([headers.get('retry-after'), body]).toEqual([
    '1',
    { error: 'temporarily_unavailable', error_description: expect.any(String) },
  ]);
  expect((await server.auditEvents()).length).toBe(before);
  // A client that proves who it is is not kept waiting by it.
  expect(await revoke(text, credentials(client))).toMatchObject(DONE);
  expect(await statusOf(text)).toBe(401);
});
