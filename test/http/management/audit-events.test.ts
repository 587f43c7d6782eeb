/** The audit trail as the management API shows it, and what is in it after a day's work over HTTP. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Api, type ApiCall, createApi } from '../../support/api.ts';
import { authorize, clientCredentials, createPerson, PASSWORD, REDIRECT_URI, redeemCode } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/api/v1/audit_events';

interface Event {
  id: string;
  occurred_at: string;
  action: string;
  outcome: string;
  actor: { kind: string; id: string };
  team_id: string | null;
  target: { kind: string; id: string } | null;
  request_id: string;
  details: Record<string, unknown>;
}

let server: TestServer;
let api: Api;
let root: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  root = await api.key('Admin');
}, 30_000);
afterAll(() => server?.close());

async function list(filter = '', { as = root, more = '' } = {}) {
  await server.domain.audit.flush();
  const query = filter === '' ? '' : `&filter=${encodeURIComponent(filter)}`;
  return api.call({ as, path: `${PATH}?page_size=1000${query}${more}` });
}

async function events(filter?: string, options?: { as?: string; more?: string }): Promise<Event[]> {
  const { status, body } = await list(filter, options);
  expect([status, body.has_more]).toEqual([200, false]);
  return body.values;
}

describe('reading the trail', () => {
  let team: string;
  let admin: string;
  beforeAll(async () => {
    team = await api.team();
    admin = await api.key('Admin', team);
  });

  test('an event has the fields of the contract, and the newest comes first', async () => {
    const requestId = randomUUID();
    const headers = { 'x-request-id': requestId };
    const body = { name: 'Audited', team_id: team };
    const made = await api.call({ as: admin, path: '/api/preview/teamkeys', body, headers });
    const [newest, ...older] = await events();
    expect(newest).toEqual({
      id: expect.stringMatching(/^\d+$/),
      occurred_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/),
      action: 'api_key.created',
      outcome: 'success',
      actor: { kind: 'personal_key', id: expect.any(String) },
      team_id: team,
      target: { kind: 'api_key', id: made.body.value.id },
      request_id: requestId,
      ip: '127.0.0.1',
      details: expect.objectContaining({ name: 'Audited', kind: 'team' }),
    });
    const times = [newest!, ...older].map(({ occurred_at }) => occurred_at);
    expect(times).toEqual(times.toSorted().toReversed());
    const upwards = await events('', { more: '&order_by=occurred_at%20asc' });
    expect(upwards.at(-1)).toEqual(newest);
  });

  test('each filter leaves what it names', async () => {
    const [newest] = await events('action eq "api_key.created"');
    const { actor, target, occurred_at: at } = newest!;
    const holds: [string, (one: Event) => boolean][] = [
      [`actor_id eq "${actor.id}"`, (one) => one.actor.id === actor.id],
      ['actor_kind eq "operator"', (one) => one.actor.kind === 'operator'],
      ['action eq "team.created"', (one) => one.action === 'team.created'],
      [`target_id eq "${target!.id}"`, (one) => one.target?.id === target!.id],
      ['target_kind eq "team"', (one) => one.target?.kind === 'team'],
      [`team_id eq "${team}"`, (one) => one.team_id === team],
      ['outcome eq "success"', (one) => one.outcome === 'success'],
      [`occurred_at ge "${at}"`, (one) => one.occurred_at >= at],
      [`occurred_at lt "${at}"`, (one) => one.occurred_at < at],
      [
        `team_id eq "${team}" and target_kind eq "user" and occurred_at le "${at}"`,
        (one) => one.team_id === team && one.target?.kind === 'user',
      ],
    ];
    const all = await events();
    for (const [filter, hold] of holds) {
      const found = await events(filter);
      expect(found.length).toBeGreaterThan(0);
      expect([filter, found]).toEqual([filter, all.filter(hold)]);
    }
  });

  test.each([
    'outcome eq "maybe"',
    'occurred_at gt "yesterday"',
    'actor_id gt "a"',
    'details eq "x"',
    'team_id eq "x"',
    'action eq "x',
  ])('a filter such as %s is refused', async (filter) => {
    const { status, body } = await list(filter);
    expect([status, body.code, body.details[0].field_violations[0].field]).toEqual([400, 3, 'filter']);
  });

  test('row 110: within a team there are the events of that team and no others', async () => {
    const seen = await events('', { as: admin });
    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(seen.map(({ team_id }) => team_id))).toEqual(new Set([team]));
    for (const other of [ROOT_TEAM_ID, await api.team()]) {
      expect((await list(`team_id eq "${other}"`, { as: admin })).status).toBe(404);
    }
    expect((await list('', { as: await api.key('Operator', team) })).status).toBe(403);
  });

  test('it cannot be written or changed', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await api.call({ as: root, method, path: PATH, body: {} });
      expect([method, [404, 405].includes(answer.status)]).toEqual([method, true]);
    }
  });

  test('pages go on behind the last event, whatever is written meanwhile', async () => {
    const all = (await events()).map(({ id }) => id);
    const seen: string[] = [];
    let token = '';
    for (let round = 0; round < 50 && (round === 0 || token !== ''); round += 1) {
      const { body } = await api.call({
        as: root,
        path: `${PATH}?page_size=5&page_token=${encodeURIComponent(token)}`,
      });
      seen.push(...body.values.map(({ id }: Event) => id));
      token = body.next_page_token;
      await api.team();
    }
    expect(seen).toEqual(all);
  });
});

describe('row 119: a day of security events over HTTP', () => {
  const secrets: string[] = [PASSWORD];
  const requests = new Map<string, string>();
  let driven: Event[];

  beforeAll(drive, 30_000);

  async function drive() {
    const start = new Date().toISOString();
    /** One request under an id of its own; what is secret in the answer is remembered. */
    async function step(expected: string, call: ApiCall) {
      const id = randomUUID();
      requests.set(id, expected);
      const answer = await api.call({ as: root, ...call, headers: { 'x-request-id': id, ...call.headers } });
      const refused = expected.endsWith('refused');
      if (answer.status >= 400 !== refused) throw new Error(`${expected}: ${answer.status} ${answer.text}`);
      for (const name of ['access_key', 'client_secret']) {
        const secret = answer.body?.[name] ?? answer.body?.value?.[name];
        if (secret) secrets.push(secret);
      }
      return answer.body?.value ?? answer.body;
    }
    const change = (expected: string, path: string, body: object) => step(expected, { method: 'PATCH', path, body });
    const end = (expected: string, path: string) => step(expected, { method: 'DELETE', path });
    const v1 = '/api/v1';

    const team = await step('team.created', { path: `${v1}/teams`, body: { name: `Driven ${randomUUID()}` } });
    await change('team.updated', `${v1}/teams/${team.id}`, { description: 'A day' });
    const password = 'a password that nobody else has';
    secrets.push(password);
    const roles = [{ team_id: team.id, role_id: ROLE_IDS.Admin }];
    const user = await step('user.created membership.changed', {
      path: `${v1}/users`,
      body: { email: `${randomUUID()}@example.com`, name: 'Driven', password, team_roles: roles },
    });
    await change('user.updated', `${v1}/users/${user.id}`, { display_name: 'Dri' });
    await change('user.disabled', `${v1}/users/${user.id}`, { enabled: false });
    for (const [path, teamId] of [
      ['/api/preview/teamkeys', team.id],
      [`${v1}/apikeys`, ROOT_TEAM_ID],
    ]) {
      const key = await step('api_key.created', { path, body: { name: 'Driven', team_id: teamId } });
      await change('api_key.renamed', `${path}/${key.id}`, { name: 'Again' });
      await step('api_key.rotated', { path: `${path}/${key.id}:rotate`, body: { overlap_seconds: 60 } });
      await step('api_key.revoked', { method: 'POST', path: `${path}/${key.id}:revoke` });
      // What changed nothing is no event.
      await step('', { method: 'POST', path: `${path}/${key.id}:revoke` });
      await step('api_key.reinstated', { method: 'POST', path: `${path}/${key.id}:reinstate` });
      await end('api_key.deleted', `${path}/${key.id}`);
    }
    const app = await step('oauth_app.created', {
      path: `${v1}/oauth2/apps`,
      body: {
        name: 'Driven',
        base_url: 'https://app.example.com',
        redirect_uris: [REDIRECT_URI],
        token_endpoint_auth_method: 'client_secret_post',
      },
    });
    await change('oauth_app.updated', `${v1}/oauth2/apps/${app.id}`, { name: 'Driven again' });
    const second = await step('client_secret.created', {
      method: 'POST',
      path: `${v1}/oauth2/apps/${app.id}/secrets`,
      body: {},
    });
    await end('client_secret.ended', `${v1}/oauth2/apps/${app.id}/secrets/${second.id}`);
    await step('oauth_app.disabled', { method: 'POST', path: `${v1}/oauth2/apps/${app.id}:disable` });
    await step('oauth_app.enabled', { method: 'POST', path: `${v1}/oauth2/apps/${app.id}:enable` });
    await connect(step, app);
    await end('oauth_app.deleted', `${v1}/oauth2/apps/${app.id}`);
    const service = await step('oauth_client.created', {
      path: `${v1}/oauth2/clients`,
      body: {
        name: 'Driven',
        team_id: team.id,
        allowed_scopes: ['providers:read'],
        token_endpoint_auth_method: 'client_secret_post',
      },
    });
    const credentials = { clientId: service.client_id, clientSecret: service.client_secret };
    secrets.push((await clientCredentials(server, credentials)).body.access_token);
    await end('oauth_client.deleted', `${v1}/oauth2/clients/${service.id}`);
    await end('user.deleted', `${v1}/users/${user.id}`);
    await end('team.deleted', `${v1}/teams/${team.id}`);
    await step('api_request.refused', { as: await api.key('Viewer'), path: PATH });
    await step('api_request.refused', { as: `${root.slice(0, -1)}x`, path: PATH });
    driven = await events(`occurred_at ge "${start}"`);
  }

  /** A person lets the app in, looks at it with the app's token, and disconnects it. */
  async function connect(
    step: (expected: string, call: ApiCall) => Promise<unknown>,
    app: { client_id: string; client_secret: string },
  ) {
    const person = await createPerson(server);
    const client = { clientId: app.client_id, clientSecret: app.client_secret };
    const { code, pkce } = await authorize(server, {
      ...person,
      clientId: app.client_id,
      params: { scope: 'openid offline_access' },
    });
    const { body } = await redeemCode(server, client, code, pkce);
    secrets.push(code, pkce.verifier, body.access_token, body.refresh_token, body.id_token);
    const as = await api.keyOf(person);
    secrets.push(as);
    await step('consent.ended', { as, method: 'DELETE', path: `/api/v1/users/self/connected_apps/${app.client_id}` });
  }

  test('each is in the trail once, under the request that did it', () => {
    const found = [...requests.keys()].map((id) => driven.filter((one) => one.request_id === id));
    expect(
      found.map((all) =>
        all
          .map(({ action }) => action)
          .toSorted()
          .join(' '),
      ),
    ).toEqual([...requests.values()].map((words) => words.split(' ').toSorted().join(' ')));
    for (const { action, outcome } of driven)
      expect([action, outcome]).toEqual([action, action.endsWith('refused') ? 'refused' : 'success']);
    const refused = driven.find(({ action }) => action === 'api_request.refused');
    expect(refused).toMatchObject({ actor: { kind: 'anonymous', id: '' }, target: null, team_id: null });
    const others = driven.filter(({ request_id }) => !requests.has(request_id)).map(({ action }) => action);
    for (const action of ['user.logged_in', 'consent.given', 'code.issued', 'token.issued'])
      expect(others).toContain(action);
  });

  test('no secret that was issued or sent is in what the API answers, in any form it is sent in', async () => {
    const text = JSON.stringify(await events());
    const known = [...secrets, root, server.secret];
    expect(known.filter((secret) => typeof secret !== 'string' || secret.length < 10)).toEqual([]);
    expect(known.length).toBeGreaterThan(15);
    const forms = known.flatMap((secret) => [
      secret,
      Buffer.from(secret).toString('base64url'),
      encodeURIComponent(secret),
    ]);
    expect(forms.filter((form) => text.includes(form))).toEqual([]);
  });
});
