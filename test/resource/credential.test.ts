import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type Koa from 'koa';
import { AppError } from '../../src/errors.ts';
import { createAuthenticator, requireScope } from '../../src/resource/index.ts';
import { type Api, startApi } from './api.ts';
import { AUDIENCE, createApiKey, type Issuer, startIssuer } from './issuer.ts';

const METADATA_URL = 'https://api.example.com/.well-known/oauth-protected-resource/v1';
let issuer: Issuer;
let api: Api;
let token: string;

beforeAll(async () => {
  issuer = await startIssuer();
  const scopesSupported = ['providers:read', 'providers:write'];
  api = await startApi({ issuer: issuer.url, resource: `${AUDIENCE}/v1`, scopesSupported, realm: 'api' });
  token = await issuer.token();
});
afterAll(() => Promise.all([api.stop(), issuer.stop()]));

describe('protected resource metadata', () => {
  test.each(['', '/v1'])('row 9: is served at the well-known path with "%s" appended', async (suffix) => {
    const answer = await api.send({}, `/.well-known/oauth-protected-resource${suffix}`);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    expect(answer.body).toEqual({
      resource: 'https://api.example.com/v1',
      authorization_servers: [issuer.url],
      bearer_methods_supported: ['header'],
      scopes_supported: ['providers:read', 'providers:write'],
      dpop_signing_alg_values_supported: ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'],
    });
  });

  test('row 10: a 401 points at it, whatever Host was asked', async () => {
    const answer = await api.send({ host: 'evil.example', 'x-forwarded-host': 'evil.example' });
    expect(answer.status).toBe(401);
    expect(answer.challenge).toMatch(/^Bearer /);
    expect(answer.challenge).toContain(`resource_metadata="${METADATA_URL}"`);
    expect(JSON.stringify(answer)).not.toContain('evil');
  });
});

describe('challenges', () => {
  test.each([
    ['no header', {}],
    ['an empty header', { authorization: '' }],
    ['a scheme that is not ours', { authorization: 'Basic dTpw' }],
    ['a key in a header of its own', { 'x-api-key': createApiKey() }],
  ])('row 73: %s gets a bare challenge', async (_, headers) => {
    const answer = await api.send(headers as Record<string, string>);
    expect(answer.status).toBe(401);
    expect(answer.challenge).toBe(
      `Bearer realm="api", resource_metadata="${METADATA_URL}", DPoP algs="ES256 RS256 PS256 EdDSA Ed25519"`,
    );
    expect(answer.body).toEqual({ code: 16, message: 'Authentication required', details: [] });
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  test('row 73: a bad token gets 401 invalid_token', async () => {
    const answer = await api.bearer(`${token}x`);
    expect(answer.status).toBe(401);
    expect(answer.challenge).toContain('error="invalid_token", error_description="Invalid access token"');
    expect(answer.body).toEqual({ code: 16, message: 'Invalid access token', details: [] });
  });

  test('row 73: too little scope gets 403 insufficient_scope that names the scopes needed', async () => {
    const answer = await api.bearer(token, '/write');
    expect(answer.status).toBe(403);
    expect(answer.challenge).toContain('error="insufficient_scope"');
    expect(answer.challenge).toContain('scope="providers:read providers:write"');
    expect(answer.body).toMatchObject({ code: 7, details: [] });
    const enough = await issuer.token({ scope: 'providers:write providers:read' });
    expect((await api.bearer(enough, '/write')).status).toBe(200);
  });

  test.each(['Bearer', 'Bearer ', 'Bearer a b', 'Bearer\tabc', 'DPoP', `Bearer ${'a'.repeat(15_000)} b`])(
    'row 73: the malformed header "%.20s" gets 400',
    async (authorization) => {
      const answer = await api.send({ authorization });
      expect(answer.status).toBe(400);
      expect(answer.challenge).toMatch(/^Bearer .*error="invalid_request"/);
      expect(answer.body).toMatchObject({ code: 3, details: [] });
    },
  );

  test('row 123: nothing the caller sends comes back in headers or body', async () => {
    const { authenticate } = createAuthenticator({ issuer: issuer.url, audience: AUDIENCE });
    for (const evil of ['a"b\\marker', 'marker\r\nX: y', 'marker, b', '..marker']) {
      const decision = await authenticate({ method: 'GET', headers: { authorization: `Bearer ${evil}` } });
      expect(JSON.stringify(decision)).not.toContain('marker');
      expect(decision).toHaveProperty('status');
    }
  });
});

describe('where a credential may be', () => {
  test.each(['bearer', 'BEARER', 'bEaReR'])('row 74: the scheme "%s" is Bearer', async (scheme) => {
    expect((await api.send({ authorization: `${scheme} ${token}` })).status).toBe(200);
  });

  test.each(['access_token', '%61ccess_token', 'x=1&access_token'])('row 75: "?%s=" is 400', async (name) => {
    const answer = await api.send({}, `/?${name}=${token}`);
    expect(answer.status).toBe(400);
    expect(answer.challenge).toContain('error="invalid_request"');
  });

  test('row 87: a key in the query is 401 and is not looked up', async () => {
    const answer = await api.send({}, `/?api_key=${createApiKey()}`);
    expect(answer.status).toBe(401);
    expect(issuer.count('/oauth2/introspect')).toBe(0);
  });

  test('row 76: two credentials in one request are 400', async () => {
    const authorization = `Bearer ${token}`;
    const answers = await Promise.all([
      api.send({ authorization: [authorization, authorization] }),
      api.send({ authorization: `${authorization}, Bearer ${token}` }),
      api.send({ authorization: 'Bearer a,b' }),
      api.send({ authorization, 'x-api-key': createApiKey() }),
      api.send({ authorization }, `/?access_token=${token}`),
      api.send({ authorization }, '/?api_key='),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400, 400]);
    expect((await api.send({ authorization })).status).toBe(200);
  });

  test('row 76: a token in a parsed form body is 400, with and without a header', async () => {
    const core = createAuthenticator({ issuer: issuer.url, audience: AUDIENCE });
    for (const headers of [{}, { authorization: `Bearer ${token}` }]) {
      const decision = await core.authenticate({ method: 'POST', headers, form: { access_token: token } });
      expect(decision).toMatchObject({ status: 400 });
    }
  });
});

test('a server may render refusals itself', async () => {
  const own = await startApi(
    { issuer: issuer.url },
    {
      renderFailure(ctx, failure) {
        ctx.status = failure.status;
        ctx.body = { ...failure.body, request_id: 'r1' };
      },
    },
  );
  expect((await own.bearer('x.y.z')).body).toMatchObject({ code: 16, request_id: 'r1' });
  expect((await own.bearer(token, '/write')).body).toMatchObject({ code: 7, request_id: 'r1' });
  await own.stop();
});

test('requireScope without authenticate refuses every request', async () => {
  const guard = requireScope('providers:read');
  const ctx = { state: { principal: { scopes: ['providers:read'] } } } as unknown as Koa.ParameterizedContext;
  await expect(guard(ctx as never, async () => {})).rejects.toThrow(AppError);
});
