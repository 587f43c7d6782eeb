/**
 * `POST /oauth2/usage`: how many requests a resource server admitted by which credentials, so that whoever gives up keys
 * sees who still calls with them. It comes from the published middleware, at most once a minute, and is only counted:
 * nothing depends on it.
 */
import type { IncomingMessage } from 'node:http';
import type Provider from 'oidc-provider';
import type { Client, KoaContextWithOIDC } from 'oidc-provider';
import type { CredentialUses, PresentedCredential } from '../domain/credential-uses.ts';
import { createKeyGuesses } from '../domain/key-guesses.ts';
import { ROOT_TEAM_ID } from '../domain/permissions.ts';
import type { ResourceServers } from '../domain/resource-servers.ts';
import { createThrottle } from '../domain/throttle.ts';
import { asAppError, KINDS } from '../errors.ts';
import { registrationFor } from './client-metadata.ts';

export const USAGE_PATH = '/oauth2/usage';

/** Limits of one report. */
const MOST_BYTES = 128 * 1024;
const MOST_ROWS = 500;
/** More than one process can answer in a minute. */
const LARGEST_COUNT = 2_000_000;
const LONGEST_ID = 100;
/** Reports a minute: a client may be many processes, and what was counted many reports. */
const WINDOW_SECONDS = 60;
const MOST_OF_CLIENT = 300;

const CREDENTIALS: unknown[] = ['personal_key', 'team_key', 'access_token'];

export interface UsageOptions {
  credentialUses: Pick<CredentialUses, 'report'>;
  resourceServers: Pick<ResourceServers, 'listOfClient'>;
  addressOf: (req: IncomingMessage) => string | undefined;
  onError: (error: unknown, req: IncomingMessage) => void;
}

type Report = (PresentedCredential & { count: number })[];

/** What keeps a report from being counted, in the words of RFC 6749 §5.2. */
class Refused extends Error {
  readonly status: number;
  readonly error: string;

  constructor(status: number, error: string, description: string) {
    super(description);
    this.status = status;
    this.error = error;
  }
}

/** Keeps count across rebuilt providers: make it once. */
export function createUsageEndpoint(options: UsageOptions) {
  const reports = createThrottle({ windowMs: WINDOW_SECONDS * 1000 });
  const guesses = createKeyGuesses();

  /** The client that proves itself by HTTP Basic (RFC 6749 §2.3.1), as the middleware does when it introspects. */
  async function authenticated(ctx: KoaContextWithOIDC, provider: Provider): Promise<Client> {
    const [id, secret] = credentialsFrom(ctx.get('authorization'));
    // Only wrong credentials count, so that strangers in a network do not silence the resource servers there.
    const look = () => findClient(provider, id!, secret!);
    const client = id && secret && (await guesses.check(`${id}:${secret}`, options.addressOf(ctx.req), look));
    if (!client) throw new Refused(401, 'invalid_client', 'client authentication failed');
    return client;
  }

  async function take(ctx: KoaContextWithOIDC, provider: Provider): Promise<void> {
    const client = await authenticated(ctx, provider);
    if (reports.take(client.clientId, MOST_OF_CLIENT) !== 'allowed') {
      throw new Refused(429, 'slow_down', 'one report a minute is enough for each process');
    }
    const scope = await scopeOf(client, options.resourceServers);
    if (!ctx.is('json')) throw new Refused(415, 'invalid_request', 'the body must be application/json');
    await options.credentialUses.report(reportFrom(await bodyOf(ctx.req)), scope);
  }

  /** A middleware around the engine's own, of `provider`. */
  return (provider: Provider) =>
    async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
      if (ctx.path !== USAGE_PATH || ctx.method !== 'POST') return next();
      ctx.set('Cache-Control', 'no-store');
      try {
        await take(ctx, provider);
        ctx.status = 204;
      } catch (error) {
        const refused = error instanceof Refused ? error : unexpected(error);
        refuse(ctx, refused, provider.issuer);
        if (refused.status >= 500) options.onError(error, ctx.req);
      }
    };

  function refuse(ctx: KoaContextWithOIDC, { status, error, message }: Refused, issuer: string): void {
    ctx.status = status;
    if (status === 401) ctx.set('WWW-Authenticate', `Basic realm="${issuer}"`);
    if (status === 429) ctx.set('Retry-After', String(WINDOW_SECONDS));
    if (status === 503) ctx.set('Retry-After', '5');
    // What is left of the body is not read.
    if (status === 413) ctx.set('Connection', 'close');
    ctx.body = { error, error_description: message };
  }
}

async function findClient(provider: Provider, id: string, secret: string): Promise<Client | undefined> {
  const client = await provider.Client.find(id);
  const isKnown = client?.clientAuthMethod === 'client_secret_basic' && (await client.compareClientSecret(secret));
  return isKnown ? client : undefined;
}

function credentialsFrom(authorization: string): [id: string, secret: string] | [] {
  const [, encoded] = /^basic +([a-z0-9+/]+={0,2})$/i.exec(authorization) ?? [];
  const pair = Buffer.from(encoded ?? '', 'base64').toString();
  const colon = pair.indexOf(':');
  if (colon < 1) return [];
  try {
    const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));
    return [decode(pair.slice(0, colon)), decode(pair.slice(colon + 1))];
  } catch {
    return [];
  }
}

/** A client that is a resource server tells of every team; one that may introspect, of the teams it may ask about. */
async function scopeOf(client: Client, servers: UsageOptions['resourceServers']): Promise<{ teamId?: string }> {
  if ((await servers.listOfClient(client.clientId)).length > 0) return {};
  const registration = registrationFor(client);
  if (registration.kind === 'client' && registration.record.allowedScopes.includes('credentials:introspect')) {
    return registration.record.teamId === ROOT_TEAM_ID ? {} : { teamId: registration.record.teamId };
  }
  throw new Refused(403, 'unauthorized_client', 'this client is no resource server');
}

async function bodyOf(req: IncomingMessage): Promise<unknown> {
  const tooLarge = new Refused(413, 'invalid_request', `the body must have at most ${MOST_BYTES} bytes`);
  if (Number(req.headers['content-length'] ?? 0) > MOST_BYTES) throw tooLarge;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MOST_BYTES) throw tooLarge;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    throw new Refused(400, 'invalid_request', 'the body is not JSON');
  }
}

function reportFrom(body: unknown): Report {
  const rows = (body as { requests?: unknown } | null)?.requests;
  if (!Array.isArray(rows) || rows.length > MOST_ROWS) {
    throw new Refused(400, 'invalid_request', `requests must be a list of at most ${MOST_ROWS}`);
  }
  return rows.map((row: unknown) => {
    const { team_id: teamId, credential, id, count } = (row ?? {}) as Record<string, unknown>;
    const isSound =
      [teamId, id].every((one) => typeof one === 'string' && one.length <= LONGEST_ID) &&
      CREDENTIALS.includes(credential) &&
      Number.isInteger(count) &&
      Number(count) > 0 &&
      Number(count) <= LARGEST_COUNT;
    if (!isSound) throw new Refused(400, 'invalid_request', 'requests has a row that is not as it should be');
    return { teamId, credential, id, count } as Report[number];
  });
}

function unexpected(error: unknown): Refused {
  // What the engine's client lookup throws has the status of its cause.
  const status = (error as { status?: unknown }).status === 503 ? 503 : asAppError(error).status;
  if (status === KINDS.resource_exhausted.status) {
    return new Refused(status, 'slow_down', 'too many wrong credentials came from this network');
  }
  if (status === 503) return new Refused(503, 'temporarily_unavailable', 'try again in a few seconds');
  return new Refused(500, 'server_error', 'something went wrong on our side');
}
