/** What administrators switch while the server runs: the sign-in settings. One typed value a name; never set means the default. */
import { z } from 'zod';
import type { Lifetimes } from '../config.ts';
import { AppError, type FieldViolation, invalidField } from '../errors.ts';
import {
  type AuthorizationServerUseRecord,
  countAuthorizationServerUse,
  type LatestUseRecord,
  listLatestUses,
} from '../storage/authorization-server-use.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { findSettings, lockSettings, upsertSetting } from '../storage/settings.ts';
import type { Actor, Audit } from './audit.ts';
import { createCache } from './cache.ts';
import { given } from './given.ts';
import { requireVersion } from './versions.ts';

/** Seconds a session may live at least and at most, and may be idle. */
export const SESSION_BOUNDS = { shortest: 300, longest: 90 * 24 * 3600 } as const;
const { shortest: SHORTEST, longest: LONGEST } = SESSION_BOUNDS;
const MOST_COUNTED = 1_000;
const LATEST = 10;
const SECONDS = {
  schema: z.int().min(SHORTEST).max(LONGEST),
  complaint: `must be a whole number of seconds, ${SHORTEST} to ${LONGEST} (90 days)`,
};

const SETTINGS = {
  /** Off: authorize, token and pushed requests refuse. API keys, JWKS and what was issued keep working. */
  oauth2_authorization_server_enabled: { schema: z.boolean(), complaint: 'must be true or false' },
  /** A browser session ends this long after the login. */
  session_lifetime_seconds: SECONDS,
  /** A browser session that is not used for this long ends. */
  session_idle_seconds: SECONDS,
};

export type SettingName = keyof typeof SETTINGS;
export type SettingValues = { [Name in SettingName]: z.output<(typeof SETTINGS)[Name]['schema']> };

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[];

/** All of them at one moment; `updatedAt` null and version '0' while none was ever set. */
export interface SignInSettings {
  values: SettingValues;
  updatedAt: Date | null;
  version: string;
}

/**
 * Who gets tokens from the authorization server, and no more of them when it is switched off: the apps and clients that are
 * switched on and the consents that stand (each number ends at `mostCounted`), and the ten used last.
 */
export interface AuthorizationServerUse extends AuthorizationServerUseRecord {
  mostCounted: number;
  latest: LatestUseRecord[];
}

export interface Settings {
  /** The values now, from memory: a change made on any instance is seen within a moment. */
  current(): Promise<SettingValues>;
  /** What `current` answered last, for callers that cannot wait. */
  readonly latest: SettingValues;
  /** As the database has them. */
  read(): Promise<SignInSettings>;
  /** What there is to think of before the authorization server is switched off. */
  inUse(): Promise<AuthorizationServerUse>;
  /**
   * Sets what is given, all or nothing. What is that already is left alone.
   * @param scope.version the one the caller read; another one by now is `precondition_failed`
   * @throws AppError `invalid_argument` naming what is no setting, no value for it, or an idle time above the lifetime
   */
  update(
    changes: { [Name in SettingName]?: SettingValues[Name] | undefined },
    scope: { version?: string | undefined },
    actor: Actor,
  ): Promise<SignInSettings>;
}

export interface SettingsOptions {
  db: Database;
  audit: Audit;
  notifications: Notifications;
  /** The defaults, seconds. */
  lifetimes: Pick<Lifetimes, 'session' | 'sessionIdle'>;
}

export function createSettings({ db, audit, notifications, lifetimes }: SettingsOptions): Settings {
  const cache = createCache<SettingValues>({ notifications, clearedBy: ['settings'] });
  const defaults: SettingValues = {
    oauth2_authorization_server_enabled: true,
    session_lifetime_seconds: lifetimes.session,
    session_idle_seconds: lifetimes.sessionIdle,
  };
  let latest = defaults;

  async function read(from: Queryable = db): Promise<SignInSettings> {
    const { settings, ...record } = await findSettings(from, SETTING_NAMES);
    const set = settings.map(({ name, value }) => [name, SETTINGS[name as SettingName].schema.parse(value)]);
    return { ...record, values: { ...defaults, ...(Object.fromEntries(set) as Partial<SettingValues>) } };
  }

  return {
    async current() {
      const values = await cache.get('all', async () => (await read()).values);
      latest = values!;
      return latest;
    },
    get latest() {
      return latest;
    },
    read: () => read(),
    async inUse() {
      const [counted, latest] = await Promise.all([
        countAuthorizationServerUse(db, MOST_COUNTED),
        listLatestUses(db, LATEST),
      ]);
      return { ...counted, mostCounted: MOST_COUNTED, latest };
    },
    async update(asked, { version }, actor) {
      return db.transaction(async (tx) => {
        await lockSettings(tx);
        const before = await read(tx);
        requireVersion(before, version);
        // A default of the configuration may lie outside the range; sent back as it was read, it is no change.
        const sent = Object.entries(given(asked)).filter(
          ([name, value]) => before.values[name as SettingName] !== value,
        );
        const changes = checkValues(Object.fromEntries(sent));
        const changed = SETTING_NAMES.filter((name) => name in changes);
        requireIdleWithinLifetime({ ...before.values, ...changes }, changed);
        for (const name of changed) {
          await upsertSetting(tx, name, changes[name]);
          const target = { kind: 'setting', id: name };
          const details = { value: changes[name], former: before.values[name] };
          await audit.record(tx, { action: 'setting.changed', actor, target, details });
        }
        return changed.length === 0 ? before : read(tx);
      });
    },
  };
}

function checkValues(asked: Record<string, unknown>): Partial<SettingValues> {
  const fields: FieldViolation[] = [];
  for (const [field, value] of Object.entries(asked)) {
    const setting = Object.hasOwn(SETTINGS, field) ? SETTINGS[field as SettingName] : undefined;
    if (setting === undefined) fields.push({ field, description: 'is not a setting' });
    else if (!setting.schema.safeParse(value).success) fields.push({ field, description: setting.complaint });
  }
  if (fields.length === 0) return asked as Partial<SettingValues>;
  const text = fields.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new AppError('invalid_argument', text, { fields });
}

/** Defaults come from the configuration, which has rules of its own: only what is changed here is held against this one. */
function requireIdleWithinLifetime(values: SettingValues, changed: readonly SettingName[]): void {
  const { session_lifetime_seconds: lifetime, session_idle_seconds: idle } = values;
  if (idle <= lifetime) return;
  if (changed.includes('session_idle_seconds')) {
    throw invalidField('session_idle_seconds', `must not be more than session_lifetime_seconds, ${lifetime}`);
  }
  if (changed.includes('session_lifetime_seconds')) {
    throw invalidField(
      'session_lifetime_seconds',
      `must not be less than session_idle_seconds, ${idle}: change both at once`,
    );
  }
}
