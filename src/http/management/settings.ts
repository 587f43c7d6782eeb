/** The sign-in settings (wire contract): the switch of the authorization server, and how long browser sessions live. */
import { z } from 'zod';
import type { Settings, SignInSettings } from '../../domain/settings.ts';
import { requireUnchanged } from './echo.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const VALUES = {
  oauth2_authorization_server_enabled: z.boolean().meta({
    description:
      'Off: nothing new is authorized or issued. API keys, and access tokens until they expire, keep working',
  }),
  session_lifetime_seconds: z.int().meta({
    description: 'A browser session ends this long after the login: 300 to 7776000 (90 days)',
  }),
  session_idle_seconds: z.int().meta({
    description: 'A browser session that is not used for this long ends: 300 to session_lifetime_seconds',
  }),
};

const SIGN_IN_SETTINGS = z
  .object({
    ...VALUES,
    updated_at: time.nullable().meta({ description: 'null while all of them are the defaults' }),
  })
  .meta({ id: 'SignInSettings' });

const TAG = 'Sign-in settings';
const PATH = '/api/v1/settings/sign-in';
const VALUE = z.object({ value: SIGN_IN_SETTINGS });

export function createSettingsOperations({ settings }: { settings: Settings }): Noun {
  return [
    operation({
      id: 'sign_in_settings.get',
      method: 'GET',
      path: PATH,
      tag: TAG,
      summary: 'Read the sign-in settings',
      versioned: true,
      answer: VALUE,
      handle: async () => answer(await settings.read()),
    }),
    operation({
      id: 'sign_in_settings.update',
      method: 'PATCH',
      path: PATH,
      tag: TAG,
      summary: 'Change sign-in settings, on every instance and without a restart',
      versioned: true,
      body: z.strictObject(VALUES).partial(),
      protectedFields: ['updated_at'],
      answer: VALUE,
      async handle({ body, echoed, caller, version }) {
        requireUnchanged(toWire(await settings.read()), echoed);
        return answer(await settings.update(body, { version }, caller.actor));
      },
    }),
  ];
}

function answer(current: SignInSettings) {
  return { body: { value: toWire(current) }, version: current.version };
}

function toWire({ values, updatedAt }: SignInSettings) {
  return { ...values, updated_at: updatedAt?.toISOString() ?? null };
}
