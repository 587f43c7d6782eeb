/**
 * Argon2id (RFC 9106) from Node's own crypto, kept as PHC strings (https://github.com/P-H-C/phc-string-format), the form every
 * other implementation reads and writes.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(argon2);

export interface Argon2idCost {
  memoryKib: number;
  passes: number;
  lanes: number;
}

const SALT = 16;
const TAG = 32;
const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,86})$/;

export async function hash(password: string, cost: Argon2idCost): Promise<string> {
  const salt = randomBytes(SALT);
  return encode(cost, salt, await compute(password, cost, salt, TAG));
}

/** Whether the password is the one behind `phc`; false also for a string that is not Argon2id in PHC form. */
export async function verify(phc: string, password: string): Promise<boolean> {
  const [, memory, passes, lanes, salt, tag] = PHC.exec(phc) ?? [];
  if (tag === undefined) return false;
  const expected = Buffer.from(tag, 'base64');
  const cost = { memoryKib: Number(memory), passes: Number(passes), lanes: Number(lanes) };
  return timingSafeEqual(await compute(password, cost, Buffer.from(salt!, 'base64'), expected.length), expected);
}

/** A PHC string that costs what a real one costs, and that no password is known to match. */
export function decoy(cost: Argon2idCost): string {
  return encode(cost, randomBytes(SALT), randomBytes(TAG));
}

function compute(
  password: string,
  { memoryKib, passes, lanes }: Argon2idCost,
  salt: Buffer,
  length: number,
): Promise<Buffer> {
  return derive('argon2id', {
    message: Buffer.from(password),
    nonce: salt,
    parallelism: lanes,
    tagLength: length,
    memory: memoryKib,
    passes,
  });
}

function encode({ memoryKib, passes, lanes }: Argon2idCost, salt: Buffer, tag: Buffer): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${base64(salt)}$${base64(tag)}`;
}
