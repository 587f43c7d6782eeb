/**
 * A request sent twice is done once: the answer to a request with an Idempotency-Key is kept with the change it reports, in
 * one transaction, and given again. Answers can hold a secret that is shown once, so they are sealed.
 */
import { createHash } from 'node:crypto';
import { AppError, invalidField } from '../errors.ts';
import { findIdempotencyKey, lockIdempotencyKey, upsertIdempotencyKey } from '../storage/idempotency-keys.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import type { Sealing } from './sealing.ts';

/** How long an answer is kept, seconds. */
const LIFETIME = 86_400;
const KEY = /^[\x21-\x7e]{1,255}$/;

export interface IdempotentRequest {
  /** What the caller calls the request: 1 to 255 visible ASCII characters. */
  key: string;
  /** Whose key it is, with which rights and where: nobody else's same word is the same key. */
  caller: string;
  /** Everything that makes it this request and no other. */
  request: string;
}

export interface Idempotency {
  /**
   * Does `work` in one transaction, or gives the answer it had the first time. A failure is not kept: the request may be
   * repeated. Whoever comes while the first is at work waits for it.
   * @throws AppError `invalid_argument` when the key was used for another request, or is no key
   */
  once<Answer>(request: IdempotentRequest, work: () => Promise<Answer>): Promise<{ answer: Answer; replayed: boolean }>;
}

export function createIdempotency({ db, sealing }: { db: Database; sealing: Sealing }): Idempotency {
  // Whoever waits for the first holds no connection meanwhile: only one at a time goes to the database.
  const turns = new Map<string, Promise<unknown>>();

  function inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = turns.get(id) ?? Promise.resolve();
    const mine = before.then(work, work);
    turns.set(id, mine);
    const leave = () => {
      if (turns.get(id) === mine) turns.delete(id);
    };
    mine.then(leave, leave);
    return mine;
  }

  function unseal<Answer>(answer: Buffer, context: string): Answer {
    try {
      return JSON.parse(sealing.open(answer, context).toString()) as Answer;
    } catch (cause) {
      // Sealed with a secret that was taken away: what was done is done, so it must not be done again.
      throw new AppError('aborted', 'This was done already, and the answer can no longer be read.', { cause });
    }
  }

  return {
    async once<Answer>({ key, caller, request }: IdempotentRequest, work: () => Promise<Answer>) {
      if (!KEY.test(key)) throw invalidField('idempotency-key', 'must be 1 to 255 visible ASCII characters');
      const id = digest(JSON.stringify([caller, key]));
      const requestDigest = digest(request);
      const context = `idempotency ${id.toString('hex')}`;
      const inTransaction = async (tx: Queryable) => {
        await lockIdempotencyKey(tx, id);
        const earlier = await findIdempotencyKey(tx, id);
        if (earlier !== undefined) {
          if (!earlier.requestDigest.equals(requestDigest)) {
            throw new AppError(
              'invalid_argument',
              'This Idempotency-Key was used for another request. Use a new one.',
              {
                fields: [{ field: 'idempotency-key', description: 'was used for another request' }],
              },
            );
          }
          return { answer: unseal<Answer>(earlier.answer, context), replayed: true };
        }
        const answer = await db.within(tx, work);
        const sealed = sealing.seal(Buffer.from(JSON.stringify(answer)), context);
        await upsertIdempotencyKey(tx, id, { requestDigest, answer: sealed }, LIFETIME);
        return { answer, replayed: false };
      };
      return inTurn(context, () => db.transaction(inTransaction));
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
