import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type CryptoKey,
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  exportSPKI,
  importJWK,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import Koa from 'koa';
import { runCommand } from '../../src/cli/index.ts';
import { OPERATOR } from '../../src/domain/audit.ts';
import { ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { authenticate, type Principal } from '../../src/resource/index.ts';
import { AUDIENCE, type Issuer, startIssuer } from '../resource/issuer.ts';
import { clientCredentials, createPerson, createTestClient } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

interface CaseResult {
  name: string;
  result: 'pass' | 'fail' | 'skipped';
  status: number | null;
  reason: string | null;
  fault: string;
}

interface Said {
  code: number;
  out: string;
  err: string;
}

async function latchkey(...args: string[]): Promise<Said> {
  const said = { out: '', err: '' };
  const code = await runCommand(args, { write: (text) => (said.out += text) }, { write: (text) => (said.err += text) });
  return { code, ...said };
}

/** Runs the check, sees that no credential is told, and answers the cases. */
async function check(url: string, ...args: string[]): Promise<{ code: number; cases: CaseResult[] }> {
  const { code, out, err } = await latchkey('check-api', url, ...args, '--json');
  for (const [index, word] of args.entries()) {
    if (!/^--(.*token|.*key)$/.test(args[index - 1] ?? '')) continue;
    for (const part of word.split('.')) expect(out + err).not.toContain(part);
  }
  const { ok, passed, failed, skipped, cases } = JSON.parse(out);
  expect([ok, passed + failed + skipped]).toEqual([failed === 0, cases.length]);
  expect(code).toBe(failed === 0 ? 0 : 1);
  expect(cases.every(({ fault }: CaseResult) => fault.length > 20)).toBe(true);
  return { code, cases };
}

const named = (cases: CaseResult[], which: CaseResult['result']) =>
  cases.filter(({ result }) => result === which).map(({ name }) => name);

type Status = number | Promise<number>;

/** An API whose answers are these statuses. */
async function startApi(answer: (request: IncomingMessage) => Status, challenge = 'Bearer') {
  let requests = 0;
  const server = createServer(async (request, response) => {
    requests++;
    const status = await Promise.resolve()
      .then(() => answer(request))
      .catch(() => 500);
    if (status === 0) return request.socket.destroy();
    response.writeHead(status, { 'www-authenticate': challenge, location: '/login' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/things?page=1`,
    requests: () => requests,
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('an API behind our middleware', () => {
  let server: TestServer;
  let api: ReturnType<Koa['listen']>;
  let url: string;
  let credentials: Record<string, string>;
  let client: { clientId: string; clientSecret: string };
  const revoked = new Set<unknown>();

  beforeAll(async () => {
    server = await startTestServer();
    const { domain, issuer, audience } = server;
    const { teamId } = await createPerson(server);
    const other = await createPerson(server);
    const introspector = await createTestClient(server, ROOT_TEAM_ID, { allowedScopes: ['credentials:introspect'] });
    client = await createTestClient(server, teamId);
    const key = async (team: string) => domain.apiKeys.createTeam({ teamId: team, name: 'Test' }, OPERATOR);
    const [good, ended, foreign] = await Promise.all([key(teamId), key(teamId), key(other.teamId)]);
    await domain.apiKeys.revoke(ended.key.id, {}, OPERATOR);

    const app = new Koa();
    app.silent = true;
    const { clientId, clientSecret } = introspector;
    app.use(
      authenticate({
        issuer,
        audience,
        introspection: { clientId, clientSecret, cacheSeconds: 0 },
        isRevoked: ({ jti }) => revoked.has(jti),
      }),
    );
    app.use((ctx) => {
      ctx.status = (ctx.state.principal as Principal).teamId === teamId ? 200 : 403;
    });
    api = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => api.once('listening', resolve));
    url = `http://127.0.0.1:${(api.address() as AddressInfo).port}/`;

    const { body } = await clientCredentials(server, client);
    const claims = decodeJwt(body.access_token);
    const now = Math.floor(Date.now() / 1000);
    revoked.add('revoked');
    credentials = {
      token: body.access_token,
      key: good.text,
      'other-audience-token': await signed({ ...claims, aud: 'https://other.example.com' }),
      'expired-token': await signed({ ...claims, iat: now - 900, exp: now - 300 }),
      'revoked-token': await signed({ ...claims, jti: 'revoked' }),
      'id-token': await signed({ ...claims, nonce: 'n' }, 'JWT'),
      'revoked-key': ended.text,
      'other-team-key': foreign.text,
    };
  });
  afterAll(async () => {
    await new Promise((resolve) => api.close(resolve));
    await server.close();
  });

  /** By the issuer's own key. */
  async function signed(claims: JWTPayload, typ = 'at+jwt'): Promise<string> {
    const keys = JSON.parse(process.env.LATCHKEY_TEST_KEYS!);
    const { privateJwk } = keys.find(({ alg }: { alg: string }) => alg === 'ES256');
    const key = await importJWK(privateJwk);
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ, kid: privateJwk.kid }).sign(key);
  }

  test('passes every case, and nothing is skipped when every credential is given', async () => {
    const args = Object.entries(credentials).flatMap(([name, value]) => [`--${name}`, value]);
    const { code, cases } = await check(url, '--issuer', server.issuer, ...args);
    expect(cases.filter(({ result }) => result !== 'pass')).toEqual([]);
    expect(code).toBe(0);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    expect(cases.filter(({ status }) => status !== null && status >= 400).length).toBeGreaterThanOrEqual(60);
  });

  test('is checked with a token fetched by client credentials, and what needs more is skipped', async () => {
    const args = ['--issuer', server.issuer, '--client-id', client.clientId, '--client-secret-stdin'];
    const { code, out } = await new Promise<{ code: unknown; out: string }>((resolve) => {
      const program = join(import.meta.dirname, '../../src/cli/latchkey.js');
      const words = [program, 'check-api', url, ...args, '--audience', server.audience, '--scope', 'providers:read'];
      const child = execFile(process.execPath, words, { env: {}, timeout: 20_000 }, (error, text) =>
        resolve({ code: error?.code ?? 0, out: text }),
      );
      child.stdin?.end(`${client.clientSecret}\n`);
    });
    expect(out).toMatch(/^pass +401 +alg none$/m);
    expect(out).toMatch(/^skipped +- +issuer's token that expired: needs --expired-token$/m);
    expect(out).toMatch(/\n\n\d\d passed, 0 failed, 9 skipped\.\n$/);
    expect(out).not.toContain(client.clientSecret);
    expect(code).toBe(0);
  });

  test('is checked with an API key alone', async () => {
    const { cases } = await check(url, '--issuer', server.issuer, '--key', credentials.key!);
    expect(named(cases, 'fail')).toEqual([]);
    expect(cases[0]).toMatchObject({ name: 'good API key', status: 200 });
    expect(cases.find(({ name }) => name === 'good token, signature cut short')).toMatchObject({
      result: 'skipped',
      reason: 'needs --token',
    });
  });
});

describe('an API with a mistake', () => {
  let issuer: Issuer;
  let token: string;
  beforeAll(async () => {
    issuer = await startIssuer();
    token = await issuer.token();
  });
  afterAll(() => issuer.stop());

  const keys = () => createLocalJWKSet({ keys: issuer.keys } as JSONWebKeySet);
  const strict = () => ({ issuer: issuer.url, audience: AUDIENCE, typ: 'at+jwt', algorithms: ['ES256'] });

  async function verifies(text: string): Promise<boolean> {
    return jwtVerify(text, keys(), strict()).then(
      () => true,
      () => false,
    );
  }

  /** The one credential of a request that is well formed. */
  function credentialOf({ rawHeaders, headers, url }: IncomingMessage): string {
    if (rawHeaders.filter((name) => name.toLowerCase() === 'authorization').length > 1) return '';
    if (url!.includes('access_token=')) return '';
    return /^bearer ([^\s,]+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
  }

  const asStatus = async (accepted: boolean | Promise<boolean>) => ((await accepted) ? 200 : 401);
  const sound = (request: IncomingMessage) => asStatus(verifies(credentialOf(request)));
  /** Sound, but it takes what `mistake` says as well. */
  const or =
    (mistake: (text: string, header: Record<string, unknown>) => boolean | Promise<boolean>) =>
    async (request: IncomingMessage): Promise<number> => {
      const text = credentialOf(request);
      if (await verifies(text)) return 200;
      const taken = await Promise.resolve()
        .then(() => mistake(text, decodeProtectedHeader(text) as Record<string, unknown>))
        .catch(() => false);
      return taken ? 200 : 401;
    };

  function signedWith(text: string, secret: string | Buffer): boolean {
    const [header, payload, signature] = text.split('.');
    return createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url') === signature;
  }

  /** Takes a token whose key is at `url`. */
  async function keysAt(url: string, text: string): Promise<boolean> {
    const key = createLocalJWKSet((await (await fetch(url)).json()) as JSONWebKeySet);
    return jwtVerify(text, key).then(() => true);
  }

  async function failures(answer: (request: IncomingMessage) => Status, ...args: string[]): Promise<string[]> {
    const api = await startApi(answer);
    const { cases } = await check(api.url, '--issuer', issuer.url, '--token', token, ...args);
    await api.stop();
    return named(cases, 'fail');
  }

  // Each form of the public key is taken once, so that no two cases can be the same.
  const seen = new Set<number>();
  const refused: [string, (request: IncomingMessage) => Status, string[]][] = [
    ['none', (request) => sound(request), []],
    [
      'it takes alg none',
      or((_, { alg }) => String(alg).toLowerCase() === 'none'),
      ['alg none', 'alg none with a signature', 'alg None', 'alg NONE', 'alg nOnE'],
    ],
    [
      'it takes HS256 with the public key',
      or(async (text, { alg, kid }) => {
        const pem = await exportSPKI((await importJWK(issuer.key.jwk, 'ES256', { extractable: true })) as CryptoKey);
        const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
        const forms = [pem, `${pem.trimEnd()}\n`, der, JSON.stringify(issuer.key.jwk)];
        return (
          alg === 'HS256' &&
          kid === 'first' &&
          forms.some((secret, form) => signedWith(text, secret) && !seen.has(form) && seen.add(form))
        );
      }),
      [
        'HS256 with the public key as PEM',
        'HS256 with the public key as PEM without its last line end',
        'HS256 with the public key as DER',
        'HS256 with the public key as JWK',
      ],
    ],
    [
      'it verifies with the jwk of the token',
      or(async (text, { jwk }) => jwtVerify(text, await importJWK(jwk as never)).then(() => true)),
      ['key of ours in the header (jwk)'],
    ],
    ['it follows jku', or((text, { jku }) => keysAt(jku as string, text)), ['keys at a URL of ours (jku)']],
    [
      'it fetches x5u and then refuses',
      or(async (_, { x5u }) => (await fetch(x5u as string)).status === 0),
      ['certificate at a URL of ours (x5u)'],
    ],
    [
      'it trusts any issuer',
      or(async (text) => {
        const metadata = await fetch(`${decodeJwt(text).iss}/.well-known/openid-configuration`);
        return keysAt(((await metadata.json()) as { jwks_uri: string }).jwks_uri, text);
      }),
      ['forged: another issuer, which is ours'],
    ],
    [
      'it reads the file kid names',
      or((text, { kid }) => signedWith(text, readFileSync(join('/keys', String(kid)), 'utf8'))),
      ['kid that is a path to an empty file'],
    ],
    [
      'it takes ?access_token=',
      ({ url, headers }) => {
        const text = new URL(url!, 'http://api').searchParams.get('access_token');
        return text ? asStatus(verifies(text)) : sound({ url, headers, rawHeaders: [] } as unknown as IncomingMessage);
      },
      [
        'two Authorization headers, good and bad',
        'good credential in the query only',
        'good credential in the header and the query',
      ],
    ],
    [
      'it takes cookies',
      ({ headers, ...rest }) => {
        const text = /access_token=([^;]+)/.exec(headers.cookie ?? '')?.[1];
        return text ? asStatus(verifies(text)) : sound({ headers, ...rest } as IncomingMessage);
      },
      ['good credential in a cookie'],
    ],
    [
      'it wants Bearer in that case',
      (request) => (/^Bearer/.test(request.headers.authorization ?? '') ? sound(request) : 401),
      ['good credential as lower-case bearer'],
    ],
    [
      'it breaks on what is no JWT',
      async (request) => {
        const text = credentialOf(request);
        if (text) decodeProtectedHeader(text);
        return sound(request);
      },
      [
        ...['garbage', 'garbage that is not base64', 'good token, two parts only'],
        ...['API key of a wrong shape', 'API key with a wrong checksum'],
        ...['API key that nobody was given', 'team key that nobody was given', 'client secret instead of a key'],
      ],
    ],
    [
      'it sends people to a login page',
      (request) => (request.headers.authorization ? sound(request) : 302),
      [
        'no credential',
        'good credential in the query only',
        'good credential in a cookie',
        'good credential in a form',
      ],
    ],
  ];
  test.each(refused)('is found by the case made for it: %s', async (_, answer, expected) => {
    expect(await failures(answer)).toEqual(expected);
  });

  test('is found when it checks neither exp nor aud nor typ, by tokens of the issuer', async () => {
    const answer = (request: IncomingMessage) =>
      asStatus(
        jwtVerify(credentialOf(request), keys(), { clockTolerance: 1e9 }).then(
          () => true,
          () => false,
        ),
      );
    const now = Math.floor(Date.now() / 1000);
    const issued = {
      'other-audience-token': await issuer.token({ aud: 'https://other.example.com' }),
      'expired-token': await issuer.token({ iat: now - 900, exp: now - 300 }),
      'id-token': await issuer.token({ nonce: 'n' }, { typ: 'JWT' }),
    };
    const args = Object.entries(issued).flatMap(([name, value]) => [`--${name}`, value]);
    const mistakes = ["issuer's token for another API", "issuer's token that expired", "issuer's ID token"];
    expect(await failures(answer, ...args)).toEqual(mistakes);
    expect(await failures(sound, ...args)).toEqual([]);
  });

  test('fails every case when it takes everything', async () => {
    const api = await startApi(() => 200);
    const { cases } = await check(api.url, '--issuer', issuer.url, '--token', token);
    await api.stop();
    const right = ['good token', 'good credential as lower-case bearer', 'good token, at the end'];
    // Node itself refuses that one.
    right.splice(2, 0, 'forged: a token of 20 KB');
    expect(named(cases, 'pass')).toEqual(right);
    expect(named(cases, 'fail').length).toBeGreaterThanOrEqual(55);
  });

  test('fails when it refuses or breaks on everything, and nothing counts as passed', async () => {
    for (const status of [401, 500]) {
      const api = await startApi(() => status);
      const { cases } = await check(api.url, '--issuer', issuer.url, '--token', token);
      await api.stop();
      expect([named(cases, 'pass'), named(cases, 'fail'), api.requests()]).toEqual([[], ['good token'], 1]);
    }
  });

  test('fails when it locks the caller out on the way, and when it goes away', async () => {
    const last: Record<string, string[]> = {};
    for (const status of [403, 0]) {
      let left = 10;
      const api = await startApi((request) => (left-- > 0 ? sound(request) : status));
      const { cases } = await check(api.url, '--issuer', issuer.url, '--token', token);
      await api.stop();
      last[status] = named(cases, 'fail').slice(-3);
      if (status === 0) expect(cases.at(-1)!.reason).toBe('the API does not answer any more');
    }
    expect(last[403]).toEqual(['good token, at the end']);
    expect(last[0]).toHaveLength(3);
  });

  test('fails when a refusal does not say how to authenticate', async () => {
    const api = await startApi(sound, 'Basic realm="Bearer"');
    const { cases } = await check(api.url, '--issuer', issuer.url, '--token', token);
    await api.stop();
    expect(named(cases, 'fail')).toEqual(['no credential']);
  });

  test('is told in text with the reason, and the exit code is 1', async () => {
    const api = await startApi(or((_, { alg }) => alg === 'none'));
    const args = ['--issuer', issuer.url, '--token', token];
    const { code, out, err } = await latchkey('check-api', api.url, ...args);
    await api.stop();
    expect(out).toMatch(
      /^FAIL +200 +alg none: accepted: takes tokens that nobody signed \(RFC 9068 §4, RFC 8725 §3.1\)$/m,
    );
    expect([code, err]).toEqual([1, expect.stringMatching(/^error: 2 of \d\d cases failed\.\n$/)]);
  });
});

describe('wrong usage', () => {
  const url = 'http://127.0.0.1:9/';
  const issuer = ['--issuer', 'http://127.0.0.1:9'];
  const secret = 'very secret';
  test.each([
    ['no issuer', [url, '--key', 'k']],
    ['no credential', [url, ...issuer]],
    ['a URL that is none', ['things', ...issuer, '--key', 'k']],
    ['a URL with a password', ['http://u:very@127.0.0.1:9/', ...issuer, '--key', 'k']],
    ['a token with white space', [url, ...issuer, '--token', secret]],
    ['a file that is not there', [url, ...issuer, '--token', '@/nowhere/secret']],
    ['a header without a name', [url, ...issuer, '--key', 'k', '--header', secret]],
    ['a header of its own purpose', [url, ...issuer, '--key', 'k', '--header', `Authorization: ${secret}`]],
    ['a client without its secret', [url, ...issuer, '--client-id', 'svc_x']],
    ['two ways to a token', [url, ...issuer, '--client-id', 'x', '--client-secret-stdin', '--token', 'x']],
  ])('%s ends with 2 and repeats no secret', async (_, args) => {
    const { code, out, err } = await latchkey('check-api', ...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^error: /);
    expect(err).not.toMatch(/very/);
  });

  test('an issuer that does not answer, or is another one, is a failure', async () => {
    const away = await latchkey('check-api', url, ...issuer, '--key', 'k');
    expect(away).toMatchObject({
      code: 1,
      err: expect.stringContaining('No usable answer from http://127.0.0.1:9/.well'),
    });
    const real = await startIssuer();
    const other = await latchkey('check-api', url, '--issuer', `${real.url}/`, '--key', 'k');
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining('exactly as it does itself') });
    const opaque = await latchkey('check-api', url, '--issuer', real.url, '--token', 'opaque');
    expect(opaque).toMatchObject({ code: 1, err: expect.stringContaining('is no JWT') });
    await real.stop();
  });
});
