import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { createAuthenticator } from '../../src/resource/index.ts';
import { AUDIENCE, createApiKey, type Issuer, startIssuer, TEAM } from './issuer.ts';

const USAGE = '/oauth2/usage';
const key = createApiKey('lkt_');
let issuer: Issuer;
let errors: Error[];
let check: (token: string) => Promise<unknown>;
let minuteIsOver: () => Promise<void>;

beforeEach(async () => {
  issuer = await startIssuer();
  issuer.metadata = { usage_endpoint: `${issuer.url}${USAGE}` };
  const sub = `team:${TEAM}`;
  issuer.apiKeys.set(key, { active: true, token_type: 'api_key', kind: 'team', key_id: 'k1', sub, team_id: TEAM });
  errors = [];
  const introspection = { clientId: 'svc_api', clientSecret: 'lks_x' };
  const onError = (error: Error) => errors.push(error);
  const core = createAuthenticator({ issuer: issuer.url, audience: AUDIENCE, introspection, onError });
  check = (token) => core.authenticate({ method: 'GET', headers: { authorization: `Bearer ${token}` } });

  const due: (() => unknown)[] = [];
  const set = globalThis.setTimeout;
  jest.spyOn(globalThis, 'setTimeout').mockImplementation(((report: () => unknown, ms: number) => {
    const timer = set(report, ms);
    if (ms === 60_000 && new Error().stack?.includes('usage-report')) due.push(report);
    return timer;
  }) as never);
  minuteIsOver = async () => {
    for (const report of due.splice(0)) await report();
  };
});
afterEach(async () => {
  jest.restoreAllMocks();
  await issuer.stop();
});

const reports = () =>
  issuer.requests.filter(({ path }) => path === USAGE).map(({ body }) => JSON.parse(body).requests as unknown[]);

test('admitted requests are told by team and credential, once a minute', async () => {
  const token = await issuer.token();
  const ofUser = await issuer.token({ sub: 'u1', client_id: 'app_x' });
  const ofKey = await issuer.token({ sub: 'u1', derived_from: ['key:k2'] });
  const delegated = await issuer.token({ sub: 'u1', derived_from: ['token:t1', 'client:app_x'] });
  for (const one of [token, key, ofUser, token, key, ofKey, delegated]) await check(one);
  for (const one of [`${token}x`, createApiKey(), 'lkt_x']) await check(one);
  expect(reports()).toEqual([]);
  await minuteIsOver();
  const told = [
    { team_id: TEAM, credential: 'access_token', id: 'svc_reports', count: 3 },
    { team_id: TEAM, credential: 'team_key', id: 'k1', count: 2 },
    { team_id: TEAM, credential: 'access_token', id: 'app_x', count: 1 },
    { team_id: TEAM, credential: 'access_token', id: 'key:k2', count: 1 },
  ];
  expect(reports()).toEqual([told]);
  const asked = issuer.requests.find(({ path }) => path === USAGE);
  expect(asked?.authorization).toBe(`Basic ${Buffer.from('svc_api:lks_x').toString('base64')}`);
  expect(asked?.headers['content-type']).toBe('application/json');
  await minuteIsOver();
  expect(reports()).toHaveLength(1);
  await check(key);
  await minuteIsOver();
  expect(reports()[1]).toEqual([{ ...told[1], count: 1 }]);
  expect(errors).toEqual([]);
});

test('a report has at most 500 rows', async () => {
  for (let at = 0; at < 501; at++) await check(await issuer.token({ client_id: `app_${at}` }));
  await minuteIsOver();
  expect(reports().map((rows) => rows.length)).toEqual([500, 1]);
});

test('nobody is told who does not want to know, and failures touch no request', async () => {
  issuer.metadata = {};
  expect(await check(key)).toHaveProperty('principal');
  await minuteIsOver();
  expect(reports()).toEqual([]);
  expect(errors).toEqual([]);
});

test.each([0, 403, 500])('a report that is answered %d touches no request', async (status) => {
  await check(key);
  issuer.trouble = status;
  await minuteIsOver();
  expect(errors).toHaveLength(1);
  issuer.trouble = undefined;
  expect(await check(key)).toHaveProperty('principal');
  await minuteIsOver();
  expect(reports().at(-1)).toEqual([{ team_id: TEAM, credential: 'team_key', id: 'k1', count: 1 }]);
});
