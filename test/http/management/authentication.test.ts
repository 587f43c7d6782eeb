/** Whoever is behind a credential: what routes and the audit trail are told of each kind. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS } from '../../../src/domain/permissions.ts';
import {
  authorize,
  clientCredentials,
  createPerson,
  createTestApp,
  createTestClient,
  introspect,
  redeemCode,
} from '../../support/flows.ts';
import { type RawAnswer, send } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const KEYS = '/api/preview/teamkeys';
const SCOPES = ['teamkeys:read', 'teamkeys:write'];

let server: TestServer;
let person: { userId: string; email: string; teamId: string };

beforeAll(async () => {
  server = await startTestServer();
  person = await createPerson(server);
}, 30_000);

afterAll(() => server?.close());

function call(bearer: string, request: { method?: string; body?: string } = {}): Promise<RawAnswer> {
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
  return send(Number(new URL(server.origin).port), { path: KEYS, ...request, headers });
}

function createKey(bearer: string, { teamId } = person): Promise<RawAnswer> {
  return call(bearer, { body: JSON.stringify({ name: randomUUID(), team_id: teamId }) });
}

async function connect(of = person, scopes = SCOPES) {
  const method = 'client_secret_post';
  const app = await createTestApp(server, { tokenEndpointAuthMethod: method, allowedScopes: scopes });
  const params = { scope: scopes.join(' ') };
  const { code, pkce } = await authorize(server, { ...of, clientId: app.clientId, params });
  return { app, token: (await redeemCode(server, app, code, pkce)).body.access_token as string };
}

const appToken = async (of = person) => (await connect(of)).token;

interface Bearer {
  text: string;
  /** As the audit trail names it. */
  actor: { actor_kind: string; actor_id: string };
  /** The user behind it. */
  userId: string | null;
}

const KINDS: Record<string, () => Promise<Bearer>> = {
  'a personal key': async () => {
    const { key, text } = await server.domain.apiKeys.createPersonal(
      { ...person, name: 'Script', scopes: SCOPES },
      OPERATOR,
    );
    return { text, actor: { actor_kind: 'personal_key', actor_id: key.id }, userId: person.userId };
  },
  "an app's token": async () => {
    const actor = { actor_kind: 'user', actor_id: person.userId };
    return { text: await appToken(), actor, userId: person.userId };
  },
  "a client's token": async () => {
    const changes = { tokenEndpointAuthMethod: 'client_secret_post', allowedScopes: SCOPES };
    const client = await createTestClient(server, person.teamId, changes);
    const { body } = await clientCredentials(server, client);
    return { text: body.access_token, actor: { actor_kind: 'client', actor_id: client.clientId }, userId: null };
  },
};

describe.each(Object.keys(KINDS))('%s', (kind) => {
  test('acts in its own name, and for the user behind it', async () => {
    const { text, actor, userId } = await KINDS[kind]!();
    const made = await createKey(text);
    expect(made).toMatchObject({ status: 200, body: { value: { created_by: userId, team_id: person.teamId } } });
    const [event] = (await server.auditEvents()).filter((one) => one.target_id === made.body.value.id);
    expect(event).toMatchObject({ ...actor, request_id: made.headers['x-request-id'] });
  });
});

test('a team key acts as itself, and is refused by its own name', async () => {
  const { key, text } = await server.domain.apiKeys.createTeam({ teamId: person.teamId, name: 'Push' }, OPERATOR);
  const answer = await createKey(text);
  expect(answer).toMatchObject({ status: 403, body: { code: 7 } });
  const events = (await server.auditEvents()).filter((one) => one.request_id === answer.headers['x-request-id']);
  expect(events).toMatchObject([{ action: 'api_request.refused', actor_kind: 'team_key', actor_id: key.id }]);
});

test('row 90: a token may do what its user may do now, and what it was given', async () => {
  const other = await createPerson(server);
  const token = await appToken(other);
  expect((await createKey(token, other)).status).toBe(200);
  const { userId, teamId } = other;
  await server.db.transaction((tx) =>
    server.domain.memberships.assign(tx, { userId, teamId, roles: [ROLE_IDS.Viewer] }, OPERATOR),
  );
  await server.domain.notifications.settle();
  expect((await createKey(token, other)).status).toBe(403);
  expect((await call(token)).status).toBe(200);
  // Past the domain, which would end the consent as well.
  await server.db.query('UPDATE users SET enabled = false WHERE id = $1', [userId]);
  await server.domain.notifications.settle();
  expect((await call(token)).status).toBe(401);
});

test('row 90: what is taken from an app or client is taken from the tokens it has, here and in introspection', async () => {
  const { app, token } = await connect(person, ['openid', ...SCOPES]);
  const client = await createTestClient(server, person.teamId, {
    tokenEndpointAuthMethod: 'client_secret_post',
    allowedScopes: SCOPES,
  });
  const machine = (await clientCredentials(server, client)).body.access_token;
  const ask = async (of: typeof app, text: string) => (await introspect(server, of, text)).body.scope;
  expect(await ask(app, token)).toBe('openid teamkeys:read teamkeys:write');
  for (const text of [token, machine]) expect((await createKey(text)).status).toBe(200);
  await server.domain.oauthApps.update(app.id, { allowedScopes: ['email', 'teamkeys:read'] }, OPERATOR);
  await server.domain.oauthClients.update(client.id, { allowedScopes: ['teamkeys:read'] }, {}, OPERATOR);
  await server.domain.notifications.settle();
  expect([await ask(app, token), await ask(client, machine)]).toEqual(['teamkeys:read', 'teamkeys:read']);
  for (const text of [token, machine]) {
    expect((await createKey(text)).status).toBe(403);
    expect((await call(text)).status).toBe(200);
  }
});

test('who is behind a token is asked once for a request', async () => {
  const token = await appToken();
  const { registrations } = server.domain;
  const { findForProtocol } = registrations;
  let asked = 0;
  registrations.findForProtocol = (clientId) => {
    asked += 1;
    return findForProtocol(clientId);
  };
  try {
    for (const _ of [1, 2, 3]) expect((await call(token)).status).toBe(200);
  } finally {
    registrations.findForProtocol = findForProtocol;
  }
  expect(asked).toBe(3);
});
