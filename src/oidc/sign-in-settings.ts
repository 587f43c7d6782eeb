/** The sign-in settings at work: the switch of the authorization server, and how long browser sessions live. */
import type { IncomingMessage } from 'node:http';
import Provider, { type Session } from 'oidc-provider';
import type { Settings, SettingValues } from '../domain/settings.ts';
import { AppError } from '../errors.ts';
import { engineError } from './errors.ts';
import { addProperty, type Step } from './internals.ts';
import type { SessionAdapter, SessionOrigin, SessionPayload } from './session-adapter.ts';

/** @throws AppError `unavailable` while administrators have switched the authorization server off */
export async function requireEnabled(settings: Pick<Settings, 'current'>): Promise<void> {
  if ((await settings.current()).oauth2_authorization_server_enabled) return;
  throw new AppError(
    'unavailable',
    'The authorization server is switched off. An administrator can switch it on under Administration > Sign-in Settings.',
  );
}

/** The engine's step before anything is authorized or issued. It never answers by a redirect: no redirect URI is checked yet. */
export function createRequireEnabled(settings: Pick<Settings, 'current'>): Step {
  return async (_ctx, next) => {
    await requireEnabled(settings).catch((error: unknown) => Promise.reject(engineError(error)));
    await next();
  };
}

type SessionTimes = { loginTs?: number; lastUsedTs?: number };

interface SavedSession extends SessionTimes {
  jti: string;
  /** Its id in the database, when it was given another since. */
  oldId?: string | undefined;
  /** Undefined until it was stored. */
  iat?: number;
  exp: number;
  touched: boolean;
  origin?: SessionOrigin | undefined;
  adapter: SessionAdapter;
  getValueAndPayload(): Promise<{ payload: SessionPayload }>;
}

interface SessionModel {
  find: FindSession;
  findByUid: FindSession;
  prototype: { save(this: SavedSession, ttl: number): Promise<unknown> };
}

type FindSession = (id: string, options?: unknown) => Promise<Session | undefined>;

/**
 * Holds every session against the lifetimes as they are now, not as they were when it was last used (ASVS 7.3.1, 7.3.2):
 * one that is too old by now is gone. For that a session carries when it was last used, and from where. One that has ended
 * while it was being used stays ended: the engine would store it again.
 */
export function useSessionLifetimes(
  provider: Provider,
  settings: Pick<Settings, 'current'>,
  originOf: (req: IncomingMessage) => SessionOrigin,
): void {
  const Model = provider.Session as unknown as SessionModel;
  addProperty(provider, 'Session', 'lastUsedTs');
  addProperty(provider, 'Session', 'origin');
  const { save } = Model.prototype;
  Model.prototype.save = async function saveUsed(ttl) {
    this.lastUsedTs = now();
    // Outside of the engine's own requests whoever saves it has said so.
    if (Provider.ctx !== undefined) this.origin = originOf(Provider.ctx.req);
    if (this.iat === undefined) return save.call(this, ttl);
    this.exp = now() + ttl;
    const { payload } = await this.getValueAndPayload();
    await this.adapter.renew(this.oldId ?? this.jti, this.jti, payload);
    this.oldId = undefined;
    this.touched = false;
    return this.jti;
  };

  const living = (find: FindSession): FindSession => {
    return async (id, options) => {
      const session = await find(id, options);
      if (session === undefined) return undefined;
      const values = await settings.current().catch((error: unknown) => Promise.reject(engineError(error)));
      if (now() < endOf(session, values)) return session;
      await session.destroy();
      return undefined;
    };
  };
  Model.find = living(Model.find.bind(Model));
  Model.findByUid = living(Model.findByUid.bind(Model));
}

/** The engine's `ttl.Session`, seconds: what it is asked for cannot be waited for, and was read when the session was found. */
export function createSessionTtl(settings: Pick<Settings, 'latest'>): (session: object) => number {
  return (session) => atLeastOne(endOf({ ...(session as SessionTimes), lastUsedTs: now() }, settings.latest) - now());
}

function endOf(session: object, values: SettingValues): number {
  const { loginTs, lastUsedTs } = session as SessionTimes;
  return Math.min(
    (loginTs ?? now()) + values.session_lifetime_seconds,
    (lastUsedTs ?? now()) + values.session_idle_seconds,
  );
}

/** The engine takes no lifetime below a second. */
export function atLeastOne(seconds: number): number {
  return Math.max(1, seconds);
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
