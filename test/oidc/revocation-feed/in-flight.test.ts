/**
 * What is taken away while a token is on its way is not in it, although the token waits for a second in which it can live:
 * for those who follow the feed it would be good again by that.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS } from '../../../src/domain/permissions.ts';
import { clientCredentials, refresh } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange } from '../token-exchange/exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
});
afterAll(() => server?.close());

const SCOPE = 'openid offline_access providers:read providers:write';
const NARROW = ['openid', 'offline_access', 'providers:read'];
const settle = () => server.domain.notifications.settle();

/** What happens between an answer about one user or client and what is made of it: once, at the `nth` answer. */
function after(answer: 'permissionsIn' | 'findForProtocol', about: string, nth: number, work: () => Promise<unknown>) {
  const { authority, registrations } = server.domain;
  const owner: Record<string, (...args: string[]) => Promise<unknown>> =
    answer === 'permissionsIn' ? (authority as never) : (registrations as never);
  const original = owner[answer]!;
  let answers = 0;
  owner[answer] = async (...args) => {
    const found = await original(...args);
    if (args[0] === about) answers += 1;
    if (args[0] !== about || answers !== nth) return found;
    await work();
    await settle();
    return found;
  };
}

async function connected(scope = SCOPE) {
  const person = await exchange.person();
  const app = await exchange.app();
  return { person, app, tokens: await exchange.connect(app, person, scope) };
}

test('row 81: scopes, roles, a whole app that end while its token is made', async () => {
  await Promise.all([
    appIsNarrowed(),
    clientIsNarrowed(),
    memberIsNarrowed(),
    memberIsNarrowedAtExchange(),
    appComesBackWhileExchangeWaits(),
    narrowedTwiceWhileExchangeWaits(),
    endsWhileItIsMade(),
  ]);
}, 15_000);

test('narrowed without end: nothing that would be dead, but for what a refresh token was used up for', async () => {
  const person = await exchange.person();
  const client = await exchange.client(person.teamId);
  const key = await exchange.personalKey(person);
  const { app, tokens } = await connected();
  // As if it was narrowed again and again.
  await server.db.query(
    `INSERT INTO revocations (kind, id, narrowed, revoked_before, expires_at)
     SELECT 'client', id, true, now() + interval '20 seconds', now() + interval '1 minute' FROM unnest($1::text[]) AS id`,
    [[client.clientId, app.clientId]],
  );
  await settle();
  const [machine, ofKey, refreshed] = await Promise.all([
    clientCredentials(server, client),
    exchange.key(key.text, {}, client),
    refresh(server, app, tokens.refresh_token),
  ]);
  for (const { status, headers, body } of [machine, ofKey]) {
    expect([status, body.error, headers.get('retry-after')]).toEqual([503, 'temporarily_unavailable', '5']);
  }
  expect([refreshed.status, typeof refreshed.body.refresh_token]).toEqual([200, 'string']);
}, 15_000);

function expectNarrow(what: string, body: Record<string, unknown>) {
  const { scope } = decodeJwt(String(body.access_token)) as { scope: string };
  expect([what, scope, body.scope]).toEqual([what, expect.stringContaining('providers:read'), scope]);
  expect([what, scope]).not.toEqual([what, expect.stringContaining('providers:write')]);
}

async function appIsNarrowed() {
  const { person, app, tokens } = await connected();
  after('permissionsIn', person.userId, 1, () =>
    server.domain.oauthApps.update(app.id, { allowedScopes: NARROW }, OPERATOR),
  );
  expectNarrow('app', (await refresh(server, app, tokens.refresh_token)).body);
}

async function clientIsNarrowed() {
  const { teamId } = await exchange.person();
  const client = await exchange.client(teamId, { allowedScopes: ['providers:read', 'providers:write'] });
  after('findForProtocol', client.clientId, 1, () =>
    server.domain.oauthClients.update(client.id, { allowedScopes: ['providers:read'] }, {}, OPERATOR),
  );
  expectNarrow('client', (await clientCredentials(server, client)).body);
}

async function memberIsNarrowed() {
  const { person, app, tokens } = await connected();
  after('permissionsIn', person.userId, 1, () => becomeViewer(person));
  expectNarrow('member', (await refresh(server, app, tokens.refresh_token)).body);
}

async function memberIsNarrowedAtExchange() {
  const { person, app, tokens } = await connected();
  // The second answer is about the token to be.
  after('permissionsIn', person.userId, 2, () => becomeViewer(person));
  expectNarrow('exchange', (await exchange.token(tokens.access_token, app)).body);
}

async function becomeViewer(person: { userId: string; teamId: string }) {
  await server.domain.memberships.setRoles({ ...person, roles: [ROLE_IDS.Viewer] }, OPERATOR);
}

async function appComesBackWhileExchangeWaits() {
  const { person, app, tokens } = await connected();
  const { oauthApps } = server.domain;
  await oauthApps.update(app.id, { allowedScopes: NARROW }, OPERATOR);
  await settle();
  after('permissionsIn', person.userId, 2, async () => {
    await oauthApps.disable(app.id, OPERATOR);
    await oauthApps.enable(app.id, OPERATOR);
  });
  // It was told that the tokens of before are dead, so there is none to be made of one.
  const { status, body } = await exchange.token(tokens.access_token, app);
  expect([status, body.error]).toEqual([400, 'invalid_grant']);
}

async function narrowedTwiceWhileExchangeWaits() {
  const { person, app, tokens } = await connected();
  const { oauthApps } = server.domain;
  await oauthApps.update(app.id, { allowedScopes: ['openid', 'providers:read', 'providers:write'] }, OPERATOR);
  await settle();
  after('permissionsIn', person.userId, 2, () => oauthApps.update(app.id, { allowedScopes: NARROW }, OPERATOR));
  expectNarrow('twice', (await exchange.token(tokens.access_token, app)).body);
}

async function endsWhileItIsMade() {
  const { person, app, tokens } = await connected();
  after('permissionsIn', person.userId, 1, () => server.domain.oauthApps.disable(app.id, OPERATOR));
  const { status, body } = await refresh(server, app, tokens.refresh_token);
  expect([status, body.error]).toEqual([400, 'invalid_grant']);
}
