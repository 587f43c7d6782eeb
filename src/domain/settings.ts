/** What administrators switch while the server runs. One typed value a name; absent means the default. */
import { z } from 'zod';
import { invalidField } from '../errors.ts';
import type { Notifications } from '../storage/notifications.ts';
import type { Database } from '../storage/pool.ts';
import { findSetting, upsertSetting } from '../storage/settings.ts';
import type { Actor, Audit } from './audit.ts';
import { createCache } from './cache.ts';

const SETTINGS = {
  /** Off: the protocol endpoints refuse. API keys and JWKS keep answering. */
  oauth2_authorization_server_enabled: { schema: z.boolean(), default: true },
};

export type SettingName = keyof typeof SETTINGS;
export type SettingValue<Name extends SettingName> = z.output<(typeof SETTINGS)[Name]['schema']>;

export interface Settings {
  /** The value now; a change made on any instance is seen within a moment. */
  get<Name extends SettingName>(name: Name): Promise<SettingValue<Name>>;
  /** @throws AppError `invalid_argument` when there is no such setting or the value is not one for it */
  set<Name extends SettingName>(name: Name, value: SettingValue<Name>, actor: Actor): Promise<void>;
}

export interface SettingsOptions {
  db: Database;
  audit: Audit;
  notifications: Notifications;
}

export function createSettings({ db, audit, notifications }: SettingsOptions): Settings {
  const cache = createCache<{ value: unknown }>({ notifications, keyedBy: ['settings'] });
  return {
    async get<Name extends SettingName>(name: Name) {
      const setting = SETTINGS[name];
      const found = await cache.get(name, async () => (await findSetting(db, name)) ?? { value: setting.default });
      return setting.schema.parse(found?.value) as SettingValue<Name>;
    },
    async set(name, value, actor) {
      if (!Object.hasOwn(SETTINGS, name)) throw invalidField('name', 'is not a setting');
      const parsed = SETTINGS[name].schema.safeParse(value);
      if (!parsed.success) throw invalidField(name, 'is not a value for this setting');
      await db.transaction(async (tx) => {
        await upsertSetting(tx, name, parsed.data);
        const target = { kind: 'setting', id: name };
        await audit.record(tx, { action: 'setting.changed', actor, target, details: { value: parsed.data } });
      });
    },
  };
}
