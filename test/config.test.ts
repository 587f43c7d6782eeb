import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeVariables, readConfig } from '../src/config.ts';
import { AppError } from '../src/errors.ts';

const SECRET = 'a secret of at least thirty-two characters';
const DATABASE_URL = 'postgres://user:password@db.example.com:5432/latchkey';

function problemsOf(env: Record<string, string>): AppError {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('no problem was found');
}

describe('the configuration', () => {
  test('works with nothing set', () => {
    expect(readConfig({})).toEqual({
      issuer: 'http://localhost:3000',
      host: '127.0.0.1',
      port: 3000,
      databaseUrl: undefined,
      importPeppers: new Map(),
      databasePoolSize: 10,
      dataDir: path.resolve('data'),
      secrets: undefined,
      trustProxy: 0,
      logLevel: 'info',
      bootstrapAdmin: undefined,
      accessTokenAlg: 'ES256',
      lifetimes: {
        accessToken: 600,
        idToken: 3_600,
        authorizationCode: 60,
        refreshToken: 2_592_000,
        grant: 31_536_000,
        interaction: 1_800,
        sessionIdle: 86_400,
        session: 604_800,
        reuseGrace: 10,
      },
    });
  });

  test('takes an empty value for an absent one', () => {
    const empty = Object.fromEntries(describeVariables().map(({ name }) => [name.split(',')[0]!, '']));
    expect(readConfig({ ...empty, SECRET_FILE: '' })).toEqual(readConfig({}));
  });

  test('derives the issuer from the port', () => {
    expect(readConfig({ PORT: '8080' })).toMatchObject({ port: 8080, issuer: 'http://localhost:8080' });
    // An origin does not name the port its scheme implies.
    expect(readConfig({ PORT: '80' })).toMatchObject({ port: 80, issuer: 'http://localhost' });
    expect(readConfig({ PORT: '8080', ISSUER: 'https://auth.example.com' }).issuer).toBe('https://auth.example.com');
  });

  test('reads a list of secrets, newest first', () => {
    expect(readConfig({ SECRET: `${SECRET}, ${SECRET}-older` }).secrets).toEqual([SECRET, `${SECRET}-older`]);
  });

  test('reports every problem at once, by name, without repeating a secret', () => {
    const wrong = {
      ISSUER: 'https://auth.example.com/path',
      PORT: '99999',
      DATABASE_URL: 'mysql://user:hunter2@db/latchkey',
      DATABASE_POOL_SIZE: '0',
      SECRET: 'hunter2',
      TRUST_PROXY: 'yes',
      LOG_LEVEL: 'loud',
      BOOTSTRAP_ADMIN_EMAIL: 'nobody',
      BOOTSTRAP_ADMIN_PASSWORD: 'hunter2',
      ACCESS_TOKEN_ALG: 'HS256',
      ACCESS_TOKEN_TTL: '10m',
      REUSE_GRACE: '-1',
    };
    const error = problemsOf(wrong);
    expect(error.kind).toBe('invalid_argument');
    expect(error.fields.map(({ field }) => field)).toEqual(Object.keys(wrong));
    expect(error.message).toMatch(/^The configuration has 12 problems:\n/);
    expect(error.message.split('\n')).toHaveLength(13);
    expect(error.message).not.toContain('hunter2');
  });

  test.each([
    [
      'ISSUER',
      [
        'auth.example.com',
        'ftp://auth.example.com',
        'https://auth.example.com/',
        'https://a.example?x=1',
        'https://user@a.example',
      ],
    ],
    ['PORT', ['http', '-1', '65536', '3000.5', ' 3000']],
    ['SECRET', ['short', `${SECRET},short`, `${SECRET},`]],
    ['ACCESS_TOKEN_TTL', ['0', '-5', '1e3', '600s', '9999999999']],
  ])('refuses %s %j', (name, values) => {
    for (const value of values) {
      expect(problemsOf({ [name]: value }).fields).toEqual([
        { field: name, description: expect.stringContaining('must be') },
      ]);
    }
  });

  test('wants what belongs together', () => {
    expect(problemsOf({ DATABASE_URL }).fields).toEqual([
      { field: 'SECRET', description: expect.stringContaining('is required with DATABASE_URL') },
    ]);
    expect(readConfig({ DATABASE_URL, SECRET })).toMatchObject({ databaseUrl: DATABASE_URL, secrets: [SECRET] });
    const both = { BOOTSTRAP_ADMIN_EMAIL: 'a@example.com', BOOTSTRAP_ADMIN_PASSWORD: 'long enough' };
    for (const [name, value] of Object.entries(both)) {
      expect(problemsOf({ [name]: value }).message).toContain('set both or neither');
    }
    expect(readConfig(both).bootstrapAdmin).toEqual({ email: 'a@example.com', password: 'long enough' });
  });
});

describe('a secret from a file', () => {
  let folder: string;
  let file: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'latchkey-config-'));
    file = path.join(folder, 'secret');
    await writeFile(file, `${SECRET}\n`);
  });

  afterAll(() => rm(folder, { recursive: true }));

  test('is read without the line end', () => {
    expect(readConfig({ SECRET_FILE: file }).secrets).toEqual([SECRET]);
    const admin = { BOOTSTRAP_ADMIN_EMAIL: 'a@example.com', BOOTSTRAP_ADMIN_PASSWORD_FILE: file };
    expect(readConfig(admin).bootstrapAdmin).toEqual({ email: 'a@example.com', password: SECRET });
  });

  test('is a problem when the file cannot be read, is too short, or the variable is set as well', async () => {
    const short = path.join(folder, 'short');
    await writeFile(short, 'short');
    const missing = path.join(folder, 'missing');
    expect(problemsOf({ SECRET_FILE: missing }).fields).toEqual([
      { field: 'SECRET_FILE', description: `names a file that cannot be read: ${missing}` },
    ]);
    expect(problemsOf({ SECRET_FILE: short }).fields).toMatchObject([{ field: 'SECRET' }]);
    expect(problemsOf({ SECRET_FILE: file, SECRET }).message).toContain('SECRET and SECRET_FILE are both set: use one');
    expect(problemsOf({ DATABASE_URL, SECRET_FILE: missing }).fields.map(({ field }) => field)).toContain(
      'SECRET_FILE',
    );
  });

  test('is offered for every secret, and for nothing else', () => {
    const withFile = describeVariables().filter(({ name }) => name.includes('_FILE'));
    expect(withFile.map(({ name }) => name.split(',')[0])).toEqual([
      'DATABASE_URL',
      'SECRET',
      'IMPORT_PEPPERS',
      'BOOTSTRAP_ADMIN_PASSWORD',
    ]);
    expect(readConfig({ PORT_FILE: '/nowhere' })).toEqual(readConfig({}));
  });
});

test('the secrets of imported keys are lines of names and secrets, as text or bytes', () => {
  const { importPeppers } = readConfig({ IMPORT_PEPPERS: 'old=a=b, c\r\n\nraw=hex:00ff\nmore=base64:AP8=\n' });
  expect([...importPeppers]).toEqual([
    ['old', Buffer.from('a=b, c')],
    ['raw', Buffer.from([0, 255])],
    ['more', Buffer.from([0, 255])],
  ]);
  for (const IMPORT_PEPPERS of ['nothing', 'a=', '=x', 'a b=x', 'a=1\na=2', 'a=hex:0', 'a=hex:xyz']) {
    const { fields, message } = problemsOf({ IMPORT_PEPPERS });
    expect(fields).toEqual([{ field: 'IMPORT_PEPPERS', description: expect.stringContaining('name=secret') }]);
    expect(message).not.toContain(IMPORT_PEPPERS);
  }
});
