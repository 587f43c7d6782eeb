/** Sign-in Settings: the switch of the authorization server, and how long sessions live. */
import type { Context } from 'koa';
import { type AuthorizationServerUse, SESSION_BOUNDS, type SignInSettings } from '../../domain/settings.ts';
import { durationFields, durationIn, durationValues, inWords } from './durations.ts';
import type { Kit } from './index.ts';
import { mayUse } from './navigation.ts';
import { noticed } from './notices.ts';
import type { Problems } from './problems.ts';
import { type FormValues, textOf, whatItSaysNow } from './registrations/index.ts';
import { redirect } from './routes.ts';
import { cell, type Field, type Section } from './view.ts';
import type { Visitor } from './visitor.ts';

const PATH = '/console/sign-in-settings';
const BACK = { text: 'Sign-in Settings', href: PATH };
const ENABLED = 'oauth2_authorization_server_enabled';
const LIFETIME = 'session_lifetime_seconds';
const IDLE = 'session_idle_seconds';

const RANGE = `${inWords(SESSION_BOUNDS.shortest)} to ${inWords(SESSION_BOUNDS.longest)}`;

const OFF = [
  'Apps cannot log anybody in or ask for consent, and get no new tokens: authorization, pushed authorization and token requests are refused.',
  'Services get no new tokens by client credentials, and tokens cannot be refreshed or exchanged.',
  'Access tokens issued before stay good until they expire. The key set (JWKS) keeps answering, so APIs can check them.',
  'API keys, personal and team, keep working. So does this console: switch it on again here.',
];

const FIELDS: readonly Field[] = [
  ...durationFields({
    name: LIFETIME,
    label: 'A session ends after',
    hint: `Counted from the login, however much it is used: ${RANGE}.`,
  }),
  ...durationFields({
    name: IDLE,
    label: 'A session ends unused after',
    hint: `Counted from its last use: at least ${inWords(SESSION_BOUNDS.shortest)}, and not longer than the session lives.`,
  }),
];

export function addSignInSettings({ domain, routes, show }: Kit): void {
  const { settings } = domain;

  routes.get(PATH, 'sign_in_settings.get', async (ctx, visitor) => {
    const current = await settings.read();
    const { values, updatedAt } = current;
    const isOn = values[ENABLED];
    const mayChange = mayUse(visitor, 'sign_in_settings.update');
    show.detail(ctx, visitor, {
      title: 'Sign-in Settings',
      lead: 'They apply to every team, and on every instance at once.',
      facts: [{ label: 'Last changed', value: cell.date(updatedAt, 'Never: these are the defaults') }],
      sections: [
        {
          title: 'Authorization server',
          lead: isOn
            ? 'Apps log people in, and apps and services get tokens here.'
            : 'No app or service gets new tokens here at the moment.',
          facts: [{ label: 'State', value: isOn ? cell.badge('On', 'good') : cell.badge('Off', 'bad') }],
          actions: mayChange ? [isOn ? SWITCH_OFF : SWITCH_ON] : [],
        },
        { title: isOn ? 'What off would mean' : 'What off means', points: OFF },
        {
          title: 'Sessions',
          lead: 'How long somebody who logged in with a browser stays logged in, here and for every app.',
          facts: [
            { label: 'Ends after', value: cell.text(inWords(values[LIFETIME]), 'From the login') },
            { label: 'Ends unused after', value: cell.text(inWords(values[IDLE]), 'From its last use') },
          ],
          actions: mayChange ? [{ text: 'Change', href: `${PATH}/sessions` }] : [],
        },
      ],
    });
  });

  async function showSwitchOff(ctx: Context, visitor: Visitor, problems?: Problems, status?: number): Promise<void> {
    const [{ version }, use] = await Promise.all([settings.read(), settings.inUse()]);
    show.form(
      ctx,
      visitor,
      {
        title: 'Switch the authorization server off',
        back: BACK,
        ends: OFF,
        sections: useSections(use),
        action: `${PATH}/switch-off`,
        fields: [],
        hidden: { version },
        submit: 'Switch it off',
        danger: true,
        ...(problems && { problems }),
      },
      status,
    );
  }

  routes.get(`${PATH}/switch-off`, 'sign_in_settings.update', async (ctx, visitor) => {
    if (!(await settings.read()).values[ENABLED]) return redirect(ctx, PATH);
    await showSwitchOff(ctx, visitor);
  });
  routes.post(`${PATH}/switch-off`, 'sign_in_settings.update', async (ctx, visitor, form) => {
    const changed = await routes.attempt(
      ctx,
      visitor,
      () => settings.update({ [ENABLED]: false }, { version: textOf(form, 'version') }, visitor.caller.actor),
      (problems, status) => showSwitchOff(ctx, visitor, problems, status),
    );
    return changed && noticed(PATH, 'disabled');
  });
  routes.post(`${PATH}/switch-on`, 'sign_in_settings.update', async (_ctx, visitor) => {
    await settings.update({ [ENABLED]: true }, {}, visitor.caller.actor);
    return noticed(PATH, 'enabled');
  });

  const sessionsForm = ({ version }: SignInSettings) => ({
    title: 'Sessions',
    lead: 'It applies to sessions that exist, too: those that are too old by then end at once, even yours.',
    back: BACK,
    action: `${PATH}/sessions`,
    fields: FIELDS,
    hidden: { version },
    submit: 'Save',
  });

  routes.get(`${PATH}/sessions`, 'sign_in_settings.update', async (ctx, visitor) => {
    const current = await settings.read();
    show.form(ctx, visitor, { ...sessionsForm(current), values: valuesOf(current) });
  });
  routes.post(`${PATH}/sessions`, 'sign_in_settings.update', async (ctx, visitor, form) => {
    const changes = { [LIFETIME]: durationIn(form, LIFETIME), [IDLE]: durationIn(form, IDLE) };
    const changed = await routes.attempt(
      ctx,
      visitor,
      () => settings.update(changes, { version: textOf(form, 'version') }, visitor.caller.actor),
      async (problems, status) => {
        const current = await settings.read();
        const page = { ...sessionsForm(current), values: form, problems: inPeoplesWords(problems, changes) };
        const sections = status === 412 ? [whatItSaysNow(FIELDS, form, valuesOf(current))] : [];
        show.form(ctx, visitor, { ...page, sections }, status);
      },
    );
    return changed && noticed(PATH, 'changed');
  });
}

const SWITCH_OFF = { text: 'Switch off', href: `${PATH}/switch-off`, danger: true };
const SWITCH_ON = { text: 'Switch on', post: `${PATH}/switch-on` };

function valuesOf({ values }: SignInSettings): FormValues {
  return new Map([LIFETIME, IDLE].flatMap((name) => durationValues(name, values[name as typeof LIFETIME])));
}

/** The rule is told in seconds. */
function inPeoplesWords({ form, fields }: Problems, changes: Record<string, number>): Problems {
  const isInRange = (seconds = Number.NaN) => seconds >= SESSION_BOUNDS.shortest && seconds <= SESSION_BOUNDS.longest;
  const told = [...fields].map(([name, problem]): [string, string] => {
    if (name !== LIFETIME && name !== IDLE) return [name, problem];
    if (!isInRange(changes[name])) return [name, `must be ${RANGE}, in whole numbers`];
    return [IDLE, 'must not be longer than the session lives'];
  });
  return { form, fields: new Map(told) };
}

function useSections({ apps, clients, consents, mostCounted, latest }: AuthorizationServerUse): Section[] {
  const counted = (count: number) =>
    cell.text(count < mostCounted ? count.toLocaleString('en') : `${mostCounted.toLocaleString('en')} or more`);
  return [
    {
      title: 'What is in use',
      facts: [
        { label: 'Apps that are enabled', value: counted(apps) },
        { label: 'Clients that are enabled', value: counted(clients) },
        { label: 'Consents of users to apps', value: counted(consents) },
      ],
      table: {
        columns: ['Used last', 'Kind', 'Team', 'Last used'],
        rows: latest.map(({ kind, id, name, teamName, lastUsedAt }) => [
          cell.link(name, `/console/api-keys/${kind === 'oauth_app' ? 'apps' : 'clients'}/${id}`),
          cell.text(kind === 'oauth_app' ? 'OAuth2 App' : 'OAuth2 Client'),
          cell.text(teamName ?? 'Every team'),
          cell.date(lastUsedAt, 'Never'),
        ]),
        none: 'No app or client that is enabled has ever got a token.',
      },
    },
  ];
}
