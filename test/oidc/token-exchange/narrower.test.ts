/** Whatever a key may do and whatever is asked: its token never says more, and never lives longer. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeJwt } from 'jose';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange } from './exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof exchange.person>>;
let apis: { identifier: string; names: string[]; ttl: number }[];
const OWN = ['providers:read', 'providers:write', 'teams:read'];

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await exchange.person({ role: 'Operator' });
  const [one, other] = [
    await exchange.api(['a', 'b'], { accessTokenTtlSeconds: 60 }),
    await exchange.api(['c'], { accessTokenTtlSeconds: 3600 }),
  ];
  const own = { identifier: server.audience, names: OWN, ttl: 600 };
  apis = [own, { ...one, ttl: 60 }, { ...other, ttl: 3600 }];
});
afterAll(() => server.close());

test('the scope is within key and API, and the end not after that of either', async () => {
  const words = [...apis.flatMap(({ names }) => names), 'openid', 'nothing:here'];
  const given = words.slice(0, -2);
  const owners = (await server.domain.authority.permissionsIn(person.userId, person.teamId))!;
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.constantFrom(...given), { minLength: 1 }),
      fc.option(fc.uniqueArray(fc.constantFrom(...words), { minLength: 1, maxLength: 3 }), { nil: undefined }),
      fc.constantFrom(...apis),
      fc.option(fc.integer({ min: 5, max: 5_000 }), { nil: undefined }),
      async (scopes, asked, api, seconds) => {
        const expiresAt = seconds === undefined ? undefined : new Date(Date.now() + seconds * 1000);
        const key = await exchange.personalKey(person, { scopes, ...(expiresAt && { expiresAt }) });
        const within = scopes.filter((one) => api.names.includes(one) && (!OWN.includes(one) || owners.has(one)));
        const fields = { resource: api.identifier, ...(asked && { scope: asked.join(' ') }) };
        const { status, body } = await exchange.key(key.text, fields);
        const isTooMuch = asked === undefined ? within.length === 0 : asked.some((one) => !within.includes(one));
        if (isTooMuch) return expect([status, body.error]).toEqual([400, 'invalid_scope']);
        const { scope, iat, exp } = decodeJwt(body.access_token) as { scope: string; iat: number; exp: number };
        expect(scope.split(' ').sort()).toEqual([...(asked ?? within)].sort());
        expect(exp).toBeLessThanOrEqual(iat + api.ttl);
        if (expiresAt) expect(exp).toBeLessThanOrEqual(expiresAt.getTime() / 1000);
      },
    ),
    { numRuns: 60 },
  );
});
