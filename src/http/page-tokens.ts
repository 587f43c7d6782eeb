/** Page tokens: where the next page starts, opaque and signed, good only for the list that gave it out. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { invalidField } from '../errors.ts';

/** The last row seen: its ordering value as the database writes it, and its id. */
export interface Position {
  sortKey: string;
  id: string;
}

export interface PageTokens {
  /** @param list everything that must be the same on the next page: the list, its filter and order, whose it is */
  encode(list: string, position: Position): string;
  /** @throws AppError `invalid_argument` naming page_token for one that this list did not give out */
  decode(list: string, token: string): Position;
}

/** @param keys the newest signs, all are accepted */
export function createPageTokens(keys: readonly Buffer[]): PageTokens {
  const sign = (key: Buffer, list: string, body: string) =>
    createHmac('sha256', key).update(`${list}\0${body}`).digest('base64url');

  return {
    encode(list, { sortKey, id }) {
      const body = Buffer.from(JSON.stringify([sortKey, id])).toString('base64url');
      return `${body}.${sign(keys[0]!, list, body)}`;
    },
    decode(list, token) {
      const [body = '', signature = '', ...rest] = token.split('.', 3);
      if (rest.length > 0 || !keys.some((key) => isSame(sign(key, list, body), signature))) {
        throw invalidField('page_token', 'is not one this list gave out; start again without it');
      }
      const [sortKey, id] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [string, string];
      return { sortKey, id };
    },
  };
}

function isSame(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
