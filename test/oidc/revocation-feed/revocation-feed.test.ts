/** The feed as its readers see it: signed, waited for, the same everywhere, and no longer than it has to be. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { later } from '../../support/clock.ts';
import { clientCredentials, createPerson, createTestClient, postForm } from '../../support/flows.ts';
import { inParallel } from '../../support/parallel.ts';
import type { RawAnswer } from '../../support/request.ts';
import { askForFeed, digestOf, readFeed } from '../../support/revocation-feed.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { soon } from '../../support/soon.ts';

let server: TestServer;
let client: Awaited<ReturnType<typeof createTestClient>>;

beforeAll(async () => {
  server = await startTestServer();
  const { teamId } = await createPerson(server);
  client = await createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post' });
});
afterAll(() => server?.close());

/** Ends a token; its `jti`. */
async function revokeOne(at = server): Promise<string> {
  const { body } = await clientCredentials(server, client);
  const fields = { token: body.access_token, client_id: client.clientId, client_secret: client.clientSecret };
  expect((await postForm(`${at.origin}/oauth2/revoke`, fields)).status).toBe(200);
  return decodeJwt(body.access_token).jti!;
}

const tagOf = ({ headers }: RawAnswer) => headers.etag ?? 'none';

/** The same, and how long it took in milliseconds. */
async function timed(work: Promise<RawAnswer>): Promise<RawAnswer & { ms: number }> {
  const start = performance.now();
  return { ...(await work), ms: performance.now() - start };
}

describe('what it is', () => {
  test('row 81: a JWS by the key of the access tokens, good for a minute, for everybody to keep a second', async () => {
    const jti = await revokeOne();
    const { payload, protectedHeader } = await readFeed(server);
    const { access_token: token } = (await clientCredentials(server, client)).body;
    expect(protectedHeader).toEqual({ ...decodeProtectedHeader(token), typ: 'revocations+jwt' });
    expect(Object.keys(payload)).toEqual(['iss', 'iat', 'exp', 'revocations']);
    expect(payload.exp! - payload.iat!).toBe(60);
    expect(payload.revocations[digestOf(`token:${jti}`)]).toBe(0);
    const { status, headers, text } = await askForFeed(server);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/revocations+jwt',
      'cache-control': 'public, max-age=1',
      'content-length': String(text.length),
      vary: 'Prefer',
      etag: expect.stringMatching(/^W\/"[\w-]{22}-\d+"$/),
    });
    expect(headers['preference-applied']).toBeUndefined();
  });

  test('nobody reads in it what has ended', async () => {
    const jti = await revokeOne();
    await server.domain.oauthClients.disable(client.id, {}, OPERATOR);
    await server.domain.oauthClients.enable(client.id, {}, OPERATOR);
    await server.domain.notifications.settle();
    const { text } = await askForFeed(server);
    const readable = Buffer.from(text.split('.')[1]!, 'base64url').toString();
    for (const secret of [jti, client.clientId, client.id]) expect(readable).not.toContain(secret);
    const { revocations } = JSON.parse(readable) as { revocations: object };
    for (const digest of Object.keys(revocations)) expect(digest).toMatch(/^[\w-]{22}$/);
  });

  test('HEAD says the same without the text, and other methods find nothing', async () => {
    const [head, get] = [await askForFeed(server, {}, 'HEAD'), await askForFeed(server)];
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', String(get.text.length)]);
    expect([tagOf(head), head.headers.vary]).toEqual([tagOf(get), 'Prefer']);
    expect((await askForFeed(server, {}, 'POST')).status).toBe(404);
  });

  test('a rotated key signs the next one', async () => {
    const before = (await readFeed(server)).protectedHeader.kid;
    const [urgent] = await server.domain.signingKeys.rotate({ alg: 'ES256', now: true }, OPERATOR);
    await server.domain.notifications.settle();
    expect((await readFeed(server)).protectedHeader.kid).toBe(urgent!.kid);
    expect(urgent!.kid).not.toBe(before);
  });

  test('it is there while nobody may sign in', async () => {
    const set = (oauth2_authorization_server_enabled: boolean) =>
      server.domain.settings.update({ oauth2_authorization_server_enabled }, {}, OPERATOR);
    await set(false);
    await server.domain.notifications.settle();
    expect((await clientCredentials(server, client)).status).toBe(503);
    expect((await askForFeed(server)).status).toBe(200);
    await set(true);
    await server.domain.notifications.settle();
  });
});

describe('who knows it already', () => {
  test('hears so, until the content or, after twenty seconds, the signature is another', async () => {
    const known = { 'if-none-match': `"other", ${tagOf(await askForFeed(server))}` };
    const same = await askForFeed(server, known);
    expect([same.status, same.text, known['if-none-match']]).toEqual([304, '', expect.stringContaining(tagOf(same))]);
    expect(same.headers['cache-control']).toBe('public, max-age=1');
    expect((await askForFeed(server, { 'if-none-match': '"other"' })).status).toBe(200);
    const renewed = await later(21, () => askForFeed(server, known));
    expect([renewed.status, tagOf(renewed).slice(0, 25)]).toEqual([200, tagOf(same).slice(0, 25)]);
    const jti = await revokeOne();
    const next = await askForFeed(server, known);
    expect([next.status, next.text]).toEqual([200, expect.any(String)]);
    expect(decodeJwt<{ revocations: object }>(next.text).revocations).toHaveProperty([digestOf(`token:${jti}`)]);
  });

  test('is not believed to know what was not signed yet', async () => {
    const [, digest, iat] = /^W\/"(.*)-(\d+)"$/.exec(tagOf(await askForFeed(server)))!;
    const status = async (at: number) => (await askForFeed(server, { 'if-none-match': `W/"${digest}-${at}"` })).status;
    // Clocks of instances may differ a little.
    expect([await status(Number(iat) + 5), await status(Number(iat) + 60), await status(99_999_999_999)]).toEqual([
      304, 200, 200,
    ]);
    expect((await askForFeed(server, { 'if-none-match': `W/"${digest}-Infinity"` })).status).toBe(200);
  });

  test('can wait for what is new, and no longer than it says', async () => {
    const known = { 'if-none-match': tagOf(await askForFeed(server)), prefer: 'respond-async, wait="1"' };
    const waiting = timed(askForFeed(server, known));
    await sleep(100);
    // What is told again is no news.
    await server.db.query('UPDATE revocations SET kind = kind');
    const { status, headers, ms } = await waiting;
    expect([status, headers['preference-applied']]).toEqual([304, 'wait=1']);
    expect([ms > 990, ms < 1_500]).toEqual([true, true]);
  });

  test('hears of a burst at once, and once', async () => {
    const known = { 'if-none-match': tagOf(await askForFeed(server)), prefer: 'wait=20' };
    const waiting = inParallel(5, () => timed(askForFeed(server, known)));
    await sleep(100);
    const ids = Array.from({ length: 300 }, () => randomUUID());
    // Told one by one, as they were written.
    await server.db.query(
      `INSERT INTO revocations (kind, id, expires_at) SELECT 'grant', id, now() + interval '1 minute' FROM unnest($1::text[]) AS id`,
      [ids],
    );
    const answers = await waiting;
    expect(new Set(answers.map(tagOf)).size).toBe(1);
    for (const { status, text, ms } of answers) {
      const { revocations } = decodeJwt<{ revocations: object }>(text);
      expect([status, ms < 10_000]).toEqual([200, true]);
      for (const id of ids) expect(revocations).toHaveProperty([digestOf(`grant:${id}`)], 0);
    }
  });

  test('waits at most twenty-five seconds, and only when it asks to', async () => {
    const applied = async (prefer: string) =>
      (await askForFeed(server, { prefer, 'if-none-match': '"other"' })).headers['preference-applied'];
    const asked = ['wait=3', 'wait=3600', 'WAIT = 7 ; x', 'wait=2, wait=9', 'wait=0', 'wait=-1', 'wait', 'await=5', ''];
    const answers = await Promise.all(asked.map(applied));
    expect(answers).toEqual(['wait=3', 'wait=25', 'wait=7', 'wait=2', ...Array(5).fill(undefined)]);
  });

  test('what was not new is no line of the log that anybody has to read', async () => {
    const known = { 'if-none-match': tagOf(await askForFeed(server)) };
    const from = server.log.length;
    expect((await askForFeed(server, known)).status).toBe(304);
    expect((await askForFeed(server)).status).toBe(200);
    const lines = () => server.log.slice(from).map((line) => JSON.parse(line) as { status?: number; level: number });
    expect(await soon(async () => lines().length === 2)).toBe(true);
    expect(lines()).toMatchObject([
      { status: 304, level: 20 },
      { status: 200, level: 30 },
    ]);
  });
});

describe('several instances', () => {
  let other: TestServer;

  beforeAll(async () => {
    // It reads them in another order than they came.
    const first = 'DELETE FROM revocations WHERE ctid = (SELECT min(ctid) FROM revocations) RETURNING *';
    await server.db.query(`WITH first AS (${first}) INSERT INTO revocations SELECT * FROM first`);
    const { issuer, connectionString, secret } = server;
    other = await startTestServer({ issuer, connectionString, secret });
  });
  afterAll(() => other?.close());

  test('row 81: one that has just started knows all of it, and each takes the other at its word', async () => {
    const [here, there] = [await askForFeed(server), await askForFeed(other)];
    expect((await readFeed(other)).payload.revocations).toEqual((await readFeed(server)).payload.revocations);
    const known = (answer: RawAnswer) => ({ 'if-none-match': tagOf(answer) });
    expect((await askForFeed(server, known(there))).status).toBe(304);
    expect((await askForFeed(other, known(here))).status).toBe(304);
  });

  test('row 81: what ends at one is in the feed of the other within a second, also for who waits there', async () => {
    const known = { 'if-none-match': tagOf(await askForFeed(other)), prefer: 'wait=20' };
    const waiting = timed(askForFeed(other, known));
    const jti = await revokeOne();
    const { ms, text } = await waiting;
    expect(ms).toBeLessThan(1_000);
    expect(decodeJwt<{ revocations: object }>(text).revocations).toHaveProperty([digestOf(`token:${jti}`)]);
  });

  test('one that stops answers whoever waits, and lets nobody wait', async () => {
    const known = { 'if-none-match': tagOf(await askForFeed(other)), prefer: 'wait=20' };
    const waiting = timed(askForFeed(other, known));
    await sleep(100);
    other.app.drain();
    for (const { status, headers, ms } of [await waiting, await timed(askForFeed(other, known))]) {
      expect([status, headers.connection, ms < 1_000]).toEqual([304, 'close', true]);
    }
    expect((await askForFeed(other, known)).headers['preference-applied']).toBeUndefined();
  });
});

describe('what can concern no token any more', () => {
  const secondsKept = async (id: string) => {
    const { rows } = await server.db.query<{ seconds: number }>(
      'SELECT extract(epoch FROM expires_at - now())::int AS seconds FROM revocations WHERE id = $1',
      [id],
    );
    return rows[0]?.seconds;
  };
  const around = (seconds: number) => ({ asymmetricMatch: (found: number) => Math.abs(found - seconds) <= 3 });

  test('leaves the feed, a moment after it has expired', async () => {
    const id = randomUUID();
    await server.db.query(
      `INSERT INTO revocations (kind, id, expires_at) VALUES ('grant', $1, now() + interval '30 seconds')`,
      [id],
    );
    await server.domain.notifications.settle();
    const isThere = async () => digestOf(`grant:${id}`) in (await readFeed(server)).payload.revocations;
    expect(await isThere()).toBe(true);
    expect(await later(25, isThere)).toBe(true);
    expect(await later(55, isThere)).toBe(false);
  });

  test('is kept as long as the longest token lives, and two minutes for clocks', async () => {
    const jti = await revokeOne();
    expect(await secondsKept(jti)).toEqual(around(600 + 120));
    const set = { identifier: 'https://long.example.com', name: 'Long', accessTokenTtlSeconds: 3600 };
    const long = await server.domain.resourceServers.create(set, OPERATOR);
    const team = await server.domain.teams.create({ name: 'Short-lived' }, OPERATOR);
    await server.domain.teams.delete(team.id, OPERATOR);
    expect(await secondsKept(team.id)).toEqual(around(3600 + 120));
    // Tokens issued before it was shortened live on.
    await server.domain.resourceServers.update(long.id, { accessTokenTtlSeconds: 60 }, {}, OPERATOR);
    const next = await server.domain.teams.create({ name: 'Short-lived' }, OPERATOR);
    await server.domain.teams.delete(next.id, OPERATOR);
    expect(await secondsKept(next.id)).toEqual(around(3600 + 120));
    await server.db.query('DELETE FROM former_lifetimes');
    const last = await server.domain.teams.create({ name: 'Short-lived' }, OPERATOR);
    await server.domain.teams.delete(last.id, OPERATOR);
    expect(await secondsKept(last.id)).toEqual(around(600 + 120));
  });

  test('is kept a day more after an instance was given a shorter life of tokens: others may go on as before', async () => {
    const { issuer, connectionString, secret } = server;
    const start = async (ACCESS_TOKEN_TTL: string) =>
      (await startTestServer({ issuer, connectionString, secret, env: { ACCESS_TOKEN_TTL } })).close();
    const keptNow = async () => {
      const team = await server.domain.teams.create({ name: 'Short-lived' }, OPERATOR);
      await server.domain.teams.delete(team.id, OPERATOR);
      return secondsKept(team.id);
    };
    await start('700');
    expect(await keptNow()).toEqual(around(700 + 120));
    await start('600');
    expect(await keptNow()).toEqual(around(700 + 86_400 + 120));
  });
});
