/**
 * The environment as one typed value. A leaf: the only file that reads `process.env`; every problem is reported at
 * once, with the variable's name. `VARIABLES` is also what `--help` and the README print.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { AppError, type FieldViolation } from './errors.ts';

/** Lines `name=secret`; a secret is text, or `hex:…` or `base64:…` for bytes. Undefined for what is not so. */
function pepperLines(value: string): Map<string, Buffer> | undefined {
  const peppers = new Map<string, Buffer>();
  for (const line of value.split(/\r?\n/)) {
    if (line.trim() === '') continue;
    const [, name, encoding, text] = /^\s*([A-Za-z0-9._-]{1,64})=(?:(hex|base64):)?(.+)$/.exec(line) ?? [];
    if (name === undefined || text === undefined || peppers.has(name)) return undefined;
    const secret = Buffer.from(text, (encoding ?? 'utf8') as BufferEncoding);
    if (secret.length === 0 || (encoding === 'hex' && secret.length * 2 !== text.length)) return undefined;
    peppers.set(name, secret);
  }
  return peppers;
}

const peppers = z.string().transform((value, context) => {
  const lines = pepperLines(value);
  if (lines !== undefined) return lines;
  context.addIssue({
    code: 'custom',
    message: 'must be lines name=secret, each name once; write hex: or base64: before a secret that is not text',
  });
  return z.NEVER;
});

interface Variable {
  default?: string;
  /** A secret may come from the file that `<NAME>_FILE` names. */
  secret?: boolean;
  description: string;
  schema: z.ZodType;
}

const seconds = z
  .string()
  .regex(/^[1-9][0-9]{0,8}$/, 'must be a whole number of seconds, at least 1')
  .transform(Number);

const origin = z
  .string()
  .refine((value) => URL.canParse(value) && new URL(value).origin === value && /^https?:/.test(value), {
    message: 'must be an origin such as https://auth.example.com: http or https, no path, no trailing slash',
  });

const databaseUrl = z
  .string()
  .refine((value) => URL.canParse(value) && /^postgres(ql)?:$/.test(new URL(value).protocol), {
    message: 'must be a URL such as postgres://user:password@host:5432/latchkey',
  });

const secretList = z
  .string()
  .transform((value) => value.split(',').map((one) => one.trim()))
  .refine((list) => list.every((one) => one.length >= 32), {
    message: 'must be at least 32 characters; several, separated by commas, newest first, while you rotate',
  });

const VARIABLES = {
  ISSUER: {
    default: 'http://localhost:$PORT',
    description: 'The origin users and apps reach this server at',
    schema: origin,
  },
  HOST: { default: '127.0.0.1', description: 'The address to listen on', schema: z.string() },
  PORT: {
    default: '3000',
    description: 'The port to listen on',
    schema: z
      .string()
      .regex(/^[0-9]{1,5}$/, 'must be a port number, 0 to 65535')
      .transform(Number)
      .refine((port) => port <= 65_535, 'must be a port number, 0 to 65535'),
  },
  DATABASE_URL: {
    secret: true,
    description: 'A PostgreSQL (14 or later) to use instead of the embedded one',
    schema: databaseUrl,
  },
  DATABASE_POOL_SIZE: {
    default: '10',
    description: 'Most connections to the database at once',
    schema: z
      .string()
      .regex(/^[1-9][0-9]{0,2}$/, 'must be a whole number, 1 to 999')
      .transform(Number),
  },
  DATA_DIR: {
    default: './data',
    description: 'Where the embedded database and its secret are kept',
    schema: z.string(),
  },
  SECRET: {
    secret: true,
    description:
      'The instance secret: seals signing keys, signs cookies and page tokens. Required with DATABASE_URL, otherwise made and kept in DATA_DIR. A list (newest first) rotates it',
    schema: secretList,
  },
  IMPORT_PEPPERS: {
    secret: true,
    description:
      'The secrets of imported hmac-sha256 keys, one line name=secret each (hex: or base64: before one that is not text)',
    schema: peppers,
  },
  TRUST_PROXY: {
    default: '0',
    description: 'How many reverse proxies stand in front and set X-Forwarded-For',
    schema: z
      .string()
      .regex(/^[0-9]$/, 'must be a number of proxies, 0 to 9')
      .transform(Number),
  },
  LOG_LEVEL: {
    default: 'info',
    description: 'fatal, error, warn, info, debug or silent',
    schema: z.enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'silent'],
      'must be one of fatal, error, warn, info, debug, silent',
    ),
  },
  BOOTSTRAP_ADMIN_EMAIL: {
    description: 'With the password: makes the first administrator without the setup link',
    schema: z.email('must be an email address'),
  },
  BOOTSTRAP_ADMIN_PASSWORD: {
    secret: true,
    description: 'Password of that administrator',
    schema: z.string().min(8, 'must have at least 8 characters'),
  },
  ACCESS_TOKEN_ALG: {
    default: 'ES256',
    description: 'How access tokens are signed: ES256, RS256 or EdDSA',
    schema: z.enum(['ES256', 'RS256', 'EdDSA'], 'must be ES256, RS256 or EdDSA'),
  },
  ACCESS_TOKEN_TTL: {
    default: '600',
    description: 'Life of an access token, seconds, at most a day; the same on all instances',
    schema: seconds.refine(
      (value) => value <= 86_400,
      'must be at most 86400 seconds (a day): what was ended is remembered that long',
    ),
  },
  ID_TOKEN_TTL: { default: '3600', description: 'Life of an ID token, seconds', schema: seconds },
  AUTHORIZATION_CODE_TTL: { default: '60', description: 'Life of an authorization code, seconds', schema: seconds },
  REFRESH_TOKEN_TTL: { default: '2592000', description: 'Life of an unused refresh token, seconds', schema: seconds },
  GRANT_TTL: {
    default: '31536000',
    description: 'Life of a consent, and of all its refresh tokens together, seconds',
    schema: seconds,
  },
  INTERACTION_TTL: { default: '1800', description: 'Time to log in and consent, seconds', schema: seconds },
  SESSION_IDLE_TTL: {
    default: '86400',
    description: 'A browser session unused for this long ends, seconds',
    schema: seconds,
  },
  SESSION_TTL: {
    default: '604800',
    description: 'A browser session ends this long after the login, seconds',
    schema: seconds,
  },
  REUSE_GRACE: {
    default: '10',
    description:
      'A code or refresh token sent again within this time only fails; later it ends everything issued with it, seconds',
    schema: z
      .string()
      .regex(/^[0-9]{1,3}$/, 'must be a whole number of seconds, 0 to 999')
      .transform(Number),
  },
} satisfies Record<string, Variable>;

type Name = keyof typeof VARIABLES;
type Parsed = { [K in Name]: z.output<(typeof VARIABLES)[K]['schema']> | undefined };

/** Lifetimes, all in seconds. */
export interface Lifetimes {
  accessToken: number;
  idToken: number;
  authorizationCode: number;
  refreshToken: number;
  grant: number;
  interaction: number;
  sessionIdle: number;
  session: number;
  reuseGrace: number;
}

export interface Config {
  issuer: string;
  host: string;
  port: number;
  /** Undefined: the embedded PostgreSQL in `dataDir`. */
  databaseUrl: string | undefined;
  databasePoolSize: number;
  /** Absolute path. */
  dataDir: string;
  /** Newest first; undefined: read from, or made in, `dataDir`. */
  secrets: string[] | undefined;
  /** Secrets of imported keys by name. */
  importPeppers: ReadonlyMap<string, Buffer>;
  trustProxy: number;
  logLevel: string;
  bootstrapAdmin: { email: string; password: string } | undefined;
  accessTokenAlg: 'ES256' | 'RS256' | 'EdDSA';
  lifetimes: Lifetimes;
}

/**
 * Reads the configuration.
 * @param env variables by name (default `process.env`); an empty value counts as absent
 * @throws AppError `invalid_argument` with one field violation per problem
 */
export function readConfig(env: Record<string, string | undefined> = process.env): Config {
  const problems: FieldViolation[] = [];
  const parsed = Object.fromEntries(
    Object.entries(VARIABLES).map(([name, variable]) => [name, readVariable(name, variable, env, problems)]),
  ) as Parsed;
  if (
    parsed.DATABASE_URL !== undefined &&
    parsed.SECRET === undefined &&
    !problems.some((one) => one.field === 'SECRET')
  ) {
    problems.push({
      field: 'SECRET',
      description:
        'is required with DATABASE_URL (every instance needs the same one). Make one: openssl rand -base64 48',
    });
  }
  const { BOOTSTRAP_ADMIN_EMAIL: email, BOOTSTRAP_ADMIN_PASSWORD: password } = parsed;
  if (
    (email === undefined) !== (password === undefined) &&
    !problems.some((one) => one.field.startsWith('BOOTSTRAP_'))
  ) {
    problems.push({
      field: 'BOOTSTRAP_ADMIN_EMAIL',
      description: 'and BOOTSTRAP_ADMIN_PASSWORD go together: set both or neither',
    });
  }
  if (problems.length > 0) {
    const lines = problems.map(({ field, description }) => `  ${field} ${description}`);
    throw new AppError(
      'invalid_argument',
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines.join('\n')}`,
      { fields: problems },
    );
  }
  return {
    issuer: parsed.ISSUER!,
    host: parsed.HOST!,
    port: parsed.PORT!,
    databaseUrl: parsed.DATABASE_URL,
    databasePoolSize: parsed.DATABASE_POOL_SIZE!,
    dataDir: resolve(parsed.DATA_DIR!),
    secrets: parsed.SECRET,
    importPeppers: parsed.IMPORT_PEPPERS ?? new Map(),
    trustProxy: parsed.TRUST_PROXY!,
    logLevel: parsed.LOG_LEVEL!,
    bootstrapAdmin: email !== undefined && password !== undefined ? { email, password } : undefined,
    accessTokenAlg: parsed.ACCESS_TOKEN_ALG!,
    lifetimes: {
      accessToken: parsed.ACCESS_TOKEN_TTL!,
      idToken: parsed.ID_TOKEN_TTL!,
      authorizationCode: parsed.AUTHORIZATION_CODE_TTL!,
      refreshToken: parsed.REFRESH_TOKEN_TTL!,
      grant: parsed.GRANT_TTL!,
      interaction: parsed.INTERACTION_TTL!,
      sessionIdle: parsed.SESSION_IDLE_TTL!,
      session: parsed.SESSION_TTL!,
      reuseGrace: parsed.REUSE_GRACE!,
    },
  };
}

/** The variables: name, default, meaning. */
export function describeVariables(): { name: string; default: string; description: string }[] {
  return Object.entries(VARIABLES as Record<string, Variable>).map(([name, variable]) => ({
    name: variable.secret ? `${name}, ${name}_FILE` : name,
    default: variable.default ?? '',
    description: variable.description,
  }));
}

/** The variables as lines of help, in two columns. */
export function variablesHelp(): string {
  const variables = describeVariables();
  const width = Math.max(...variables.map(({ name }) => name.length));
  return variables
    .map(
      ({ name, default: preset, description }) =>
        `  ${name.padEnd(width)}  ${description}${preset && ` (default ${preset})`}\n`,
    )
    .join('');
}

function readVariable(
  name: string,
  variable: Variable,
  env: Record<string, string | undefined>,
  problems: FieldViolation[],
): unknown {
  const raw = readRaw(name, variable, env, problems) ?? presetOf(variable, env);
  if (raw === undefined) return undefined;
  const result = variable.schema.safeParse(raw);
  if (result.success) return result.data;
  problems.push({ field: name, description: result.error.issues[0]?.message ?? 'is not valid' });
  return undefined;
}

/** The default issuer follows the port; a bad port is a problem of its own, and not the issuer's too. */
function presetOf({ default: preset }: Variable, env: Record<string, string | undefined>): string | undefined {
  if (!preset?.includes('$PORT')) return preset;
  const port = VARIABLES.PORT.schema.safeParse(env.PORT || VARIABLES.PORT.default);
  return new URL(preset.replace('$PORT', port.success ? String(port.data) : VARIABLES.PORT.default)).origin;
}

function readRaw(
  name: string,
  variable: Variable,
  env: Record<string, string | undefined>,
  problems: FieldViolation[],
): string | undefined {
  const value = env[name] || undefined;
  const file = variable.secret ? env[`${name}_FILE`] || undefined : undefined;
  if (file === undefined) return value;
  if (value !== undefined) {
    problems.push({ field: name, description: `and ${name}_FILE are both set: use one` });
    return undefined;
  }
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    problems.push({ field: `${name}_FILE`, description: `names a file that cannot be read: ${file}` });
    return undefined;
  }
}
