/** Whatever is sent as filter, page token, order or enumeration: an answer, or 400 with the field named; never 500. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { enumeration } from '../../../src/http/management/enumeration.ts';
import { filter, parseFilter } from '../../../src/http/management/filter.ts';
import { createPageTokens } from '../../../src/http/page-tokens.ts';
import { type Api, createApi } from '../../support/api.ts';
import type { RawAnswer } from '../../support/request.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const KEYS = '/api/preview/teamkeys';
let server: TestServer;
let api: Api;
let admin: string;
let teamPath: string;

beforeAll(async () => {
  server = await startTestServer();
  api = createApi(server);
  admin = await api.key('Admin');
  teamPath = `/api/v1/teams/${await api.team()}`;
}, 30_000);

afterAll(() => server?.close());

/** Text of any kind, half of it near to what is meant. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom('team_id', 'name', ' eq ', ' and ', '"', '\\', 'a', ' ', '(', "'", '0'),
    maxLength: 12,
  }),
);

function expectRefusal({ status, body }: RawAnswer, field: string): void {
  expect([status, body.code]).toEqual([400, 3]);
  expect((body.details[0].field_violations as { field: string }[]).map((one) => one.field)).toContain(field);
}

describe('the filter grammar', () => {
  const STATUS = enumeration({ ACTIVE: 1, INACTIVE: 2 });
  const FIELDS = { name: filter.text, status: filter.enumeration(STATUS), at: filter.time, team_id: filter.uuid };
  const text = fc
    .string({ unit: 'grapheme', maxLength: 50 })
    .filter((one) => !one.includes('\0') && one.isWellFormed());
  const space = fc.constantFrom(' ', '  ', '\t');

  test('reads back whatever is written by its rules', () => {
    const condition = fc.oneof(
      fc.record({ field: fc.constant('name'), text, value: fc.constant(undefined) }),
      fc.constantFrom(
        ...(['ACTIVE', 'INACTIVE', '1', '2'] as const).map((one) => ({
          field: 'status',
          text: one,
          value: STATUS.parse(one),
        })),
      ),
      fc.uuid().map((one) => ({ field: 'team_id', text: one, value: undefined })),
    );
    fc.assert(
      fc.property(fc.array(condition, { maxLength: 10 }), space, (conditions, gap) => {
        const written = conditions.map((one) => `${one.field}${gap}eq${gap}${JSON.stringify(one.text)}`);
        const read = parseFilter(written.join(`${gap}and${gap}`), FIELDS);
        expect(read).toEqual(
          conditions.map((one) => ({
            field: one.field,
            operator: 'eq',
            value: one.value ?? one.text.normalize('NFC'),
          })),
        );
      }),
      { numRuns: 150 },
    );
  });

  test('times are read in every form RFC 3339 has, to the millisecond', () => {
    const date = fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(date, fc.constantFrom('eq', 'lt', 'le', 'gt', 'ge'), (at, operator) => {
        const [condition] = parseFilter(`at ${operator} "${at.toISOString()}"`, FIELDS);
        expect(condition).toEqual({ field: 'at', operator, value: at });
      }),
    );
  });

  test('anything else is a refusal that names filter, for every list', () => {
    fc.assert(
      fc.property(anyText, (written) => {
        let thrown: unknown;
        try {
          parseFilter(written, FIELDS);
        } catch (error) {
          thrown = error;
        }
        if (thrown !== undefined)
          expect(thrown).toMatchObject({ kind: 'invalid_argument', fields: [{ field: 'filter' }] });
      }),
      { numRuns: 500 },
    );
  });
});

test('any filter sent gets an answer, or 400 naming it', async () => {
  await fc.assert(
    fc.asyncProperty(anyText, async (written) => {
      const query = encodeURIComponent(written.toWellFormed());
      const answer = await api.call({ as: admin, path: `${KEYS}?filter=${query}` });
      if (answer.status !== 200) expectRefusal(answer, 'filter');
    }),
    { numRuns: 80 },
  );
});

test('any name held against a filter is data: what is found has that very name', async () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
    .filter((one) => !one.includes('\0') && one.isWellFormed());
  await fc.assert(
    fc.asyncProperty(name, async (wanted) => {
      const query = encodeURIComponent(`name eq ${JSON.stringify(wanted)}`);
      const { status, body } = await api.call({ as: admin, path: `${KEYS}?filter=${query}` });
      expect(status).toBe(200);
      expect((body.values as { name: string }[]).every((one) => one.name === wanted)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

describe('page tokens', () => {
  test('only the very token a list gave out is taken: any change of it is refused', async () => {
    for (const key of ['One', 'Two', 'Three']) {
      await api.call({ as: admin, path: KEYS, body: { name: key, team_id: teamPath.split('/').at(-1) } });
    }
    const first = await api.call({ as: admin, path: `${KEYS}?page_size=1` });
    const token: string = first.body.next_page_token;
    const next = await api.call({ as: admin, path: `${KEYS}?page_size=1&page_token=${encodeURIComponent(token)}` });
    expect(next.status).toBe(200);
    expect(next.body.values[0].id).not.toBe(first.body.values[0].id);
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: token.length - 1 }),
        fc.constantFrom(...'abcXYZ019-_.'),
        fc.constantFrom('replace', 'insert', 'cut'),
        async (at, character, how) => {
          const rest = token.slice(how === 'insert' ? at : at + 1);
          const changed = `${token.slice(0, at)}${how === 'cut' ? '' : character}${rest}`;
          fc.pre(changed !== token && changed !== '');
          const path = `${KEYS}?page_size=1&page_token=${encodeURIComponent(changed)}`;
          expectRefusal(await api.call({ as: admin, path }), 'page_token');
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([
    ['another list', () => '/api/v1/teams?page_size=1'],
    ['another filter', () => `${KEYS}?page_size=1&filter=${encodeURIComponent('name eq "One"')}`],
    ['another order', () => `${KEYS}?page_size=1&order_by=name`],
  ])('a token is good for its list alone: %s refuses it', async (_what, path) => {
    const { body } = await api.call({ as: admin, path: `${KEYS}?page_size=1` });
    const token = encodeURIComponent(body.next_page_token);
    expectRefusal(await api.call({ as: admin, path: `${path()}&page_token=${token}` }), 'page_token');
  });

  test('what was put in comes out, whatever the texts', () => {
    const tokens = createPageTokens([Buffer.alloc(32, 1)]);
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (name, sortKey, id) => {
        expect(tokens.decode(name, tokens.encode(name, { sortKey, id }))).toEqual({ sortKey, id });
      }),
    );
  });
});

describe('enumerations', () => {
  test('a name or its number is taken, in the body as in the filter; everything else is refused and named', async () => {
    const good = new Map<unknown, string>([
      ['UNBOUND', 'UNBOUND'],
      [1, 'UNBOUND'],
      ['PROVIDER_ID_SET', 'PROVIDER_ID_SET'],
      [2, 'PROVIDER_ID_SET'],
    ]);
    const value = fc.oneof(
      fc.constantFrom(...good.keys()),
      fc.jsonValue({ maxDepth: 1 }),
      fc.integer({ min: -3, max: 5 }),
      fc.constantFrom('unbound', '1', 'UNBOUND ', '__proto__', 'constructor', 'toString'),
    );
    await fc.assert(
      fc.asyncProperty(value, async (sent) => {
        const answer = await api.call({ as: admin, method: 'PATCH', path: teamPath, body: { policy_type: sent } });
        const meant = good.get(sent);
        if (meant === undefined) expectRefusal(answer, 'policy_type');
        else expect([answer.status, answer.body.value?.policy_type]).toEqual([200, meant]);
      }),
      { numRuns: 60 },
    );
  });
});

test('any order_by gets an answer, or 400 naming it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(anyText, fc.constantFrom('name', 'name desc', ' created_at  asc ')), async (written) => {
      const query = encodeURIComponent(written.toWellFormed());
      const answer = await api.call({ as: admin, path: `${KEYS}?order_by=${query}` });
      if (answer.status !== 200) expectRefusal(answer, 'order_by');
    }),
    { numRuns: 60 },
  );
});

test('any page_size gets an answer, or 400 naming it', async () => {
  const size = fc.oneof(fc.integer().map(String), fc.double().map(String), fc.string({ maxLength: 6 }));
  await fc.assert(
    fc.asyncProperty(size, async (written) => {
      const answer = await api.call({
        as: admin,
        path: `${KEYS}?page_size=${encodeURIComponent(written.toWellFormed())}`,
      });
      const isSize = /^[0-9]{1,4}$/.test(written) && Number(written) >= 1 && Number(written) <= 1_000;
      if (isSize || written === '') expect(answer.status).toBe(200);
      else expectRefusal(answer, 'page_size');
    }),
    { numRuns: 60 },
  );
});
