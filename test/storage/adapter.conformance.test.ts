/** What the engine asks of an adapter, held against its own in-memory one and ours; then what only ours holds. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Adapter, errors } from 'oidc-provider';
// @ts-expect-error the engine publishes no types for its internals
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';
import { createSealing } from '../../src/domain/sealing.ts';
import { createAdapterFactory } from '../../src/oidc/adapter.ts';
import { type Credentials, openCredentials } from '../support/credentials.ts';
import { TESTER } from '../support/people.ts';

type Factory = (model: string) => Adapter;

let world: Credentials;
let ours: Factory;

beforeAll(async () => {
  world = await openCredentials();
  ours = createAdapterFactory({
    db: world.db,
    sealing: createSealing([randomBytes(32).toString('hex')]),
    reuseGrace: 10,
  });
});

afterAll(() => world?.close());

const now = () => Math.floor(Date.now() / 1000);
const newId = () => randomBytes(32).toString('base64url');

/** A consent as rows need it: of a user, in a team of theirs, to an app. */
async function createGrant(factory: Factory) {
  const team = await world.makeTeam();
  const user = await world.makeUser({ teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] });
  const { app } = await world.apps.create(
    { name: 'App', baseUrl: 'https://app.example.com', redirectUris: ['https://app.example.com/callback'] },
    TESTER,
  );
  const id = randomUUID();
  const payload = {
    kind: 'Grant',
    jti: id,
    accountId: user.id,
    clientId: app.clientId,
    teamId: team.id,
    iat: now(),
    exp: now() + 600,
    openid: { scope: 'openid offline_access' },
  };
  await factory('Grant').upsert(id, payload, 600);
  return { id, payload, user };
}

function tokenOf(grant: { id: string; user: { id: string } }, kind: string) {
  const jti = newId();
  return { kind, jti, grantId: grant.id, accountId: grant.user.id, iat: now(), exp: now() + 600, scope: 'openid' };
}

describe.each<[string, () => Factory]>([
  ["the engine's memory", () => createMemoryAdapter() as Factory],
  ['ours', () => ours],
])('an adapter (%s)', (_name, create) => {
  let adapters: Factory;

  beforeAll(() => {
    adapters = create();
  });

  test('finds what was stored, every field of it, and what overwrote it', async () => {
    const [sessions, id] = [adapters('Session'), newId()];
    const payload = {
      kind: 'Session',
      jti: id,
      uid: newId(),
      iat: now(),
      exp: now() + 60,
      deep: { list: [1, null, 'ü'] },
    };
    await sessions.upsert(id, payload, 60);
    expect(await sessions.find(id)).toEqual(payload);
    const later = { ...payload, exp: now() + 120, authorizations: { app: { sid: 'x' } } };
    await sessions.upsert(id, later, 120);
    expect(await sessions.find(id)).toEqual(later);
  });

  test('keeps models apart that share an id', async () => {
    const id = newId();
    await adapters('Interaction').upsert(id, { kind: 'Interaction', jti: id, exp: now() + 60 }, 60);
    expect(await adapters('PushedAuthorizationRequest').find(id)).toBeUndefined();
    expect(await adapters('Session').find(id)).toBeUndefined();
    expect(await adapters('Interaction').find(id)).toMatchObject({ kind: 'Interaction' });
  });

  test('finds a session by its uid, under its newest id', async () => {
    const [sessions, uid, first, second] = [adapters('Session'), newId(), newId(), newId()];
    await sessions.upsert(first, { kind: 'Session', jti: first, uid, exp: now() + 60 }, 60);
    expect(await sessions.findByUid(uid)).toMatchObject({ jti: first });
    // A login gives a session a new id (checklist row 98).
    await sessions.destroy(first);
    await sessions.upsert(second, { kind: 'Session', jti: second, uid, exp: now() + 60 }, 60);
    expect(await sessions.findByUid(uid)).toMatchObject({ jti: second });
    expect(await sessions.find(first)).toBeUndefined();
  });

  test('marks what was consumed with the time, and still finds it', async () => {
    const grant = await createGrant(ours);
    for (const kind of ['AuthorizationCode', 'RefreshToken']) {
      const token = tokenOf(grant, kind);
      await adapters(kind).upsert(token.jti, token, 600);
      await adapters(kind).consume(token.jti);
      const found = await adapters(kind).find(token.jti);
      expect(found).toMatchObject({ jti: token.jti, consumed: expect.any(Number) });
      expect(Math.abs(Number(found!.consumed) - now())).toBeLessThanOrEqual(2);
    }
  });

  test('forgets what was destroyed, and nothing else', async () => {
    const [requests, kept, gone] = [adapters('PushedAuthorizationRequest'), newId(), newId()];
    for (const id of [kept, gone]) await requests.upsert(id, { jti: id, request: id, exp: now() + 60 }, 60);
    await requests.destroy(gone);
    expect([await requests.find(gone), await requests.find(kept)]).toEqual([
      undefined,
      expect.objectContaining({ jti: kept }),
    ]);
    await expect(requests.destroy(gone)).resolves.toBeUndefined();
  });

  test('ends everything of one grant, model by model as the engine asks, and nothing of another', async () => {
    const [mine, other] = [await createGrant(ours), await createGrant(ours)];
    const kinds = ['AuthorizationCode', 'RefreshToken'];
    const tokens = kinds.map((kind) => tokenOf(mine, kind));
    const kept = tokenOf(other, 'RefreshToken');
    for (const token of [...tokens, kept]) await adapters(token.kind).upsert(token.jti, token, 600);
    for (const kind of kinds) await adapters(kind).revokeByGrantId(mine.id);
    expect(await Promise.all(tokens.map(({ kind, jti }) => adapters(kind).find(jti)))).toEqual([undefined, undefined]);
    expect(await adapters('RefreshToken').find(kept.jti)).toMatchObject({ jti: kept.jti });
  });

  test('answers undefined for what it never had', async () => {
    for (const model of ['Session', 'Grant', 'RefreshToken', 'Interaction']) {
      expect(await adapters(model).find(newId())).toBeUndefined();
      expect(await adapters(model).findByUid(newId())).toBeUndefined();
      expect(await adapters(model).findByUserCode(newId())).toBeUndefined();
    }
  });

  test('row 121: takes any text for an id', async () => {
    const [requests, tag] = [adapters('PushedAuthorizationRequest'), newId()];
    const ids = [
      '\0',
      '\ud800',
      `'";--`,
      '__proto__',
      'constructor',
      '../../x',
      'ü'.normalize('NFD'),
      'x'.repeat(10_000),
    ];
    for (const id of ids.map((text) => text + tag)) {
      expect(await requests.find(id)).toBeUndefined();
      await requests.upsert(id, { jti: id, exp: now() + 60 }, 60);
      expect(await requests.find(id)).toMatchObject({ jti: id });
      await requests.destroy(id);
      expect(await requests.find(id)).toBeUndefined();
    }
  });
});

// The engine reads, checks and then writes, and ignores what a write answers. Its memory adapter lets every parallel
// call through, so these hold for ours only.
describe('of parallel calls ours lets exactly one through', () => {
  const outcomes = async (calls: Promise<unknown>[]) => {
    const settled = await Promise.allSettled(calls);
    return {
      won: settled.filter((one) => one.status === 'fulfilled').length,
      refusals: [...new Set(settled.flatMap((one) => (one.status === 'rejected' ? [one.reason.constructor] : [])))],
    };
  };
  const twenty = <T>(work: () => Promise<T>) => Array.from({ length: 20 }, work);

  test.each(['AuthorizationCode', 'RefreshToken'])('rows 41, 63: consume of one %s', async (kind) => {
    const token = tokenOf(await createGrant(ours), kind);
    await ours(kind).upsert(token.jti, token, 600);
    const calls = twenty(() => ours(kind).consume(token.jti));
    expect(await outcomes(calls)).toEqual({ won: 1, refusals: [errors.InvalidGrant] });
  });

  test('row 129: consume of one pushed authorization request', async () => {
    const id = newId();
    await ours('PushedAuthorizationRequest').upsert(id, { jti: id, exp: now() + 60 }, 60);
    const calls = twenty(() => ours('PushedAuthorizationRequest').consume(id));
    expect(await outcomes(calls)).toEqual({ won: 1, refusals: [errors.InvalidRequestUri] });
  });

  test('row 58: the first sight of one assertion', async () => {
    const id = newId();
    const calls = twenty(() => ours('ReplayDetection').upsert(id, { jti: id, exp: now() + 60 }, 60));
    expect(await outcomes(calls)).toEqual({ won: 1, refusals: [errors.InvalidClientAuth] });
  });

  test('row 34: the return from one interaction', async () => {
    const id = newId();
    await ours('Interaction').upsert(id, { jti: id, exp: now() + 60 }, 60);
    const calls = twenty(() => ours('Interaction').destroy(id));
    expect(await outcomes(calls)).toEqual({ won: 1, refusals: [errors.SessionNotFound] });
  });

  test('a code that was used up is not revived by being stored again', async () => {
    const code = tokenOf(await createGrant(ours), 'AuthorizationCode');
    await ours('AuthorizationCode').upsert(code.jti, code, 600);
    await ours('AuthorizationCode').consume(code.jti);
    await ours('AuthorizationCode').upsert(code.jti, code, 600);
    await expect(ours('AuthorizationCode').consume(code.jti)).rejects.toThrow(errors.InvalidGrant);
  });
});

describe('what ends, ends with its grant', () => {
  test('a token that is being issued while its grant is deleted is not issued', async () => {
    const grant = await createGrant(ours);
    const [before, after] = [tokenOf(grant, 'RefreshToken'), tokenOf(grant, 'RefreshToken')];
    await ours('RefreshToken').upsert(before.jti, before, 600);
    await ours('Grant').destroy(grant.id);
    expect(await ours('RefreshToken').find(before.jti)).toBeUndefined();
    await expect(ours('RefreshToken').upsert(after.jti, after, 600)).rejects.toThrow(errors.InvalidGrant);
    expect(await ours('RefreshToken').find(after.jti)).toBeUndefined();
  });

  test('a grant is found with its team, and ends with the membership it was given in', async () => {
    const grant = await createGrant(ours);
    expect(await ours('Grant').find(grant.id)).toEqual(grant.payload);
    await world.users.delete(grant.user.id, TESTER);
    expect(await ours('Grant').find(grant.id)).toBeUndefined();
  });

  test('row 60: neither ids nor payloads can be read from the table', async () => {
    const grant = await createGrant(ours);
    const token = { ...tokenOf(grant, 'RefreshToken'), note: 'readable words' };
    await ours('RefreshToken').upsert(token.jti, token, 600);
    const { rows } = await world.db.query<{ row: string }>(
      "SELECT t::text || encode(payload, 'escape') AS row FROM oidc_payloads t",
    );
    const text = rows.map(({ row }) => row).join('\n');
    expect(text).not.toBe('');
    for (const secret of [token.jti, 'readable words', Buffer.from(token.jti).toString('hex')]) {
      expect(text).not.toContain(secret);
    }
  });
});
