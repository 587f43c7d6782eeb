import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { createSealing } from '../../src/domain/sealing.ts';
import { createSigningKeys, JWKS_MAX_AGE, type SigningKeys } from '../../src/domain/signing-keys.ts';
import { openPeople, type People, TESTER } from '../support/people.ts';

const SECRET = 'a secret of at least thirty-two characters';
const LONGEST = 3_600;

let people: People;
let keys: SigningKeys;

beforeEach(async () => {
  people = await openPeople();
  keys = create(SECRET);
});

afterEach(() => people.close());

function create(secret: string): SigningKeys {
  const { db, audit } = people;
  return createSigningKeys({ db, audit, sealing: createSealing([secret]), longestTokenLife: LONGEST });
}

const kidsOf = (jwks: JWK[], alg: string) => jwks.filter((jwk) => jwk.alg === alg).map((jwk) => jwk.kid);

/** Lets time pass for what is in the table. */
const pass = (seconds: number) =>
  people.db.query(
    `UPDATE signing_keys SET signs_from = signs_from - $1 * interval '1 second', expires_at = expires_at - $1 * interval '1 second'`,
    [seconds],
  );

describe('signing keys', () => {
  test('row 6: the first start makes one key of each kind, on many instances at once too, and says so once', async () => {
    await Promise.all(Array.from({ length: 4 }, () => create(SECRET).ensure()));
    const { signing, published } = await keys.current();
    expect(published.map((jwk) => jwk.alg).sort()).toEqual(['ES256', 'EdDSA', 'RS256']);
    expect(new Set(published.map((jwk) => jwk.kid)).size).toBe(3);
    for (const jwk of published) {
      expect(jwk).toMatchObject({ use: 'sig', kid: await calculateJwkThumbprint(jwk) });
      expect(Object.keys(jwk)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(d|p|q|dp|dq|qi|k)$/)]));
    }
    expect(signing.every((jwk) => typeof jwk.d === 'string')).toBe(true);
    const events = await people.events('signing_key.created');
    expect(events.map((event) => event.details.alg).sort()).toEqual(['ES256', 'EdDSA', 'RS256']);
    await keys.ensure();
    expect((await keys.current()).published).toEqual(published);
  });

  test('row 60: a private key is not readable in the table, nor with another secret', async () => {
    await keys.ensure();
    const { signing } = await keys.current();
    const { rows } = await people.db.query<{ row: string }>(
      "SELECT t::text || encode(private_jwk, 'escape') || (SELECT string_agg(a::text, '') FROM audit_events a) AS row FROM signing_keys t",
    );
    const text = rows.map(({ row }) => row).join();
    for (const { d } of signing) expect(text).not.toContain(d);
    await expect(create('another secret of at least thirty-two').current()).rejects.toMatchObject({ kind: 'internal' });
  });

  test('rows 7, 8: a new key is published for longer than anybody may keep the key set, before it signs', async () => {
    await keys.ensure();
    const [old] = kidsOf((await keys.current()).signing, 'ES256');
    const [made] = await keys.rotate({ alg: 'ES256' }, TESTER);
    expect(made!.signsFrom.getTime() - Date.now()).toBeGreaterThan(JWKS_MAX_AGE * 1_000);
    const published = async () => kidsOf((await keys.current()).published, 'ES256');
    const signer = async () => kidsOf((await keys.current()).signing, 'ES256')[0];
    expect([await signer(), await published()]).toEqual([old, [old, made!.kid]]);
    expect((await keys.current()).changesAt!.getTime()).toBeCloseTo(made!.signsFrom.getTime(), -4);

    await pass(2 * JWKS_MAX_AGE + 1);
    expect([await signer(), await published()]).toEqual([made!.kid, [made!.kid, old]]);
    // What the old one signed last lives for an hour more; then it goes.
    await pass(LONGEST);
    expect(await published()).toEqual([made!.kid, old]);
    await pass(2 * JWKS_MAX_AGE + 1);
    expect(await published()).toEqual([made!.kid]);
    expect((await keys.current()).changesAt).toBeUndefined();
  });

  test('a key that leaked is replaced at once; the others stay', async () => {
    await keys.ensure();
    const before = (await keys.current()).signing;
    const [made] = await keys.rotate({ alg: 'RS256', now: true }, TESTER);
    const { signing } = await keys.current();
    expect(kidsOf(signing, 'RS256')).toEqual([made!.kid, ...kidsOf(before, 'RS256')]);
    expect(kidsOf(signing, 'ES256')).toEqual(kidsOf(before, 'ES256'));
    const [event] = await people.events('signing_key.rotated');
    expect(event).toMatchObject({ target_id: made!.kid, actor_id: TESTER.id, details: { alg: 'RS256', now: true } });
  });

  test('rotating twice brings no key back that is about to end', async () => {
    await keys.ensure();
    await keys.rotate({ alg: 'EdDSA', now: true }, TESTER);
    const { rows } = await people.db.query(
      "SELECT kid, expires_at FROM signing_keys WHERE alg = 'EdDSA' AND expires_at IS NOT NULL",
    );
    await pass(1_000);
    await keys.rotate({ alg: 'EdDSA', now: true }, TESTER);
    const after = await people.db.query<{ expires_at: Date }>('SELECT expires_at FROM signing_keys WHERE kid = $1', [
      rows[0]!.kid,
    ]);
    expect(after.rows[0]!.expires_at.getTime()).toBeLessThan((rows[0]!.expires_at as Date).getTime());
  });

  test('a key that was waiting does not take over from one that signs at once', async () => {
    await keys.ensure();
    const [waiting] = await keys.rotate({ alg: 'ES256' }, TESTER);
    const [made] = await keys.rotate({ alg: 'ES256', now: true }, TESTER);
    const signer = async () => kidsOf((await keys.current()).signing, 'ES256')[0];
    expect(await signer()).toBe(made!.kid);
    await pass(2 * JWKS_MAX_AGE + 1);
    expect(await signer()).toBe(made!.kid);
    expect(kidsOf((await keys.current()).published, 'ES256')).toContain(waiting!.kid);
  });

  test('the list says what each does: waits, signs, or is published until its last token has expired', async () => {
    await keys.ensure();
    const states = async () => (await keys.list()).filter(({ alg }) => alg === 'ES256').map(({ state }) => state);
    expect(await states()).toEqual(['signing']);
    const [made] = await keys.rotate({ alg: 'ES256' }, TESTER);
    expect(made).toMatchObject({ state: 'waiting', expiresAt: null });
    expect(await states()).toEqual(['waiting', 'signing']);
    await pass(2 * JWKS_MAX_AGE + 1);
    expect(await states()).toEqual(['signing', 'published']);
    expect((await keys.list()).find(({ kid }) => kid === made!.kid)).toMatchObject({ state: 'signing' });
    await pass(LONGEST + 2 * JWKS_MAX_AGE + 1);
    expect(await states()).toEqual(['signing']);
    expect(Object.keys((await keys.list())[0]!).sort()).toEqual(
      ['alg', 'createdAt', 'expiresAt', 'id', 'kid', 'signsFrom', 'sortKey', 'state'].sort(),
    );
  });

  test('all kinds are rotated when none is named', async () => {
    await keys.ensure();
    const made = await keys.rotate({}, TESTER);
    expect(made.map(({ alg }) => alg).sort()).toEqual(['ES256', 'EdDSA', 'RS256']);
    expect((await keys.current()).published).toHaveLength(6);
  });
});
