import { describe, expect, test } from '@jest/globals';
import { reviewBaseUrl, reviewRedirectUris } from '../../src/domain/redirect-uri-hints.ts';
import { checkRedirectUris } from '../../src/domain/redirect-uris.ts';

const BASE = 'https://app.example.com';
const review = (lines: string[], app: Partial<Parameters<typeof reviewRedirectUris>[1]> = {}) =>
  reviewRedirectUris(lines, { type: 'confidential', baseUrl: BASE, ...app });

describe('row 115: a line that is refused comes with what was probably meant', () => {
  test.each<[what: string, typed: string, meant: string]>([
    ['http', 'http://app.example.com/cb', 'https://app.example.com/cb'],
    ['no scheme', 'app.example.com/cb', 'https://app.example.com/cb'],
    ['no scheme, a port', 'app.example.com:8443/cb', 'https://app.example.com:8443/cb'],
    ['the path alone', '/cb', 'https://app.example.com/cb'],
    ['no scheme, as in pages', '//app.example.com/cb', 'https://app.example.com/cb'],
    ['a scheme mistyped', 'htps://app.example.com/cb', 'https://app.example.com/cb'],
    ['a slash forgotten', 'https:/app.example.com/cb', 'https://app.example.com/cb'],
    ['upper case', 'HTTPS://App.Example.COM/Cb', 'https://app.example.com/Cb'],
    ['a fragment', 'https://app.example.com/cb#done', 'https://app.example.com/cb'],
    ['a user name', 'https://ada:secret@app.example.com/cb', 'https://app.example.com/cb'],
    ['quotes and a comma', '"https://app.example.com/cb",', 'https://app.example.com/cb'],
    ['dots in the path', 'https://app.example.com/a/../cb', 'https://app.example.com/cb'],
    ['the usual port', 'https://app.example.com:443/cb', 'https://app.example.com/cb'],
    ['what is not percent-encoded', 'https://app.example.com/ü', 'https://app.example.com/%C3%BC'],
    ['a host mistyped', 'https://app.exmaple.com/cb?a=b', 'https://app.example.com/cb?a=b'],
    ['several slips', 'http://ada@app.exmaple.com:80/a/./cb#x', 'https://app.example.com/a/cb'],
  ])('%s', (_, typed, meant) => {
    const [line] = review([typed]);
    expect(line).toEqual({ uri: typed, problem: expect.any(String), hint: expect.any(String), suggestion: meant });
    expect(checkRedirectUris('', [line!.suggestion!], { type: 'confidential', baseUrl: BASE })).toEqual([meant]);
  });

  test.each<[typed: string, meant: string]>([
    ['http://127.0.0.1:4000/cb', 'http://localhost:4000/cb'],
    ['https://localhost:4000/cb', 'http://localhost:4000/cb'],
    ['localhost/cb', 'http://localhost/cb'],
  ])('on loopback: %s', (typed, meant) => {
    expect(review([typed], { baseUrl: 'http://localhost:4000' })[0]?.suggestion ?? typed).toBe(meant);
  });

  test('a public app has plain http on loopback', () => {
    expect(review(['https://127.0.0.1/cb'], { type: 'public' })[0]).toMatchObject({
      suggestion: 'http://127.0.0.1/cb',
      hint: expect.stringContaining('certificate'),
    });
  });

  test.each<[what: string, typed: string, hint: string]>([
    ['a pattern', 'https://app.example.com/*', 'https://app.example.com/callback'],
    ['a host of its own', 'https://other.example.org/cb', 'lives at https://app.example.com'],
    ['the host above', 'https://example.com/cb', 'it covers its sub-domains'],
    ['my own machine', 'http://localhost:3000/cb', 'another app with the base URL http://localhost:3000'],
    ['an app on a device', 'com.example.app:/cb', 'public apps'],
    ['two on a line', 'https://app.example.com/a, https://app.example.com/b', 'one on each line'],
  ])('nothing is proposed for %s, but what to do', (_, typed, hint) => {
    const [line] = review([typed]);
    expect(line).toEqual({ uri: typed, problem: expect.any(String), hint: expect.stringContaining(hint) });
  });

  test.each(['javascript:alert(1)', 'data:text/html,x', 'myapp://cb', '', '*', 'https://', 'x'.repeat(5_000)])(
    'there is no help for %.20s',
    (typed) => {
      const [line] = review([typed]);
      expect(line?.problem).toEqual(expect.any(String));
      expect(line?.suggestion).toBeUndefined();
    },
  );
});

describe('a line that is fine may still be worth a look', () => {
  test.each<[difference: string, one: string, other: string]>([
    ['a slash at its end', '/cb', '/cb/'],
    ['upper and lower case', '/cb', '/Cb'],
    ['its query', '/cb', '/cb?x=1'],
  ])('%s', (difference, one, other) => {
    const [first, second] = review([BASE + one, BASE + other]);
    expect(first?.hint).toContain(`differs from ${BASE}${other} only by ${difference}`);
    expect(second?.hint).toContain(`differs from ${BASE}${one} only by ${difference}`);
    expect([first?.problem, second?.problem]).toEqual([undefined, undefined]);
  });

  test('also when the other one is registered, and not among the lines any more', () => {
    const [line] = review([`${BASE}:8443/cb`], { registered: [`${BASE}/cb`] });
    expect(line).toEqual({
      uri: `${BASE}:8443/cb`,
      hint: expect.stringContaining(`differs from ${BASE}/cb only by its port`),
    });
    expect(review([`${BASE}/cb`], { registered: [`${BASE}/cb`] })).toEqual([{ uri: `${BASE}/cb` }]);
  });

  test('one that is there twice', () => {
    expect(review([`${BASE}/cb`, `${BASE}/cb`])[1]?.hint).toContain('twice');
  });

  test('localhost is not 127.0.0.1', () => {
    expect(review(['http://localhost/cb'], { type: 'public' })[0]?.hint).toContain('127.0.0.1');
    expect(review(['http://localhost/cb', 'http://127.0.0.1/cb'], { type: 'public' })[0]?.hint).toContain(
      'only by the name of the loopback address',
    );
  });

  test('a scheme that looks like the host', () => {
    expect(review(['app.example.com:8443/cb'], { type: 'public' })[0]).toEqual({
      uri: 'app.example.com:8443/cb',
      hint: expect.stringContaining('https://'),
      suggestion: 'https://app.example.com:8443/cb',
    });
  });
});

test('without a base URL that is good, hosts are not compared', () => {
  expect(review(['https://other.example.org/cb'], { baseUrl: 'ftp://app.example.com' })).toEqual([
    { uri: 'https://other.example.org/cb' },
  ]);
});

test('with one that is nearly good, they are compared with what was meant', () => {
  const [line] = review(['https://app.exmaple.com/cb'], { baseUrl: 'http://app.example.com' });
  expect(line?.suggestion).toBe('https://app.example.com/cb');
});

test('a hundred, and no more', () => {
  const lines = Array.from({ length: 101 }, (_, index) => `${BASE}/${index}`);
  const problems = review(lines).map(({ problem }) => problem);
  expect(problems.filter((one) => one !== undefined)).toEqual([expect.stringContaining('100')]);
});

test.each<[typed: string, meant: string | undefined]>([
  ['app.example.com', 'https://app.example.com'],
  ['http://app.example.com', 'https://app.example.com'],
  ['localhost:3000', 'http://localhost:3000'],
  ['https://app.example.com/#/', 'https://app.example.com/'],
  ['ftp://app.example.com', undefined],
  ['', undefined],
])('base URL %s', (typed, meant) => {
  expect(reviewBaseUrl(typed)).toMatchObject({ problem: expect.any(String) });
  expect(reviewBaseUrl(typed).suggestion).toBe(meant);
});

test('a base URL that is good', () => {
  expect(reviewBaseUrl(BASE)).toEqual({ uri: BASE });
});
