import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createCsrf } from '../../../src/http/middleware/csrf.ts';
import { readForm } from '../../../src/http/middleware/form.ts';
import { listen } from './listen.ts';

const ISSUER = 'https://auth.example.com';
const [OLD, NEW] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const csrf = createCsrf({ keys: [NEW, OLD], issuer: ISSUER });
let server: Awaited<ReturnType<typeof listen>>;

beforeAll(async () => {
  server = await listen(async (ctx) => {
    if (ctx.path === '/script') csrf.checkHeader(ctx, 'mine');
    else csrf.check(ctx, await readForm(ctx), 'mine');
    ctx.body = 'passed';
  });
});
afterAll(() => server.close());

async function post(token: string | undefined, headers: Record<string, string> = { origin: ISSUER }): Promise<number> {
  const body = new URLSearchParams(token === undefined ? {} : { csrf: token });
  return (await fetch(server.origin, { method: 'POST', body, headers })).status;
}

describe('row 32: a form', () => {
  test('from our page passes', async () => {
    expect(await post(csrf.token('mine'))).toBe(200);
  });

  test.each([
    ['none', undefined],
    ['an empty one', ''],
    ["somebody else's", csrf.token('theirs')],
    ['one of another server', createCsrf({ keys: [Buffer.alloc(32, 3)], issuer: ISSUER }).token('mine')],
    ['a shortened one', csrf.token('mine').slice(0, -2)],
    ['a lengthened one', `${csrf.token('mine')}AA`],
  ])('without the token of this very page is refused: %s', async (_, token) => {
    expect(await post(token)).toBe(403);
  });

  test.each([
    ['another site', { origin: 'https://evil.example' }],
    ['a sibling site', { origin: 'https://www.auth.example.com' }],
    ['the same host without TLS', { origin: 'http://auth.example.com' }],
    ['an opaque origin', { origin: 'null' }],
    ['another site that claims otherwise', { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }],
    ['who does not say', {}],
  ])('with the right token from %s is refused', async (_, headers) => {
    expect(await post(csrf.token('mine'), headers)).toBe(403);
  });

  test('from a browser that sends Sec-Fetch-Site in place of Origin passes', async () => {
    // fetch() itself sets the header to its own idea, so this one speaks raw HTTP.
    const { request } = await import('node:http');
    const send = (site: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const body = new URLSearchParams({ csrf: csrf.token('mine') }).toString();
        const headers = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': site };
        request(server.origin, { method: 'POST', headers }, (response) => resolve(response.resume().statusCode))
          .on('error', reject)
          .end(body);
      });
    expect(await send('same-origin')).toBe(200);
    expect(await send('same-site')).toBe(403);
    expect(await send('cross-site')).toBe(403);
  });

  test('made before the secret was rotated still passes', async () => {
    expect(await post(createCsrf({ keys: [OLD], issuer: ISSUER }).token('mine'))).toBe(200);
  });
});

describe("row 113: a script's request", () => {
  async function fetchWith(headers: Record<string, string>, body: string | URLSearchParams = '{}'): Promise<number> {
    return (await fetch(`${server.origin}/script`, { method: 'POST', body, headers })).status;
  }

  test('from our page passes', async () => {
    expect(await fetchWith({ origin: ISSUER, 'x-csrf-token': csrf.token('mine') })).toBe(200);
    const old = createCsrf({ keys: [OLD], issuer: ISSUER }).token('mine');
    expect(await fetchWith({ origin: ISSUER, 'x-csrf-token': old })).toBe(200);
  });

  test.each<[string, Record<string, string>]>([
    ['without a token', { origin: ISSUER }],
    ["with somebody else's token", { origin: ISSUER, 'x-csrf-token': csrf.token('theirs') }],
    ['with two tokens', { origin: ISSUER, 'x-csrf-token': `${csrf.token('mine')}, ${csrf.token('mine')}` }],
    ['of another site', { origin: 'https://evil.example', 'x-csrf-token': csrf.token('mine') }],
    ['of who does not say', { 'x-csrf-token': csrf.token('mine') }],
  ])('%s is refused', async (_, headers) => {
    expect(await fetchWith(headers)).toBe(403);
  });

  test('with the token in the form, where another site can put one too, is refused', async () => {
    expect(await fetchWith({ origin: ISSUER }, new URLSearchParams({ csrf: csrf.token('mine') }))).toBe(403);
  });
});
