/** More than a hundred thousand entries, which nobody waits for in a database. */
import { expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import { LONG_LIST } from '../../../src/domain/revocations.ts';
import { createRevocationList } from '../../../src/oidc/revocation-list.ts';

test('the operator is told that the list has become long, once each time', async () => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  let entries = new Map<string, number>();
  let change = () => {};
  const told: number[] = [];
  const list = createRevocationList({
    issuer: 'https://id.example.com',
    alg: 'ES256',
    revocations: {
      digests: () => entries,
      onChange(listener) {
        change = listener;
      },
    },
    isAvailable: () => true,
    onLongList: (count) => told.push(count),
  });
  const key = { ...(await exportJWK(privateKey)), kid: 'one', alg: 'ES256' };
  list.signWith({ signing: [key], published: [], changesAt: undefined });
  const signWith = async (count: number) => {
    entries = new Map(Array.from({ length: count }, (_, index) => [String(index), 0]));
    change();
    await list.current();
    return told;
  };
  expect(await signWith(LONG_LIST)).toEqual([]);
  expect(await signWith(LONG_LIST + 1)).toEqual([LONG_LIST + 1]);
  expect(await signWith(LONG_LIST + 2)).toHaveLength(1);
  await signWith(1);
  expect(await signWith(LONG_LIST + 3)).toHaveLength(2);
});
