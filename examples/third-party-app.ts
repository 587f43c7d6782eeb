/**
 * A web app of somebody else's: it sends the browser to Latchkey, gets tokens for the person who consents, calls two
 * APIs in their name, refreshes, and disconnects. It knows the issuer, its own id and secret, and nothing more.
 *
 *   ISSUER=http://localhost:3000 CLIENT_ID=app_… CLIENT_SECRET=lks_… node examples/third-party-app.ts
 */
import { randomBytes } from 'node:crypto';
import Router from '@koa/router';
import Koa, { type Context } from 'koa';
import * as oauth from 'openid-client';

const { ISSUER = 'http://localhost:3000', CLIENT_ID = '', CLIENT_SECRET = '', PORT = '3002' } = process.env;
const { REPORTS_URL = 'http://localhost:3001/reports' } = process.env;
const HOME = `http://localhost:${PORT}`;
const APIS: Record<string, string> = { reports: REPORTS_URL, providers: `${ISSUER}/api/v1/providers` };

// Everything else about the issuer is in its discovery document. Plain http is for localhost only.
const config = await oauth.discovery(new URL(ISSUER), CLIENT_ID, {}, oauth.ClientSecretBasic(CLIENT_SECRET), {
  execute: new URL(ISSUER).hostname === 'localhost' ? [oauth.allowInsecureRequests] : [],
});

interface Session {
  /** What the callback must match, used once. */
  login?: { state: string; nonce: string; verifier: string };
  /** Present once somebody is logged in. The access token is opaque to us: only the APIs read it. */
  user?: { claims: oauth.IDToken; access: string; refresh: string; idToken: string; expiresAt: number };
  /** The refresh under way. A refresh token works once, so two clicks share one refresh. */
  refreshing?: Promise<void>;
}
const sessions = new Map<string, Session>();
const router = new Router();

router.get('/', (ctx) => {
  ctx.body = home(findSession(ctx));
});

router.get('/login', async (ctx) => {
  const login = { state: oauth.randomState(), nonce: oauth.randomNonce(), verifier: oauth.randomPKCECodeVerifier() };
  startSession(ctx, { login });
  const url = oauth.buildAuthorizationUrl(config, {
    redirect_uri: `${HOME}/callback`,
    scope: 'openid profile email offline_access providers:read',
    state: login.state,
    nonce: login.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(login.verifier),
    code_challenge_method: 'S256',
  });
  ctx.redirect(url.href);
});

router.get('/callback', async (ctx) => {
  const { login } = findSession(ctx);
  if (!login) return ctx.redirect('/');
  startSession(ctx, {}); // a new cookie: whoever knew the one before is not logged in with us
  const tokens = await oauth.authorizationCodeGrant(config, new URL(ctx.url, HOME), {
    expectedState: login.state,
    expectedNonce: login.nonce,
    pkceCodeVerifier: login.verifier,
  });
  startSession(ctx, { user: { claims: tokens.claims()!, refresh: '', idToken: '', ...read(tokens) } });
  ctx.redirect('/');
});

router.post('/call/:api', async (ctx) => {
  const session = findSession(ctx);
  const url = APIS[ctx.params.api ?? ''];
  if (!session.user || !url) return ctx.redirect('/');
  if (session.user.expiresAt <= Date.now()) await refresh(session);
  const answer = await oauth
    .fetchProtectedResource(config, session.user.access, new URL(url), 'GET')
    .catch((error) => (error instanceof oauth.WWWAuthenticateChallengeError ? error.response : Promise.reject(error)));
  ctx.body = home(session, `${url} answered ${answer.status}\n${await answer.text()}`);
});

router.post('/refresh', async (ctx) => {
  const session = findSession(ctx);
  if (session.user) await refresh(session);
  ctx.body = home(session, 'Refreshed.');
});

router.post('/disconnect', async (ctx) => {
  const { user } = findSession(ctx);
  startSession(ctx, {}); // forget it here first, whatever the issuer answers
  if (!user) return ctx.redirect('/');
  await oauth.tokenRevocation(config, user.refresh, { token_type_hint: 'refresh_token' });
  const logout = { id_token_hint: user.idToken, post_logout_redirect_uri: `${HOME}/` };
  ctx.body = html`<p>Disconnected.</p>
    <p><a href="${oauth.buildEndSessionUrl(config, logout).href}">Log out of ${ISSUER} too</a></p>`;
});

/** Trades the refresh token for new tokens; the old one is used up. */
function refresh(session: Session): Promise<void> {
  session.refreshing ??= oauth
    .refreshTokenGrant(config, session.user!.refresh)
    .then((tokens) => void Object.assign(session.user!, read(tokens)))
    .finally(() => delete session.refreshing);
  return session.refreshing;
}

function read({ access_token, refresh_token, id_token, expires_in = 60 }: oauth.TokenEndpointResponse) {
  return {
    access: access_token,
    expiresAt: Date.now() + (expires_in - 10) * 1000,
    ...(refresh_token && { refresh: refresh_token }),
    ...(id_token && { idToken: id_token }),
  };
}

function findSession(ctx: Context): Session {
  return sessions.get(ctx.cookies.get('report_viewer') ?? '') ?? {};
}

/** Replaces whatever session this browser had. */
function startSession(ctx: Context, session: Session): void {
  sessions.delete(ctx.cookies.get('report_viewer') ?? '');
  const id = randomBytes(32).toString('base64url');
  sessions.set(id, session);
  ctx.cookies.set('report_viewer', id, { httpOnly: true, sameSite: 'lax' });
}

function home({ user }: Session, answer = ''): string {
  if (!user) return html`<p><a href="/login">Log in with Latchkey</a></p>`;
  return html`<p>Logged in as ${user.claims.name} (${user.claims.email}, subject ${user.claims.sub}).</p>
    <p>The access token is good until ${new Date(user.expiresAt).toLocaleTimeString()}.</p>
    <form method="post">
      <button formaction="/call/reports">Call the reports API</button>
      <button formaction="/call/providers">Call Latchkey's own API</button>
      <button formaction="/refresh">Refresh</button>
      <button formaction="/disconnect">Disconnect</button>
    </form>
    <pre>${answer}</pre>`;
}

/** A page; every value in it is escaped. */
function html(texts: TemplateStringsArray, ...values: unknown[]): string {
  const escaped = values.map((value) => String(value).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`));
  return `<!doctype html><title>Report Viewer</title><h1>Report Viewer</h1>${String.raw({ raw: texts }, ...escaped)}`;
}

const app = new Koa();
app.use(async (ctx, next) => {
  // Refused at the consent page, disconnected elsewhere, issuer away: say so, and let them start again.
  await next().catch((error: Error & { error?: string; error_description?: string }) => {
    if (error.error === 'invalid_grant') startSession(ctx, {});
    ctx.status = 400;
    ctx.body = html`<p>That did not work: ${error.error_description ?? error.message}</p><p><a href="/">Back</a></p>`;
  });
});
app.use(router.routes());
app.listen(Number(PORT), '127.0.0.1', () => console.log(`Report Viewer at ${HOME}`));
