import { describe, expect, jest, test } from '@jest/globals';
import { AppError } from '../../src/errors.ts';
import { createBoundedCache } from '../../src/resource/bounded-cache.ts';
import {
  authenticate,
  createAuthenticator,
  protectedResourceMetadata,
  type ResourceOptions,
  requireScope,
} from '../../src/resource/index.ts';
import { createApiKey } from './issuer.ts';

const good = { issuer: 'https://auth.example.com', audience: 'https://api.example.com' };

function problemOf(build: () => unknown): AppError {
  try {
    build();
  } catch (error) {
    return error as AppError;
  }
  throw new Error('nothing was thrown');
}

describe('an option that is wrong is named at construction', () => {
  const wrong: [string, Record<string, unknown>][] = [
    ['issuer', { issuer: undefined }],
    ['issuer', { issuer: 'auth.example.com' }],
    ['issuer', { issuer: 'http://auth.example.com' }],
    ['issuer', { issuer: 'https://auth.example.com?x' }],
    ['issuer', { issuer: 'https://user:pass@auth.example.com' }],
    ['audience', { audience: '' }],
    ['audiance', { audiance: 'x' }],
    ['resource', { resource: 'https://api.example.com/#x' }],
    ['origin', { origin: 'https://api.example.com/' }],
    ['realm', { realm: 'a"b' }],
    ['algorithms', { algorithms: ['HS256'] }],
    ['algorithms', { algorithms: [] }],
    ['clockTolerance', { clockTolerance: 61 }],
    ['clockTolerance', { clockTolerance: Number.NaN }],
    ['maxStale', { maxStale: -1 }],
    ['failMode', { failMode: 'open' }],
    ['failMode', { failMode: 1 }],
    ['cacheSize', { cacheSize: -1 }],
    ['cacheSize', { cacheSize: 1_000_001 }],
    ['apiKeys', { apiKeys: true }],
    ['apiKeys', { apiKeys: 'yes' }],
    ['issuer', { issuer: 'http://auth.example.com', jwksUri: 'https://auth.example.com/jwks' }],
    ['introspection.clientSecret', { introspection: { clientId: 'a', clientSecret: '' } }],
    ['introspection.clientId', { introspection: { clientId: 1, clientSecret: 'b' } }],
    ['introspection', { introspection: null }],
    ['toString', { toString: () => '' }],
    ['jwksUri', { jwksUri: 'http://auth.example.com/jwks' }],
    ['jwks', { jwks: () => ({ keys: [] }), jwksUri: 'https://auth.example.com/jwks' }],
    ['jwks', { jwks: { keys: [] } }],
    ['verifyApiKey', { verifyApiKey: async () => undefined, introspection: { clientId: 'a', clientSecret: 'b' } }],
    ['introspection.clientSecret', { introspection: { clientId: 'a' } }],
    ['introspection.cacheSeconds', { introspection: { clientId: 'a', clientSecret: 'b', cacheSeconds: 3600 } }],
    ['introspection.cache', { introspection: { clientId: 'a', clientSecret: 'b', cache: 1 } }],
    ['scopesSupported', { scopesSupported: ['a b'] }],
  ];
  test.each(wrong)('%s in %j', (name, change) => {
    const error = problemOf(() => authenticate({ ...good, ...change } as ResourceOptions));
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ kind: 'invalid_argument', fields: [{ field: name }] });
  });

  test('an unknown option says so', () => {
    const misspelt = { ...good, audiance: 'x' } as ResourceOptions;
    expect(problemOf(() => authenticate(misspelt)).message).toBe('audiance is not an option');
  });

  test('metadata needs a resource that is a URL', () => {
    expect(problemOf(() => protectedResourceMetadata({ ...good, audience: 'api' })).message).toMatch(/^resource /);
  });

  test('scopes of requireScope must be scope words', () => {
    expect(problemOf(() => requireScope('a"b')).kind).toBe('invalid_argument');
    expect(problemOf(() => requireScope()).kind).toBe('invalid_argument');
  });

  test('an option that is undefined is one that is left out', () => {
    const names = ['resource', 'realm', 'algorithms', 'clockTolerance', 'maxStale', 'cacheSize', 'failMode', 'clock'];
    authenticate({ ...good, ...Object.fromEntries(names.map((name) => [name, undefined])) });
    authenticate({ ...good, maxStale: 0, cacheSize: 0, clockTolerance: 0, apiKeys: false, failMode: 'closed' });
  });

  test('plain http is taken on loopback, on request, and when nothing is fetched', () => {
    authenticate({ ...good, issuer: 'http://localhost:3000' });
    authenticate({ ...good, issuer: 'http://latchkey:3000', allowInsecureRequests: true });
    authenticate({ ...good, issuer: 'http://latchkey:3000', jwks: () => ({ keys: [] }) });
  });
});

test('a request nobody can make sense of is refused, never thrown', async () => {
  const errors: Error[] = [];
  const core = createAuthenticator({
    ...good,
    audience: 'api',
    verifyApiKey: () => undefined as never,
    onError: (error) => errors.push(error),
  });
  expect(core.metadata).toBeUndefined();
  const decisions = await Promise.all([
    core.authenticate({ method: 'GET', headers: { authorization: [] } }),
    core.authenticate({ method: '', url: 'not a url?%', headers: { authorization: `Bearer ${createApiKey()}` } }),
    core.authenticate({ method: 'GET', headers: { authorization: 7 as never } }),
    core.authenticate(undefined as never),
  ]);
  expect(decisions.map((decision) => !decision.principal && decision.status)).toEqual([401, 401, 401, 503]);
  expect(errors).toHaveLength(1);
});

test('by default an outage is a process warning, once a minute', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const verifyApiKey = () => Promise.reject(new Error('database away'));
  let now = 0;
  const core = createAuthenticator({ ...good, verifyApiKey, clock: () => now });
  const request = { method: 'GET', headers: { authorization: `Bearer ${createApiKey()}` } };
  for (let i = 0; i < 5; i++) await core.authenticate(request);
  now = 60_000;
  await core.authenticate(request);
  expect(warn.mock.calls.map(([message]) => message)).toEqual(['database away', 'database away']);
  warn.mockRestore();
});

test.each(['throws', 'rejects'])('an onError that %s changes nothing', async (how) => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const fail = () => {
    throw new Error('hook');
  };
  const onError = how === 'throws' ? fail : async () => fail();
  const core = createAuthenticator({ ...good, verifyApiKey: fail, onError });
  const decision = await core.authenticate({ method: 'GET', headers: { authorization: `Bearer ${createApiKey()}` } });
  expect(decision).toMatchObject({ status: 503 });
  expect(warn.mock.calls.map(([text]) => text)).toEqual(['The onError option threw']);
  warn.mockRestore();
});

test('a bounded cache drops what was used longest ago', () => {
  const cache = createBoundedCache<number>(2);
  cache.set('a', 1);
  cache.set('b', 2);
  cache.get('a');
  cache.set('c', 3);
  expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([1, undefined, 3]);
});
