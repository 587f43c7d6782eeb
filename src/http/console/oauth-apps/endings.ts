/** Switching apps off and on, and deleting them: what ends with one is told before. */
import type { AppEndings } from '../../../domain/endings.ts';
import type { OauthApp } from '../../../domain/oauth-apps.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import { lastUseSection, textOf } from '../registrations/index.ts';
import { APPS, backTo, findApp, pathOf } from './subject.ts';

export function addOauthAppEndings(kit: Kit): void {
  const { domain, routes, show } = kit;
  const { oauthApps, endings } = domain;

  for (const verb of ['disable', 'delete'] as const) {
    routes.get(`${APPS}/:id/${verb}`, `oauth_apps.${verb}`, async (ctx, visitor) => {
      const app = await findApp(kit, ctx.params.id);
      const ends = await endings.ofApp(app);
      show.form(ctx, visitor, {
        title: `${verb === 'delete' ? 'Delete' : 'Disable'} ${app.name}`,
        back: backTo(app),
        ends: [...sentencesFor(ends), ...(verb === 'delete' ? forGood(ends) : UNTIL_ENABLED)],
        sections: [lastUseSection(app)],
        action: `${pathOf(app)}/${verb}`,
        fields: [],
        hidden: { version: app.version },
        submit: `${verb === 'delete' ? 'Delete' : 'Disable'} this app${ends.users === 0 ? '' : ` (${countedIn(ends)})`}`,
        danger: true,
      });
    });
  }

  routes.post(`${APPS}/:id/disable`, 'oauth_apps.disable', async (ctx, visitor, form) => {
    const { id } = await findApp(kit, ctx.params.id);
    const { app } = await oauthApps.disable(id, visitor.caller.actor, { version: textOf(form, 'version') });
    return noticed(pathOf(app), 'disabled');
  });
  routes.post(`${APPS}/:id/enable`, 'oauth_apps.enable', async (ctx, visitor, form) => {
    const { id } = await findApp(kit, ctx.params.id);
    const app: OauthApp = await oauthApps.enable(id, visitor.caller.actor, { version: textOf(form, 'version') });
    return noticed(pathOf(app), 'enabled');
  });
  routes.post(`${APPS}/:id/delete`, 'oauth_apps.delete', async (ctx, visitor, form) => {
    const { id } = await findApp(kit, ctx.params.id);
    await oauthApps.delete(id, visitor.caller.actor, { version: textOf(form, 'version') });
    return noticed(APPS, 'deleted');
  });
}

const UNTIL_ENABLED = [
  'Nobody can log in to it, and it gets no tokens, until you enable it again. Users are asked for consent again then.',
  'Its settings and secrets stay.',
];

function forGood({ secrets }: AppEndings): string[] {
  return [
    ...(secrets === 0 ? [] : [`${counted(secrets, 'secret')} ${secrets === 1 ? 'ends' : 'end'} with it.`]),
    'It cannot be brought back: an app registered anew has another client ID.',
  ];
}

function sentencesFor(ends: AppEndings): string[] {
  if (ends.users === 0) return ['Nobody has connected it: nothing stops for anybody.'];
  const { users, consents, tokens, consentsInUse, isMore } = ends;
  const least = isMore ? 'At least ' : '';
  return [
    `${least}${counted(users, 'user is', 'users are')} disconnected: ${counted(consents, 'consent ends', 'consents end')}.`,
    `${counted(tokens, 'refresh token or code ends', 'refresh tokens and codes end')} at once.`,
    consentsInUse === 0
      ? 'No access token is good any more, so no request in progress fails.'
      : 'Access tokens it got lately are refused within five seconds.',
  ];
}

/** Such as "3 users, 12 tokens". */
export function countedIn({ users, tokens, isMore }: AppEndings): string {
  const text = `${counted(users, 'user')}, ${counted(tokens, 'token')}`;
  return isMore ? `more than ${text}` : text;
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
