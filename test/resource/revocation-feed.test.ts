import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { JWTPayload } from 'jose';
import { createAuthenticator, type ResourceOptions } from '../../src/resource/index.ts';
import { AUDIENCE, createKey, type FeedTrouble, type Issuer, startIssuer, TEAM } from './issuer.ts';

const FEED = '/oauth2/revocations';
const SECOND = 1_000;
let issuer: Issuer;
let now: number;
let errors: Error[];

beforeEach(async () => {
  issuer = await startIssuer();
  issuer.revoked = {};
  issuer.clock = () => now;
  now = Math.floor(Date.now() / 1000) * 1000;
  errors = [];
});
afterEach(() => issuer.stop());

/** A resource server whose every request answers with its status alone. */
function resource(options: Partial<ResourceOptions> = {}) {
  const onError = (error: Error) => errors.push(error);
  const core = createAuthenticator({ issuer: issuer.url, audience: AUDIENCE, clock: () => now, onError, ...options });
  return async (token: string) => {
    const decision = await core.authenticate({ method: 'GET', headers: { authorization: `Bearer ${token}` } });
    return decision.principal ? 200 : decision.status;
  };
}

const seconds = () => Math.floor(now / 1000);
const longLived = (claims: JWTPayload = {}) => issuer.token({ iat: seconds(), exp: seconds() + 86_400, ...claims });
const polls = () => issuer.requests.filter(({ path }) => path === FEED);
/** Long enough for a poll that nobody waits for. */
const settle = () => sleep(30);

async function eventually(happened: () => unknown): Promise<void> {
  for (let i = 0; i < 200 && !(await happened()); i++) await sleep(5);
  expect(await happened()).toBe(true);
}

async function untilPolled(times: number): Promise<void> {
  await eventually(() => polls().length >= times);
  await settle();
  expect(polls()).toHaveLength(times);
}

describe('row 81: what the issuer revokes', () => {
  const claims = {
    jti: 'j1',
    grant_id: 'g1',
    sub: 'u1',
    client_id: 'c1',
    team_id: TEAM,
    derived_from: ['key:k1', 'x:y'],
  };
  const ofAll = [`team:${TEAM}`, `aud:${AUDIENCE}`, 'kid:first'];
  const ofIt = ['token:j1', 'grant:g1', 'user:u1', `member:u1:${TEAM}`, 'client:c1', 'key:k1', 'x:y'];
  const words = [...ofIt, `aud_keys:${AUDIENCE}`, ...ofAll];

  test.each(words)('row 81: a token is refused once %s is, also one that was accepted before', async (word) => {
    const status = resource();
    const [token, other] = [await longLived(claims), await longLived()];
    expect([await status(token), await status(other)]).toEqual([200, 200]);
    issuer.revoked = { [word]: 0 };
    now += 6 * SECOND;
    expect(await status(token)).toBe(401);
    expect(await status(await longLived({ ...claims, jti: 'j1', exp: seconds() + 1 }))).toBe(401);
    expect(await status(other)).toBe(ofAll.includes(word) ? 401 : 200);
    expect(errors).toEqual([]);
  });

  test('row 81: tokens issued in the last second that is revoked are refused, later ones are not', async () => {
    issuer.revoked = { 'client:svc_reports': seconds(), 'user:svc_reports': seconds() - 10 };
    const status = resource();
    const tokens = await Promise.all([-1, 0, 1].map((by) => longLived({ iat: seconds() + by })));
    expect(await Promise.all(tokens.map(status))).toEqual([401, 401, 200]);
  });

  test('row 81: what is not revoked any more is good again', async () => {
    issuer.revoked = { 'client:svc_reports': 0 };
    const status = resource();
    const token = await longLived();
    expect(await status(token)).toBe(401);
    issuer.revoked = {};
    now += 6 * SECOND;
    expect(await status(token)).toBe(200);
  });

  test('the answer is that to any bad token, and isRevoked is asked as well', async () => {
    issuer.revoked = { 'token:j1': 0 };
    const asked: unknown[] = [];
    const core = createAuthenticator({
      issuer: issuer.url,
      audience: AUDIENCE,
      clock: () => now,
      isRevoked: ({ jti }) => asked.push(jti) > 0 && jti === 'j2',
    });
    const authorization = async (jti: string) => ({ authorization: `Bearer ${await longLived({ jti })}` });
    const ask = async (jti: string) => core.authenticate({ method: 'GET', headers: await authorization(jti) });
    const revoked = await ask('j1');
    expect(revoked).toMatchObject({ status: 401, body: { message: 'Invalid access token' }, reason: 'revoked' });
    expect(await ask('j2')).toEqual(revoked);
    expect(await ask('j3')).toHaveProperty('principal');
    expect(asked).toEqual(['j2', 'j3']);
  });

  test.each([{ derived_from: 'key:k1' }, { derived_from: ['key:k1', 7] }, { derived_from: null }])(
    'a token is refused with the claims %j',
    async (claims) => expect(await resource()(await longLived(claims))).toBe(401),
  );
});

describe('asking', () => {
  test('100 requests at once share one poll, and the next 5 s need none before they are answered', async () => {
    const status = resource();
    const token = await longLived();
    const statuses = await Promise.all(Array.from({ length: 100 }, () => status(token)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(polls()).toHaveLength(1);
    let release = () => {};
    issuer.feed = { wait: new Promise<void>((resolve) => (release = resolve)) };
    for (const by of [900, 500, 3_500]) {
      now += by;
      expect(await status(token)).toBe(200);
    }
    await untilPolled(2);
    release();
  });

  test('a poll waits for news while the last answer is young, and brings them at once', async () => {
    const status = resource();
    const token = await longLived();
    await status(token);
    now += 1_100;
    let release = () => {};
    issuer.feed = { wait: new Promise<void>((resolve) => (release = resolve)) };
    expect(await status(token)).toBe(200);
    await untilPolled(2);
    expect(polls()[0]?.headers).not.toHaveProperty('prefer');
    expect(polls()[1]?.headers).toMatchObject({ prefer: 'wait=3', 'if-none-match': expect.stringContaining('W/') });
    issuer.revoked = { 'client:svc_reports': 0 };
    release();
    await eventually(async () => (await status(token)) === 401);
    now += 3 * SECOND;
    await status(token);
    await untilPolled(3);
    expect(polls()[2]?.headers).not.toHaveProperty('prefer');
  });

  test('without requests nobody is asked, and an issuer that never waits is asked once a second', async () => {
    const status = resource();
    const token = await longLived();
    await status(token);
    now += 60 * SECOND;
    await settle();
    expect(polls()).toHaveLength(1);
    for (let i = 0; i < 30; i++) {
      now += 100;
      expect(await status(token)).toBe(200);
      await sleep(2);
    }
    await settle();
    expect(polls().length).toBeLessThanOrEqual(5);
  });

  test('an issuer without a feed is not followed, nor is one in the same process', async () => {
    issuer.revoked = undefined;
    const token = await longLived();
    const status = resource();
    expect(await status(token)).toBe(200);
    now += 60 * SECOND;
    expect(await status(token)).toBe(200);
    issuer.revoked = { 'client:svc_reports': 0 };
    expect(await resource({ jwks: () => ({ keys: [issuer.key.jwk as never] }) })(token)).toBe(200);
    expect(polls()).toEqual([]);
    expect(errors).toEqual([]);
  });

  test('a feed may be anywhere the other endpoints may', async () => {
    const elsewhere = await startIssuer();
    elsewhere.revoked = { 'client:svc_reports': 0 };
    elsewhere.feed = { claims: { iss: issuer.url }, signer: issuer.key };
    const token = await longLived();
    issuer.metadata = { revocation_feed_endpoint: `${elsewhere.url}${FEED}` };
    expect(await resource()(token)).toBe(401);
    const insecure = elsewhere.url.replace('127.0.0.1', '0.0.0.0');
    for (const url of [`${insecure}${FEED}`, 7, '']) {
      issuer.metadata = { revocation_feed_endpoint: url };
      expect(await resource()(token)).toBe(503);
    }
    await elsewhere.stop();
  });

  test('an API that is left alone asks nobody, and its process ends', async () => {
    const source = `
      import { createServer } from 'node:http';
      import { createGuard } from './src/resource/node.ts';
      const check = createGuard({ issuer: process.argv[1], audience: '${AUDIENCE}' });
      const server = createServer(async (req, res) => (await check(req, res)) && res.end('ok'));
      server.listen(0, '127.0.0.1', async () => {
        const headers = { authorization: 'Bearer ' + process.argv[2] };
        const ask = async () => (await fetch('http://127.0.0.1:' + server.address().port, { headers })).status;
        console.log(await ask(), await ask());
        server.close();
      });`;
    const started = performance.now();
    const args = ['--no-warnings', '--input-type=module', '-e', source, issuer.url, await longLived()];
    now = Date.now();
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toBe('200 200\n');
    expect(performance.now() - started).toBeLessThan(6_000);
  });
});

describe('row 84: the feed cannot be had', () => {
  const OUTCOMES = {
    // What was accepted before, and what is seen for the first and the second time: for maxStale, and after it.
    'known-good': [200, 503, 503, 503, 503],
    closed: [503, 503, 503, 503, 503],
    verified: [200, 200, 200, 503, 503],
  };
  test.each(Object.entries(OUTCOMES))('row 84: fail mode %s: %j', async (mode, outcome) => {
    const failMode = mode as keyof typeof OUTCOMES;
    const status = resource({ failMode, maxStale: 60, jwksUri: `${issuer.url}/jwks` });
    const [known, unseen, revoked] = [await longLived(), await longLived(), await longLived({ client_id: 'dead' })];
    issuer.revoked = { 'client:dead': 0 };
    expect([await status(known), await status(revoked)]).toEqual([200, 401]);
    issuer.feed = { status: 500 };
    now += 4_900;
    expect([await status(known), await status(await longLived())]).toEqual([200, 200]);
    await settle();
    now += 100;
    const during = [await status(known), await status(unseen), await status(unseen)];
    expect(await status(revoked)).toBe(401);
    now += 54_900;
    expect(await status(known)).toBe(outcome[0]);
    now += 101;
    expect([...during, await status(known), await status(unseen)]).toEqual(outcome);
    issuer.feed = {};
    now += 6 * SECOND;
    expect([await status(known), await status(unseen), await status(revoked)]).toEqual([200, 200, 401]);
    expect(errors.map(({ message }) => message)).toContain('The revocation feed answered 500');
  });

  test('row 84: the first answer of all is needed, in every mode', async () => {
    issuer.feed = { status: 503 };
    const token = await longLived();
    for (const failMode of ['known-good', 'closed', 'verified'] as const) {
      const status = resource({ failMode });
      expect([await status(token), await status(token)]).toEqual([503, 503]);
    }
    issuer.trouble = 0;
    expect(await resource({ failMode: 'verified' })(token)).toBe(503);
  });

  test('row 84: nothing is known good that is not remembered', async () => {
    const status = resource({ cacheSize: 0 });
    const token = await longLived();
    expect([await status(token), await status(token)]).toEqual([200, 200]);
    issuer.feed = { status: 500 };
    now += 6 * SECOND;
    expect(await status(token)).toBe(503);
  });

  const wrong: [string, () => FeedTrouble | Promise<FeedTrouble>][] = [
    ['a status of 500', () => ({ status: 500 })],
    ['a status of 204', () => ({ status: 204 })],
    ['a redirect', () => ({ status: 302 })],
    ['half an answer', () => ({ claims: {}, status: 0 })],
    ['another key under its name', async () => ({ claims: {}, signer: await createKey('first') })],
    ['an unknown key', async () => ({ claims: {}, signer: await createKey('other') })],
    ['another typ', () => ({ claims: {}, header: { typ: 'at+jwt' } })],
    ['another issuer', () => ({ claims: { iss: 'https://other.example' } })],
    ['an iat before that of the last one', () => ({ claims: { iat: seconds() - 12 } })],
    ['an iat of long ago', () => ({ claims: { iat: seconds() - 66 } })],
    ['an iat to come', () => ({ claims: { iat: seconds() + 6, exp: seconds() + 66 } })],
    ['no iat', () => ({ claims: { iat: undefined } })],
    ['no exp', () => ({ claims: { exp: undefined } })],
    ['an exp in the past', () => ({ claims: { exp: seconds() - 6 } })],
    ['no revocations', () => ({ claims: { revocations: undefined } })],
    ['a list of revocations', () => ({ claims: { revocations: [] } })],
    ['a time that is text', () => ({ claims: { revocations: { a: '0' } } })],
    ['a time before all times', () => ({ claims: { revocations: { a: -1 } } })],
    ['a time between seconds', () => ({ claims: { revocations: { a: 0.5 } } })],
    ['no time', () => ({ claims: { revocations: { a: null } } })],
    ['more than 8 MiB', () => ({ claims: { filler: 'a'.repeat(6_300_000) } })],
    ['no JWT', () => ({ claims: {}, body: 'a' })],
    ['an access token', async () => ({ claims: {}, body: await longLived() })],
  ];
  test.each(wrong)('row 84: %s is no answer, and recovery takes no restart', async (name, trouble) => {
    const status = resource();
    const [known, unseen] = [await longLived(), await longLived()];
    expect(await status(known)).toBe(200);
    now += 6 * SECOND;
    issuer.feed = await trouble();
    expect([await status(unseen), await status(known), await status(unseen)]).toEqual([503, 200, 503]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ name: 'AppError', kind: 'unavailable' });
    expect(await resource()(known)).toBe(name.includes('the last one') ? 200 : 503);
    issuer.feed = {};
    now += 6 * SECOND;
    expect([await status(unseen), await status(known)]).toEqual([200, 200]);
  });

  test('a list of an instance whose clock is a little behind is an answer', async () => {
    const status = resource();
    expect(await status(await longLived())).toBe(200);
    now += 6 * SECOND;
    issuer.feed = { claims: { iat: seconds() - 10 } };
    expect(await status(await longLived())).toBe(200);
  });

  test('row 84: 8 MiB are an answer', async () => {
    issuer.feed = { claims: { filler: 'a'.repeat(6_280_000) } };
    expect(await resource()(await longLived())).toBe(200);
  });

  test('an issuer whose metadata names no feed any more revives nothing', async () => {
    const status = resource({ failMode: 'closed' });
    const token = await longLived();
    issuer.revoked = { 'client:svc_reports': 0 };
    expect(await status(token)).toBe(401);
    issuer.metadata = { revocation_feed_endpoint: undefined };
    now += 3_601 * SECOND;
    await status(token);
    await settle();
    now += 6 * SECOND;
    expect(await status(token)).toBe(401);
  });

  test('row 84: an answer that comes long after it was asked for is no news', async () => {
    const status = resource({ failMode: 'closed' });
    const token = await longLived();
    expect(await status(token)).toBe(200);
    let release = () => {};
    const wait = new Promise<void>((resolve) => {
      release = resolve;
    });
    issuer.feed = { status: 304, wait };
    now += 1_100;
    expect(await status(token)).toBe(200);
    await settle();
    // As a process sees it that was stopped meanwhile.
    now += 3_600 * SECOND;
    const answer = status(token);
    release();
    expect(await answer).toBe(503);
  });

  test('row F8: clocks that leap ahead and are put right keep nobody out', async () => {
    const status = resource();
    const token = await longLived();
    expect(await status(token)).toBe(200);
    now += 3_600 * SECOND;
    expect(await status(token)).toBe(200);
    now -= 3_600 * SECOND;
    for (let round = 0; round < 5; round++) {
      now += 6 * SECOND;
      expect(await status(token)).toBe(200);
    }
    expect(errors).toEqual([]);
  });

  test('row 84: a failure of long ago is no reason not to ask', async () => {
    const status = resource({ maxStale: 86_400 });
    const token = await longLived();
    expect(await status(token)).toBe(200);
    issuer.feed = { status: 500 };
    now += 2 * SECOND;
    expect(await status(token)).toBe(200);
    await eventually(() => errors.length === 1);
    issuer.feed = {};
    issuer.revoked = { 'client:svc_reports': 0 };
    now += 20 * 3_600 * SECOND;
    expect(await status(token)).toBe(401);
  });

  test('row 84: after a recovery old answers are waited for again', async () => {
    const status = resource();
    const token = await longLived();
    await status(token);
    issuer.feed = { status: 500 };
    now += 6 * SECOND;
    expect([await status(token), await status(await longLived())]).toEqual([200, 503]);
    issuer.feed = {};
    now += 6 * SECOND;
    expect(await status(await longLived())).toBe(200);
    issuer.revoked = { 'client:svc_reports': 0 };
    now += 6 * SECOND;
    expect(await status(token)).toBe(401);
  });

  test('row 84: 304 is an answer only for whoever has one, and only while that is good', async () => {
    issuer.feed = { status: 304 };
    const token = await longLived();
    expect(await resource()(token)).toBe(503);
    issuer.feed = {};
    const status = resource({ failMode: 'closed' });
    await status(token);
    issuer.feed = { status: 304 };
    now += 50 * SECOND;
    expect(await status(token)).toBe(200);
    now += 16 * SECOND;
    expect(await status(token)).toBe(503);
    expect(polls().at(-1)?.headers).not.toHaveProperty('if-none-match');
  });

  test('row 84: a signature by a new key is taken as soon as the key is published', async () => {
    const status = resource();
    const token = await longLived();
    await status(token);
    const next = await createKey('next');
    issuer.feed = { claims: {}, signer: next };
    issuer.keys.push(next.jwk);
    now += 6 * SECOND;
    expect(await status(await longLived())).toBe(200);
    expect(errors).toEqual([]);
  });

  test('row 84: an issuer that hangs is given up, and then nobody waits for it', async () => {
    const timeouts: number[] = [];
    const timeout = AbortSignal.timeout;
    jest.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      timeouts.push(ms);
      return timeout.call(AbortSignal, ms / 10);
    });
    try {
      const status = resource();
      const [known, unseen] = [await longLived(), await longLived()];
      await status(known);
      issuer.feed = { wait: new Promise(() => {}) };
      timeouts.length = 0;
      now += 1_100;
      expect(await status(known)).toBe(200);
      now += 5 * SECOND;
      // Whoever comes now waits for what is under way: it is not known yet that it hangs.
      expect(await status(known)).toBe(200);
      now += 1_100;
      const started = performance.now();
      const statuses = [await status(known), await status(unseen), await status(known), await status(unseen)];
      expect(statuses).toEqual([200, 503, 200, 503]);
      expect(performance.now() - started).toBeLessThan(150);
      await sleep(250);
      expect(timeouts).toEqual([5_000, 2_000]);
      // After a pause somebody waits for a quick poll again, and then nobody.
      now += 60 * SECOND;
      expect(await status(known)).toBe(200);
      const later = performance.now();
      expect([await status(known), await status(unseen)]).toEqual([200, 503]);
      expect(performance.now() - later).toBeLessThan(150);
    } finally {
      jest.restoreAllMocks();
    }
  });

  test('row 84: an issuer that dies during a poll is no reason to wait either', async () => {
    const status = resource();
    const [known, unseen] = [await longLived(), await longLived()];
    await status(known);
    let release = () => {};
    issuer.feed = { wait: new Promise<void>((resolve) => (release = resolve)) };
    now += 1_100;
    await status(known);
    await untilPolled(2);
    issuer.trouble = 0;
    await issuer.stop();
    release();
    await eventually(() => errors.length === 1);
    expect([await status(known), await status(await longLived())]).toEqual([200, 200]);
    now += 5 * SECOND;
    expect([await status(known), await status(unseen), await status(known)]).toEqual([200, 503, 200]);
  });

  test('row 84: a clock that is set back makes nothing young again, one that leaps makes all old', async () => {
    const status = resource({ failMode: 'closed', clockTolerance: 60 });
    const token = await longLived();
    expect(await status(token)).toBe(200);
    issuer.feed = { status: 500 };
    now -= 30 * SECOND;
    expect(await status(token)).toBe(503);
    now += 30 * SECOND + 3_600 * SECOND;
    expect(await status(token)).toBe(503);
    issuer.feed = {};
    now += 6 * SECOND;
    expect(await status(token)).toBe(200);
  });
});
