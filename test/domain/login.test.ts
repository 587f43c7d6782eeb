import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogin, type LoginLimits } from '../../src/domain/login.ts';
import { createPasswords } from '../../src/domain/passwords.ts';
import type { User, UserInput } from '../../src/domain/users.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';

const PASSWORD = 'correct horse battery';
const WRONG = 'wrong horse battery';
const FEW: LoginLimits = {
  windowMs: 60_000,
  perAccountAndNetwork: 3,
  perNetwork: 8,
  perAccount: 6,
  perAccountAndNetworkUnderAttack: 1,
};

let people: People;
let hash: string;
beforeAll(async () => {
  people = await openPeople();
  hash = await people.passwords.hash('password', PASSWORD);
});
afterAll(() => people.close());

/** A user with PASSWORD, hashed once for all of them. */
async function makeUser(input: Partial<UserInput> = {}): Promise<User> {
  const user = await people.makeUser(input);
  await people.db.query('UPDATE users SET password_hash = $2 WHERE id = $1', [user.id, hash]);
  return user;
}

/** A try from a network of its own unless told otherwise. */
let networks = 0;
function nextAddress(): string {
  networks += 1;
  return `10.0.${networks >> 8}.${networks & 255}`;
}

describe('a login with the right password', () => {
  test('gives the user, whatever the case of the email, and counts', async () => {
    const login = createLogin(people);
    const user = await makeUser();
    const origin = { ip: '192.0.2.1', requestId: 'r-1' };
    expect(await login.authenticate({ email: user.email, password: PASSWORD }, origin)).toBe(user.id);
    expect(await login.authenticate({ email: ` ${user.email.toUpperCase()} `, password: PASSWORD }, origin)).toBe(
      user.id,
    );
    const after = await people.users.find(user.id);
    expect(after?.loginsLifetime).toBe('2');
    expect(Date.now() - after!.lastLoginAt!.getTime()).toBeLessThan(60_000);
    const events = (await people.events('user.logged_in')).filter((event) => event.target_id === user.id);
    expect(events).toMatchObject([{ actor_kind: 'user', actor_id: user.id, ip: '192.0.2.1', request_id: 'r-1' }, {}]);
  });

  test('does not count when the user was disabled or given another password while it was checked', async () => {
    for (const change of ['enabled = false', "password_hash = 'other'"]) {
      const user = await makeUser();
      const login = createLogin({
        ...people,
        passwords: {
          ...people.passwords,
          async verify(kept, password) {
            await people.db.query(`UPDATE users SET ${change} WHERE id = $1`, [user.id]);
            return people.passwords.verify(kept, password);
          },
        },
      });
      expect(
        await login.authenticate({ email: user.email, password: PASSWORD }, { ip: nextAddress() }),
      ).toBeUndefined();
      expect((await people.users.find(user.id))?.loginsLifetime).toBe('0');
    }
  });
});

test('row 102: whoever ends the sessions of a user waits until a login under way is one of them', async () => {
  const login = createLogin(people);
  const user = await makeUser();
  const other = await people.db.connect();
  const change = () => other.query('SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE NOWAIT', [user.id]);
  const admitted: string[] = [];
  const admit = async (id: string) => {
    admitted.push(id);
    await expect(change()).rejects.toThrow('could not obtain lock');
  };
  const given = { email: user.email, password: PASSWORD };
  expect(await login.authenticate(given, { ip: nextAddress() }, admit)).toBe(user.id);
  expect(admitted).toEqual([user.id]);
  await change();
  await other.end();
});

test('a login that cannot be stored is none', async () => {
  const login = createLogin(people);
  const user = await makeUser();
  const given = { email: user.email, password: PASSWORD };
  const admit = () => Promise.reject(new Error('The session cannot be stored'));
  await expect(login.authenticate(given, { ip: nextAddress() }, admit)).rejects.toThrow('The session cannot be stored');
  expect((await people.users.find(user.id))?.loginsLifetime).toBe('0');
});

describe('row 103: one answer', () => {
  test('row 103: for an unknown user, a wrong password, no password, a disabled and an expired user', async () => {
    const login = createLogin(people);
    const [user, without, disabled, expired] = [
      await makeUser(),
      await people.makeUser(),
      await makeUser(),
      await makeUser({ expiresAt: new Date(Date.now() - 1_000) }),
    ];
    await people.users.setEnabled(disabled.id, false, TESTER);
    const unknown = `${randomUUID()}@example.com`;
    const cases: [string, string, unknown, string][] = [
      ['unknown_user', unknown, PASSWORD, ''],
      ['unknown_user', 'not an email\0', PASSWORD, ''],
      ['wrong_password', user.email, WRONG, user.id],
      ['wrong_password', user.email, undefined, user.id],
      ['wrong_password', user.email, 'x'.repeat(100_000), user.id],
      ['no_password', without.email, PASSWORD, without.id],
      ['no_password', without.email, '', without.id],
      ['disabled', disabled.email, PASSWORD, disabled.id],
      ['expired', expired.email, PASSWORD, expired.id],
    ];
    for (const [, email, password] of cases) {
      expect(await login.authenticate({ email, password }, { ip: nextAddress() })).toBeUndefined();
    }
    const events = (await people.events('user.login_refused')).slice(-cases.length);
    expect(events.map((event) => [event.details.reason, event.target_id, event.outcome])).toEqual(
      cases.map(([reason, , , id]) => [reason, id, 'refused']),
    );
    // Neither what was typed as a password nor an address nobody has, which may be one.
    expect(JSON.stringify(events)).not.toContain('horse');
    expect(JSON.stringify(events)).not.toContain(unknown);
  });

  test('row 103: after the same work for each', async () => {
    const [user, disabled] = [await makeUser(), await makeUser()];
    await people.users.setEnabled(disabled.id, false, TESTER);
    const passwords = createPasswords();
    const costly = await passwords.hash('password', PASSWORD);
    await people.db.query('UPDATE users SET password_hash = $1 WHERE id = ANY ($2)', [costly, [user.id, disabled.id]]);
    const login = createLogin({
      ...people,
      passwords,
      limits: { ...FEW, perAccountAndNetwork: 1_000, perAccount: 1_000 },
    });
    const fastest = { [user.email]: Infinity, [disabled.email]: Infinity, 'unknown@example.com': Infinity };
    for (let round = 0; round < 5; round += 1) {
      for (const email of Object.keys(fastest)) {
        const start = process.cpuUsage();
        await login.authenticate({ email, password: WRONG }, { ip: nextAddress() });
        fastest[email] = Math.min(fastest[email]!, process.cpuUsage(start).user);
      }
    }
    const times = Object.values(fastest);
    // Processor time, the least of several: what else runs on the machine can only add. Without the work it is tenfold.
    expect(Math.max(...times) / Math.min(...times)).toBeLessThan(2.5);
  });
});

describe('row 105: guessing is slowed down', () => {
  const tooMany = { kind: 'resource_exhausted' };

  test('row 105: a thousand tries at once from one address are cut off; the victim logs in from another', async () => {
    const user = await makeUser();
    const login = createLogin(people);
    const attack = await Promise.allSettled(
      Array.from({ length: 1_000 }, () =>
        login.authenticate({ email: user.email, password: WRONG }, { ip: '198.51.100.7' }),
      ),
    );
    expect(attack.filter((result) => result.status === 'fulfilled')).toHaveLength(10);
    for (const result of attack) if (result.status === 'rejected') expect(result.reason).toMatchObject(tooMany);
    const own = { email: user.email, password: PASSWORD };
    await expect(login.authenticate(own, { ip: '198.51.100.7' })).rejects.toMatchObject(tooMany);
    expect(await login.authenticate(own, { ip: '203.0.113.9' })).toBe(user.id);
    const events = (await people.events('user.login_refused')).filter((event) => event.target_id === user.id);
    expect(events.filter((event) => event.details.reason === 'too_many_attempts')).toHaveLength(1);
  });

  test('row 105: spelled variants of an address and of an email count as one', async () => {
    const user = await makeUser();
    const login = createLogin({ ...people, limits: FEW });
    const tries: [string, string][] = [
      [user.email, '2001:db8:7:7::1'],
      [user.email.toUpperCase(), '2001:0DB8:7:7:ffff::2'],
      [` ${user.email}`, '2001:db8:7:7:1:2:3:4'],
    ];
    for (const [email, ip] of tries)
      expect(await login.authenticate({ email, password: WRONG }, { ip })).toBeUndefined();
    const again = login.authenticate({ email: user.email, password: PASSWORD }, { ip: '2001:db8:7:7::9' });
    await expect(again).rejects.toMatchObject(tooMany);
  });

  test('row 105: one address cannot try many accounts, known or not', async () => {
    const login = createLogin({ ...people, limits: FEW });
    const ip = nextAddress();
    for (let index = 0; index < FEW.perNetwork; index += 1) {
      expect(await login.authenticate({ email: `user${index}@example.com`, password: WRONG }, { ip })).toBeUndefined();
    }
    await expect(login.authenticate({ email: 'another@example.com', password: WRONG }, { ip })).rejects.toMatchObject(
      tooMany,
    );
  });

  test('row 105: an account tried from everywhere leaves fewer tries to each address, but never none', async () => {
    const user = await makeUser();
    const login = createLogin({ ...people, limits: FEW });
    for (let index = 0; index < FEW.perAccount; index += 1) {
      await login.authenticate({ email: user.email, password: WRONG }, { ip: nextAddress() });
    }
    const ip = nextAddress();
    expect(await login.authenticate({ email: user.email, password: WRONG }, { ip })).toBeUndefined();
    await expect(login.authenticate({ email: user.email, password: PASSWORD }, { ip })).rejects.toMatchObject(tooMany);
    expect(await login.authenticate({ email: user.email, password: PASSWORD }, { ip: nextAddress() })).toBe(user.id);
  });

  test('logging in as often as one likes is no attack', async () => {
    const user = await makeUser();
    const login = createLogin({ ...people, limits: FEW });
    const ip = nextAddress();
    for (let round = 0; round < FEW.perNetwork + 2; round += 1) {
      expect(await login.authenticate({ email: user.email, password: PASSWORD }, { ip })).toBe(user.id);
    }
  });

  test('tries that were never checked do not count', async () => {
    const user = await makeUser();
    let full = true;
    const failing = {
      ...people.db,
      query: () => Promise.reject(new Error('The database is away')),
    } as typeof people.db;
    const db = new Proxy(people.db, { get: (real, name) => Reflect.get(full ? failing : real, name) });
    const login = createLogin({ ...people, db, limits: FEW });
    const ip = nextAddress();
    const given = { email: user.email, password: PASSWORD };
    for (let round = 0; round < 20; round += 1) {
      await expect(login.authenticate(given, { ip })).rejects.toThrow('The database is away');
    }
    full = false;
    expect(await login.authenticate(given, { ip })).toBe(user.id);
  });
});
