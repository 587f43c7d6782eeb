import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OauthClientInput } from '../../src/domain/oauth-clients.ts';
import { digestOf } from '../../src/domain/secret-text.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';
import { soon } from '../support/soon.ts';

let all: Credentials;
let teamId: string;
beforeAll(async () => {
  all = await openCredentials();
  teamId = (await all.makeTeam()).id;
});
afterAll(() => all.close());

const create = (changes: Partial<OauthClientInput> = {}, actor = TESTER) =>
  all.clients.create({ name: 'billing', teamId, allowedScopes: ['providers:read'], ...changes }, actor);
const secretsOf = (id: string) => all.secrets.list({ kind: 'client', id });

/** The digests the protocol accepts at this moment for a client. */
async function accepted(clientId: string): Promise<string[]> {
  const found = await all.registrations.findForProtocol(clientId);
  const live = found!.secrets.filter(({ expiresAt }) => expiresAt === null || expiresAt.getTime() > Date.now());
  return live.map(({ digest }) => digest.toString('hex')).sort();
}
const digests = (...texts: string[]) => texts.map((text) => digestOf(text).toString('hex')).sort();

describe('making a client', () => {
  test('takes a name, a team and what it may do there', async () => {
    const { client, secret } = await create({ description: 'sends invoices' });
    expect(client).toMatchObject({
      clientId: expect.stringMatching(/^svc_[\w-]{22}$/),
      teamId,
      allowedScopes: ['providers:read'],
      tokenEndpointAuthMethod: 'client_secret_basic',
      enabled: true,
      description: 'sends invoices',
    });
    expect(secret).toMatch(/^lks_[\w-]{48}$/);
    expect(await all.clients.find(client.clientId)).toEqual(client);
    expect(await all.clients.list({ teamId }, { limit: 9 })).toContainEqual({ ...client, sortKey: expect.any(String) });
    expect(await all.registrations.findForProtocol(client.clientId)).toMatchObject({ kind: 'client', record: client });
  });

  test.each<[string, string, Partial<OauthClientInput>]>([
    ['no scope', 'allowed_scopes', { allowedScopes: [] }],
    ['an unknown scope', 'allowed_scopes', { allowedScopes: ['providers:*'] }],
    ['an identity scope', 'allowed_scopes', { allowedScopes: ['openid'] }],
    ['a lasting one', 'allowed_scopes', { allowedScopes: ['offline_access'] }],
    ['no proof', 'token_endpoint_auth_method', { tokenEndpointAuthMethod: 'none' }],
    ['a bad name', 'name', { name: 'a\u202Eb' }],
  ])('%s is refused', async (_, field, changes) => {
    await expect(create(changes)).rejects.toMatchObject({ kind: 'invalid_argument', fields: [{ field }] });
  });

  test('a team that does not exist gets none', async () => {
    for (const id of [randomUUID(), 'x']) {
      await expect(create({ teamId: id })).rejects.toMatchObject({ kind: 'not_found' });
    }
  });

  test('nobody gives a client what they lack in its team', async () => {
    const user = await all.makeUser({ teamRoles: [{ teamId, roles: ['Operator'] }] });
    const operator = { kind: 'user' as const, id: user.id };
    const { client } = await create({ allowedScopes: ['providers:write'] }, operator);
    expect(client.createdBy).toBe(user.id);
    const refused = { kind: 'permission_denied', message: expect.stringContaining('settings:write') };
    await expect(create({ allowedScopes: ['settings:write'] }, operator)).rejects.toMatchObject(refused);
    const widen = { allowedScopes: ['providers:write', 'settings:write'] };
    await expect(all.clients.update(client.id, widen, {}, operator)).rejects.toMatchObject(refused);
    const elsewhere = await all.makeTeam();
    for (const actor of [operator, { kind: 'team_key' as const, id: user.id }]) {
      await expect(create({ teamId: elsewhere.id }, actor)).rejects.toMatchObject({ kind: 'permission_denied' });
    }
  });
});

describe('changing a client', () => {
  test("row 110: another team's client is not found, by any verb", async () => {
    const { client } = await create();
    const before = [await all.rows('oauth_clients'), await all.rows('client_secrets')];
    const [secret] = await secretsOf(client.id);
    for (const scope of [{ teamId: (await all.makeTeam()).id }, { teamId: 'x' }]) {
      const owner = { kind: 'client' as const, id: client.id, ...scope };
      expect(await all.clients.find(client.id, scope)).toBeUndefined();
      expect(await all.clients.find(client.clientId, scope)).toBeUndefined();
      expect(await all.clients.list(scope, { limit: 9 })).toEqual([]);
      expect(await all.secrets.list(owner)).toEqual([]);
      const attempts = [
        all.clients.update(client.id, { name: 'mine' }, scope, TESTER),
        all.clients.disable(client.id, scope, TESTER),
        all.clients.enable(client.id, scope, TESTER),
        all.clients.delete(client.id, scope, TESTER),
        all.secrets.add(owner, {}, TESTER),
        all.secrets.end(owner, secret!.id, { force: true }, TESTER),
      ];
      for (const attempt of attempts) await expect(attempt).rejects.toMatchObject({ kind: 'not_found' });
    }
    expect([await all.rows('oauth_clients'), await all.rows('client_secrets')]).toEqual(before);
  });

  test('row 117: changing, disabling and deleting one leaves every other row as it was', async () => {
    const { client } = await create();
    await create();
    for (const act of [
      () => all.clients.update(client.id, { allowedScopes: ['teams:read'] }, { teamId }, TESTER),
      () => all.clients.disable(client.id, { teamId }, TESTER),
      () => all.clients.delete(client.id, { teamId }, TESTER),
    ]) {
      const { [client.id]: mine, ...others } = await all.rows('oauth_clients');
      await act();
      const { [client.id]: changed, ...othersAfter } = await all.rows('oauth_clients');
      expect(othersAfter).toEqual(others);
      expect(changed).not.toEqual(mine);
    }
  });

  test('what really changed is recorded by its name on the wire, and a change of nothing is none', async () => {
    const { client } = await create();
    const { id, teamId: _, ...same } = client;
    for (const changes of [{}, { name: client.name }, same]) {
      expect(await all.clients.update(id, changes, {}, TESTER)).toEqual(client);
    }
    const changes = { ...same, allowedScopes: ['teams:read'], tokenEndpointAuthMethod: 'client_secret_post' };
    await all.clients.update(id, changes, {}, TESTER);
    const events = (await all.events('oauth_client.updated')).filter((one) => one.target_id === id);
    expect(events).toMatchObject([{ details: { changed: ['allowed_scopes', 'token_endpoint_auth_method'] } }]);
    expect(await secretsOf(id)).toHaveLength(1);
  });

  test('waits for whoever changes resource servers before it takes the client', async () => {
    const { client } = await create();
    await all.db.query(`INSERT INTO resource_servers (name, identifier, scopes, access_token_ttl_seconds, signing_alg)
      VALUES ('R', 'urn:example:r', '[]', 600, 'ES256')`);
    let changing: Promise<unknown> | undefined;
    await all.db.transaction(async (tx) => {
      await tx.query('SELECT 1 FROM resource_servers FOR UPDATE');
      changing = all.clients.update(client.id, { name: 'x' }, {}, TESTER);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await tx.query('SELECT 1 FROM oauth_clients WHERE id = $1 FOR UPDATE NOWAIT', [client.id]);
    });
    await changing;
  });

  test('disabling and enabling are seen by the protocol, recorded once, and harmless to repeat', async () => {
    const { client } = await create();
    const enabled = async () => (await all.registrations.findForProtocol(client.clientId))?.record.enabled;
    expect(await enabled()).toBe(true);
    for (const _ of [1, 2]) await all.clients.disable(client.id, {}, TESTER);
    expect(await soon(async () => (await enabled()) === false)).toBe(true);
    for (const _ of [1, 2]) await all.clients.enable(client.id, {}, TESTER);
    expect(await soon(async () => (await enabled()) === true)).toBe(true);
    await all.clients.delete(client.id, {}, TESTER);
    expect(await soon(async () => (await enabled()) === undefined)).toBe(true);
    const { rows } = await all.db.query('SELECT action FROM audit_events WHERE target_id = $1 ORDER BY id', [
      client.id,
    ]);
    expect(rows.map((row) => row.action)).toEqual(
      ['created', 'disabled', 'enabled', 'deleted'].map((verb) => `oauth_client.${verb}`),
    );
  });
});

describe('secrets of a client', () => {
  test('row 59: old and new secret both work until the overlap ends, then only the new one', async () => {
    const { client, secret: old } = await create();
    expect(await accepted(client.clientId)).toEqual(digests(old!));
    const { text } = await all.secrets.add({ kind: 'client', id: client.id }, { overlapSeconds: 1 }, TESTER);
    expect(await soon(async () => (await accepted(client.clientId)).length === 2)).toBe(true);
    expect(await accepted(client.clientId)).toEqual(digests(old!, text));
    const [first] = await secretsOf(client.id);
    await new Promise((resolve) => setTimeout(resolve, first!.expiresAt!.getTime() - Date.now() + 5));
    expect(await accepted(client.clientId)).toEqual(digests(text));
    expect(await secretsOf(client.id)).toHaveLength(1);
  });

  test('two can live at once and no more, also when several are added together', async () => {
    const { client } = await create();
    const owner = { kind: 'client' as const, id: client.id };
    const attempts = await Promise.allSettled(Array.from({ length: 5 }, () => all.secrets.add(owner, {}, TESTER)));
    expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await secretsOf(client.id)).toHaveLength(2);
    await expect(all.secrets.add(owner, { overlapSeconds: 60 }, TESTER)).rejects.toMatchObject({
      kind: 'failed_precondition',
    });
    const { text } = await all.secrets.add(owner, { overlapSeconds: 0 }, TESTER);
    expect(await secretsOf(client.id)).toHaveLength(1);
    expect(await soon(async () => (await accepted(client.clientId)).length === 1)).toBe(true);
    expect(await accepted(client.clientId)).toEqual(digests(text));
  });

  test('one is ended at once or at a time; the last one only by force', async () => {
    const { client, secret } = await create();
    const owner = { kind: 'client' as const, id: client.id };
    const [first] = await secretsOf(client.id);
    const end = (id: string, options: { at?: Date; force?: boolean } = {}) =>
      all.secrets.end(owner, id, options, TESTER);
    await expect(end(first!.id)).rejects.toMatchObject({ kind: 'failed_precondition' });
    const { secret: second, text } = await all.secrets.add(owner, {}, TESTER);
    const at = new Date(Date.now() + 60_000);
    await end(first!.id, { at });
    expect((await secretsOf(client.id)).map(({ expiresAt }) => expiresAt)).toEqual([at, null]);
    // The other one ends before, so this would leave none.
    await expect(end(second.id, { at: new Date(at.getTime() + 1) })).rejects.toMatchObject({
      kind: 'failed_precondition',
    });
    await end(first!.id);
    expect(await soon(async () => (await accepted(client.clientId)).length === 1)).toBe(true);
    expect(await accepted(client.clientId)).toEqual(digests(text));
    await end(second.id, { force: true });
    expect(await soon(async () => (await accepted(client.clientId)).length === 0)).toBe(true);
    for (const id of [second.id, randomUUID(), 'x'])
      await expect(end(id, { force: true })).rejects.toMatchObject({ kind: 'not_found' });
    expect(JSON.stringify(await all.rows('audit_events'))).not.toContain(secret!.slice(8, -4));
  });

  test('row 117: ending one leaves every other secret as it was', async () => {
    const [{ client }] = [await create(), await create()];
    await all.secrets.add({ kind: 'client', id: client.id }, {}, TESTER);
    const before = await all.rows('client_secrets');
    const [first] = await secretsOf(client.id);
    await all.secrets.end({ kind: 'client', id: client.id }, first!.id, {}, TESTER);
    const { [first!.id]: _, ...others } = before;
    expect(await all.rows('client_secrets')).toEqual(others);
  });

  test.each([-1, 1.5, Number.NaN, 1e9])('an overlap of %d seconds is refused', async (overlapSeconds) => {
    const { client } = await create();
    await expect(all.secrets.add({ kind: 'client', id: client.id }, { overlapSeconds }, TESTER)).rejects.toMatchObject({
      fields: [{ field: 'overlap_seconds' }],
    });
  });
});
