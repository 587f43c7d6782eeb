/**
 * The engine's own session for surfaces outside the protocol: who is logged in with a browser, logging in and logging out.
 * There is one session and one cookie, so whoever logs in here is logged in for every app, and out of all of them together.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import type { Session } from 'oidc-provider';
import type { Authority } from '../domain/authority.ts';
import { type Sessions, USE_GRANULARITY } from '../domain/sessions.ts';
import type { RequestInfo } from './audit-trail.ts';
import { sessionCookie } from './configuration.ts';
import { ourError } from './errors.ts';
import type { SessionOrigin } from './session-adapter.ts';

/** Who is logged in with a browser. */
export interface BrowserSession {
  userId: string;
  /** The same while the session lasts; no secret, and no way to get at it. */
  uid: string;
}

export interface BrowserSessionsOptions {
  issuer: string;
  /** Gives the current provider (it is rebuilt when signing keys change). */
  provider: () => Provider;
  authority: Pick<Authority, 'user'>;
  sessions: Pick<Sessions, 'touch' | 'endByUid'>;
  /** Seconds a session lives from now, were it used now. */
  sessionTtl: (session: object) => number;
  originOf: (req: IncomingMessage) => SessionOrigin;
  requestInfo: RequestInfo;
}

/** Each of them throws AppError `unavailable` while the database is away. */
export interface BrowserSessions {
  /**
   * Undefined when the cookie is none of ours, the session has ended, or the user is gone or disabled. It counts as a use
   * of the session, which prolongs its idle time; that is written at most once a minute.
   */
  sessionOf(req: IncomingMessage, res: ServerResponse): Promise<BrowserSession | undefined>;
  /**
   * Logs a person in who has proved who they are. The session of this browser gets a new id, so that nobody who knew the
   * former is logged in too; one of another account, or of nobody, ends.
   * @param given.remember whether the session outlives the browser
   */
  logIn(
    req: IncomingMessage,
    res: ServerResponse,
    given: { accountId: string; remember: boolean },
  ): Promise<BrowserSession>;
  /** Ends the session of this browser for every app, as the engine's own logout does. Repeating is harmless. */
  logOut(req: IncomingMessage, res: ServerResponse): Promise<void>;
  /** Gives the session of this browser a new id: whoever else has the former is logged out. */
  renew(req: IncomingMessage, res: ServerResponse): Promise<void>;
}

/** The engine's session with what ours carries on top. */
type OurSession = Session & {
  iat?: number;
  lastUsedTs?: number;
  transient?: boolean | undefined;
  origin?: SessionOrigin;
  save(ttl: number): Promise<unknown>;
};

export function createBrowserSessions(options: BrowserSessionsOptions): BrowserSessions {
  const { issuer, provider, authority, sessions, sessionTtl, originOf, requestInfo } = options;
  const settings = sessionCookie(issuer);

  async function find(req: IncomingMessage, res: ServerResponse): Promise<OurSession> {
    const { Session } = provider();
    return (await Session.get(contextOf(req, res))) as OurSession;
  }

  function contextOf(req: IncomingMessage, res: ServerResponse) {
    const context = provider().createContext(req, res);
    // TLS ends at the proxy; whether the cookie may be sent is the issuer's matter.
    context.cookies.secure = settings.options.secure;
    return context;
  }

  /** @param ttl seconds; left out: as long as the browser is open */
  function setCookie(req: IncomingMessage, res: ServerResponse, id: string | null, ttl?: number): void {
    const expires = ttl === undefined ? undefined : new Date(Date.now() + ttl * 1000);
    contextOf(req, res).cookies.set(settings.name, id, { ...settings.options, ...(expires && { expires }) });
  }

  async function store(req: IncomingMessage, res: ServerResponse, session: OurSession): Promise<void> {
    session.origin = originOf(req);
    const ttl = sessionTtl(session);
    await session.save(ttl);
    setCookie(req, res, session.jti, session.transient ? undefined : ttl);
  }

  async function end(req: IncomingMessage, session: OurSession): Promise<void> {
    const { accountId } = session;
    const actor = { kind: 'user' as const, id: accountId ?? '', ...requestInfo(req) };
    await sessions.endByUid(session.uid, actor);
  }

  async function touch(req: IncomingMessage, res: ServerResponse, session: OurSession): Promise<void> {
    const at = new Date();
    if (at.getTime() / 1000 - (session.lastUsedTs ?? 0) < USE_GRANULARITY) return;
    const ttl = sessionTtl(session);
    await sessions.touch(session.uid, { at, until: new Date(at.getTime() + ttl * 1000), ...originOf(req) });
    // The browser would give up the cookie when the session was to end before.
    if (!session.transient && !res.headersSent) setCookie(req, res, session.jti, ttl);
  }

  const guarded = <Result>(work: () => Promise<Result>): Promise<Result> =>
    work().catch((error: unknown) => {
      throw ourError(error);
    });

  return {
    sessionOf: (req, res) =>
      guarded(async () => {
        const session = await find(req, res);
        const user = session.accountId === undefined ? undefined : await authority.user(session.accountId);
        if (user === undefined) return undefined;
        await touch(req, res, session);
        return { userId: user.id, uid: session.uid };
      }),
    logIn: (req, res, { accountId, remember }) =>
      guarded(async () => {
        const found = await find(req, res);
        const isOwn = found.accountId === accountId;
        if (!isOwn && found.iat !== undefined) await end(req, found);
        const { Session } = provider();
        const session = (isOwn ? found : new Session()) as OurSession;
        if (isOwn) session.resetIdentifier();
        session.loginAccount({ accountId, amr: ['pwd'] } as never);
        session.transient = remember ? undefined : true;
        await store(req, res, session);
        return { userId: accountId, uid: session.uid };
      }),
    logOut: (req, res) =>
      guarded(async () => {
        const session = await find(req, res);
        // A form of another site comes without the cookie, and must not take it away.
        if (session.iat === undefined) return;
        await end(req, session);
        setCookie(req, res, null);
      }),
    renew: (req, res) =>
      guarded(async () => {
        const session = await find(req, res);
        if (session.iat === undefined) return;
        session.resetIdentifier();
        await store(req, res, session);
      }),
  };
}
