/** Signing keys made once for a test run: generating an RSA key for every server would be a tenth of the suite's time. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import type { Sealing } from '../../src/domain/sealing.ts';
import type { Database } from '../../src/storage/pool.ts';
import { insertSigningKey } from '../../src/storage/signing-keys.ts';

interface TestKey {
  kid: string;
  alg: string;
  publicJwk: Record<string, unknown>;
  privateJwk: Record<string, unknown>;
}

/** For global-setup: the keys as text for LATCHKEY_TEST_KEYS. */
export function generateTestKeys(): string {
  const pairs = {
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    EdDSA: generateKeyPairSync('ed25519'),
  };
  const keys = Object.entries(pairs).map(([alg, { publicKey, privateKey }]): TestKey => {
    const jwk = publicKey.export({ format: 'jwk' });
    const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url');
    const labels = { kid, alg, use: 'sig' };
    return {
      ...labels,
      publicJwk: { ...jwk, ...labels },
      privateJwk: { ...privateKey.export({ format: 'jwk' }), ...labels },
    };
  });
  return JSON.stringify(keys);
}

/** Puts them into a database that has none, as the server would have. */
export async function insertTestKeys(db: Database, sealing: Sealing): Promise<void> {
  for (const { kid, alg, publicJwk, privateJwk } of JSON.parse(process.env.LATCHKEY_TEST_KEYS ?? '[]') as TestKey[]) {
    const sealed = sealing.seal(Buffer.from(JSON.stringify(privateJwk)), `signing-key ${kid}`);
    await insertSigningKey(db, { kid, alg, publicJwk, privateJwk: sealed }, 0);
  }
}
