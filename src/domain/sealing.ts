/**
 * The instance secret at work: one key for each purpose is derived from it (HKDF-SHA-256, RFC 5869), so no two uses share a key.
 * Sealed bytes are AES-256-GCM with a key id in front; several secrets (newest first) let old bytes be opened while you rotate.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { AppError } from '../errors.ts';

export interface Sealing {
  /** Encrypts; `context` must be given again to open (it ties the bytes to the row they belong to). */
  seal(plain: Buffer, context: string): Buffer;
  /** @throws AppError `internal` when no secret opens it or it was changed. */
  open(sealed: Buffer, context: string): Buffer;
  /** A 32-byte key for each secret, newest first. */
  keysFor(purpose: string): Buffer[];
}

const ID = 4;
const IV = 12;
const TAG = 16;

/** @param secrets newest first; each at least 32 characters of real randomness */
export function createSealing(secrets: readonly string[]): Sealing {
  const keysFor = (purpose: string) =>
    secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', `latchkey ${purpose}`, 32)));
  const keys = keysFor('seal').map((key) => ({ key, id: createHash('sha256').update(key).digest().subarray(0, ID) }));
  return {
    keysFor,
    seal(plain, context) {
      const { key, id } = keys[0]!;
      const iv = randomBytes(IV);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([id, iv, sealed, cipher.getAuthTag()]);
    },
    open(sealed, context) {
      const entry = keys.find(({ id }) => id.equals(sealed.subarray(0, ID)));
      if (entry === undefined)
        throw new AppError('internal', 'Stored data was sealed with a SECRET this server does not have.');
      try {
        const decipher = createDecipheriv('aes-256-gcm', entry.key, sealed.subarray(ID, ID + IV), {
          authTagLength: TAG,
        });
        decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(ID + IV).subarray(-TAG));
        return Buffer.concat([decipher.update(sealed.subarray(ID + IV, -TAG)), decipher.final()]);
      } catch (cause) {
        throw new AppError('internal', 'Stored data was changed or does not belong where it was found.', { cause });
      }
    },
  };
}
