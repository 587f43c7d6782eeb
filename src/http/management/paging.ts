/** Lists by pages: `page_size` and an opaque, signed `page_token` that points behind the last row seen. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { invalidField } from '../../errors.ts';

export interface Cursor {
  createdAt: Date;
  id: string;
}

export interface Paging {
  /** @throws AppError `invalid_argument` naming the query parameter */
  read(ctx: Context, list: string): { limit: number; after?: Cursor };
  /** One page of at most `limit` of the `limit + 1` rows asked for, in the wire form. */
  page<Row extends Cursor>(rows: Row[], limit: number, list: string, toWire: (row: Row) => object): object;
}

const DEFAULT_SIZE = 50;
const LARGEST = 1_000;

/** @param keys the newest signs, all are accepted */
export function createPaging(keys: Buffer[]): Paging {
  const sign = (key: Buffer, list: string, body: string) =>
    createHmac('sha256', key).update(`${list} ${body}`).digest('base64url');

  function encode(list: string, { createdAt, id }: Cursor): string {
    const body = Buffer.from(JSON.stringify([createdAt.toISOString(), id])).toString('base64url');
    return `${body}.${sign(keys[0]!, list, body)}`;
  }

  function decode(list: string, token: string): Cursor {
    const [body = '', signature = ''] = token.split('.', 2);
    const signed = keys.some((key) => isSame(sign(key, list, body), signature));
    if (!signed) throw invalidField('page_token', 'is not one this list gave out');
    const [createdAt, id] = JSON.parse(Buffer.from(body, 'base64url').toString()) as [string, string];
    return { createdAt: new Date(createdAt), id };
  }

  return {
    read(ctx, list) {
      const { page_size: size, page_token: token } = ctx.query;
      if (
        Array.isArray(size) ||
        (size !== undefined && !/^[0-9]{1,4}$/.test(size)) ||
        Number(size) > LARGEST ||
        size === '0'
      ) {
        throw invalidField('page_size', `must be a whole number from 1 to ${LARGEST}`);
      }
      if (Array.isArray(token)) throw invalidField('page_token', 'must be given once');
      const limit = size ? Number(size) : DEFAULT_SIZE;
      return { limit, ...(token && { after: decode(list, token) }) };
    },
    page(rows, limit, list, toWire) {
      const shown = rows.slice(0, limit);
      const more = rows.length > limit;
      return { values: shown.map(toWire), next_page_token: more ? encode(list, shown.at(-1)!) : '', has_more: more };
    },
  };
}

function isSame(expected: string, given: string): boolean {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
