/**
 * The people of W2: a process of its own in which several at a time go through authorize, login, consent, code and
 * refresh, each time with an empty cookie jar. Writes what it saw as JSON.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { text } from 'node:stream/consumers';
import { decodeJwt } from 'jose';
import { createBrowser, exchange } from './browser.ts';

export interface FlowJob {
  origin: string;
  app: { id: string; secret: string };
  redirectUri: string;
  password: string;
  users: number;
  parallel: number;
  /** Stop after this many seconds, or after `most` flows. */
  seconds: number;
  most?: number;
}

export interface FlowResult {
  flows: number;
  seconds: number;
  /** Milliseconds of a whole flow. */
  p50: number;
  p99: number;
}

const SCOPE = 'openid email offline_access providers:read';

if (import.meta.main) {
  const job = JSON.parse(await text(process.stdin)) as FlowJob;
  process.stdout.write(JSON.stringify(await run(job)));
}

async function run(job: FlowJob): Promise<FlowResult> {
  const agent = new Agent({ keepAlive: true });
  const { authorization_endpoint, token_endpoint } = await metadata(agent, job.origin);
  const took: number[] = [];
  const began = performance.now();
  const until = began + job.seconds * 1000;
  let begun = 0;

  async function person(): Promise<void> {
    while (performance.now() < until && begun < (job.most ?? Number.POSITIVE_INFINITY)) {
      const user = `user${begun % job.users}@example.com`;
      begun += 1;
      const started = performance.now();
      const verifier = randomBytes(32).toString('base64url');
      const code = await authorize(job, agent, new URL(authorization_endpoint!), user, verifier);
      const grant = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: job.redirectUri };
      const tokens = await tokenRequest(job, agent, token_endpoint!, grant);
      const refreshed = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token! };
      const next = await tokenRequest(job, agent, token_endpoint!, refreshed);
      if (next.refresh_token === tokens.refresh_token) throw new Error('the refresh token was not rotated');
      took.push(performance.now() - started);
    }
  }

  await Promise.all(Array.from({ length: job.parallel }, person));
  const seconds = (performance.now() - began) / 1000;
  agent.destroy();
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  return { flows: took.length, seconds, p50: at(0.5), p99: at(0.99) };
}

/** From the app's link to the code, through as many pages as the server shows. */
export async function authorize(
  job: FlowJob,
  agent: Agent,
  endpoint: URL,
  user: string,
  verifier: string,
): Promise<string> {
  const browser = createBrowser(agent);
  const state = randomBytes(16).toString('base64url');
  endpoint.search = new URLSearchParams({
    response_type: 'code',
    client_id: job.app.id,
    redirect_uri: job.redirectUri,
    scope: SCOPE,
    state,
    nonce: state,
    // The engine leaves offline_access out without it.
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString();
  const fill = (name: string, type: string) =>
    type === 'password' ? job.password : type === 'email' || name === 'email' || name === 'login' ? user : undefined;
  let page = await browser.open(endpoint, job.redirectUri);
  for (let pages = 0; !page.url.href.startsWith(job.redirectUri); pages += 1) {
    if (pages === 5 || page.status !== 200)
      throw new Error(`${page.url.pathname} ${page.status}: ${page.body.slice(0, 300)}`);
    page = await browser.submit(page, { fill, button: /^(Log in|Allow)$/, stop: job.redirectUri });
  }
  const { code, state: returned, error_description } = Object.fromEntries(page.url.searchParams);
  if (!code || returned !== state) throw new Error(`no code: ${error_description ?? page.url.search}`);
  return code;
}

export async function tokenRequest(job: FlowJob, agent: Agent, endpoint: string, grant: Record<string, string>) {
  const form = new URLSearchParams({ client_id: job.app.id, client_secret: job.app.secret, ...grant }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const { status, body } = await exchange(agent, 'POST', new URL(endpoint), headers, form);
  const answer = JSON.parse(body) as Record<string, string>;
  const access = status === 200 ? decodeJwt(answer.access_token ?? '') : {};
  const right =
    status === 200 &&
    access.iss === job.origin &&
    access.client_id === job.app.id &&
    String(access.scope).split(' ').includes('providers:read') &&
    decodeJwt(answer.id_token ?? '').sub === access.sub &&
    typeof answer.refresh_token === 'string';
  if (!right) throw new Error(`${grant.grant_type} answered ${status}: ${body.slice(0, 300)}`);
  return answer;
}

export async function metadata(agent: Agent, origin: string): Promise<Record<string, string>> {
  const { body } = await exchange(agent, 'GET', new URL(`${origin}/.well-known/openid-configuration`), {});
  return JSON.parse(body);
}
