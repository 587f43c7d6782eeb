import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

/** A key pair of the issuer, with its public half as published. */
export interface IssuerKey {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  jwk: JWK;
}

export async function createKey(kid: string, alg = 'ES256'): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export interface Issuer {
  url: string;
  key: IssuerKey;
  /** The members of the published key set. */
  keys: unknown[];
  cacheControl: string | undefined;
  /** A status answered in place of the real answer, which then is under `/moved`; 0 cuts the connection. */
  trouble: number | undefined;
  /** Changes to the published metadata. */
  metadata: Record<string, unknown>;
  /** Answers of the introspection endpoint by key. */
  apiKeys: Map<string, Record<string, unknown>>;
  /** Headers of the introspection endpoint's answers by key. */
  notices: Map<string, Record<string, string>>;
  /** What is revoked, like `client:svc_reports`, and the last second of issue that is; undefined: there is no feed. */
  revoked: Record<string, number> | undefined;
  /** What is otherwise with the feed's answers. */
  feed: FeedTrouble;
  /** Milliseconds since 1970, by which the feed is signed. */
  clock: () => number;
  requests: { path: string; authorization: string | undefined; headers: IncomingHttpHeaders; body: string }[];
  /** How often `path` was asked for. */
  count(path: string): number;
  /** A signed access token, good unless changed; a member set to undefined is left out. */
  token(claims?: JWTPayload, header?: Record<string, unknown>, signer?: IssuerKey): Promise<string>;
  stop(): Promise<unknown>;
}

export interface FeedTrouble {
  /** Changes to what is signed. */
  claims?: JWTPayload;
  header?: Record<string, unknown>;
  signer?: IssuerKey;
  /** A status in place of the real one; 0 cuts the connection in the middle of the answer. */
  status?: number;
  body?: string;
  /** Before the answer. */
  wait?: Promise<unknown>;
}

/** Some other party's authorization server: metadata, keys and introspection over HTTP, with every request recorded. */
export async function startIssuer(): Promise<Issuer> {
  const server = createServer((req, res) => void answer(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const key = await createKey('first');
  const issuer: Issuer = {
    url,
    key,
    keys: [key.jwk],
    cacheControl: undefined,
    trouble: undefined,
    metadata: {},
    apiKeys: new Map(),
    notices: new Map(),
    revoked: undefined,
    feed: {},
    clock: Date.now,
    requests: [],
    count: (path) => issuer.requests.filter((request) => request.path === path).length,
    token: (claims = {}, header = {}, signer = key) => signToken(url, signer, claims, header),
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
  return issuer;

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url as string;
    const body = await readBody(req);
    issuer.requests.push({ path, authorization: req.headers.authorization, headers: req.headers, body });
    if (issuer.trouble === 0) return void req.socket.destroy();
    const moved = path.startsWith('/moved');
    if (issuer.trouble && !moved) return void res.writeHead(issuer.trouble, { location: `/moved${path}` }).end();
    if (path === '/oauth2/revocations') return answerFeed(req, res);
    if (path === '/oauth2/usage') return void res.writeHead(204).end();
    const token = new URLSearchParams(body).get('token') ?? '';
    const json = document(path.replace('/moved', ''), token);
    const caching = {
      ...(issuer.cacheControl && { 'cache-control': issuer.cacheControl }),
      ...issuer.notices.get(token),
    };
    res.writeHead(json ? 200 : 404, { 'content-type': 'application/json', ...caching }).end(JSON.stringify(json ?? {}));
  }

  async function answerFeed(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { claims, header, signer = issuer.key, status, wait } = issuer.feed;
    await wait;
    const iat = Math.floor(issuer.clock() / 1000);
    const revocations = Object.fromEntries(
      Object.entries(issuer.revoked ?? {}).map(([word, before]) => [
        createHash('sha256').update(word).digest('base64url').slice(0, 22),
        before,
      ]),
    );
    const etag = `W/"${JSON.stringify(revocations).length}-${Math.floor(iat / 20)}"`;
    if (status) return void res.writeHead(status, { etag }).end();
    if (req.headers['if-none-match'] === etag && !claims) return void res.writeHead(304, { etag }).end();
    const text = await new SignJWT({ iss: url, iat, exp: iat + 60, revocations, ...claims })
      .setProtectedHeader({ alg: signer.alg, kid: signer.kid, typ: 'revocations+jwt', ...header })
      .sign(signer.privateKey);
    const body = issuer.feed.body ?? text;
    res.writeHead(200, { etag, 'content-type': 'application/revocations+jwt', 'content-length': body.length });
    if (status === undefined) return void res.end(body);
    res.write(body.slice(0, 50), () => res.destroy());
  }

  function document(path: string, token: string): object | undefined {
    if (path === '/jwks') return { keys: issuer.keys };
    if (path === '/oauth2/introspect') return issuer.apiKeys.get(token) ?? { active: false };
    if (path !== '/.well-known/oauth-authorization-server') return undefined;
    const endpoints = { jwks_uri: `${url}/jwks`, introspection_endpoint: `${url}/oauth2/introspect` };
    const feed = issuer.revoked && { revocation_feed_endpoint: `${url}/oauth2/revocations` };
    return { issuer: url, ...endpoints, ...feed, ...issuer.metadata };
  }
}

export const AUDIENCE = 'https://api.example.com';
export const TEAM = 'd2f1a6c0-6a3e-4d5b-9d5a-0c1f2f6f7a11';

/** A good access token's claims (RFC 9068 §2.2) unless told otherwise; a claim set to undefined is left out. */
export function goodClaims(issuer: string, changes: JWTPayload = {}): JWTPayload {
  const now = Math.floor(Date.now() / 1000);
  const times = { iat: now, exp: now + 600 };
  const who = { sub: 'svc_reports', client_id: 'svc_reports', team_id: TEAM, scope: 'providers:read' };
  return { iss: issuer, aud: AUDIENCE, jti: randomUUID(), ...who, ...times, ...changes };
}

export function signToken(issuer: string, key: IssuerKey, claims: JWTPayload, header: Record<string, unknown>) {
  return new SignJWT(goodClaims(issuer, claims))
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
    .sign(key.privateKey);
}

export function createApiKey(prefix: 'lkp_' | 'lkt_' = 'lkp_'): string {
  const random = randomBytes(32);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(random));
  return prefix + Buffer.concat([random, check]).toString('base64url');
}

async function readBody(req: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of req) body += chunk;
  return body;
}
