/** Handing what a personal key does over to a team key or a client, which stay when a person leaves. */
import type { Context } from 'koa';
import type { HandedOver, HandOver, KeyRights } from '../../../domain/hand-overs.ts';
import { isPermission, PERMISSIONS } from '../../../domain/permissions.ts';
import type { User } from '../../../domain/users.ts';
import { invalidField } from '../../../errors.ts';
import type { Form } from '../../middleware/form.ts';
import { keyCommands } from '../api-keys/commands.ts';
import { EXPIRY_FIELDS, expiryIn, usualExpiry } from '../api-keys/expiry.ts';
import { pathOf as keyPath, PERSONAL } from '../api-keys/place.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import type { Problems } from '../problems.ts';
import { clientCommands } from '../registrations/token-commands.ts';
import { scopeChoice } from '../scope-choice.ts';
import { type Back, checked, checkedIn, type SecretPage } from '../show.ts';
import { nameOf, pathOf, USERS, userOf } from '../users/subject.ts';
import { cell, type Field, type Option, type ScopeGroup, type Section, shortOf } from '../view.ts';
import type { Visitor } from '../visitor.ts';

const PATH = `${USERS}/:id/hand-over/:key`;
const WHAT_STOPS = 'What stops';

export function addHandOvers(kit: Kit): void {
  const { domain, routes, show, once } = kit;
  const { leavers } = domain;

  async function formFor(visitor: Visitor, user: User, rights: KeyRights, from: string | undefined) {
    const { key, beyondTeamKey, onlyTeamKey } = rights;
    return {
      title: `Hand over ${key.name}`,
      lead: `What is made here belongs to ${key.teamName} and stays when ${nameOf(user)} leaves. The key itself goes on until then, so that you can change over whatever uses it.`,
      back: backTo(user, key, from),
      sections: [aboutKey(rights)],
      action: `${pathOf(user)}/hand-over/${key.id}`,
      fields: [
        {
          ...{ type: 'radio', name: 'kind', label: 'Hand over to', required: true },
          options: kindOptions(visitor, beyondTeamKey, onlyTeamKey),
        },
        { type: 'text', name: 'name', label: 'Name', required: true },
        { ...{ type: 'scopes', name: 'scopes', label: 'Scopes of the client' }, groups: scopeGroups(rights.forClient) },
        ...EXPIRY_FIELDS.map((field) => ({ ...field, label: `Team key: ${field.label.toLowerCase()}` })),
      ] satisfies Field[],
      submit: 'Hand over',
    };
  }

  async function keyOf(ctx: Context, visitor: Visitor) {
    const user = await userOf(kit, ctx, visitor);
    return { user, rights: await leavers.rightsOf({ id: String(ctx.params.key), userId: user.id }, visitor.caller) };
  }

  routes.get(PATH, 'users.update', async (ctx, visitor) => {
    const { user, rights } = await keyOf(ctx, visitor);
    const from = typeof ctx.query.from === 'string' ? ctx.query.from : undefined;
    const isTeamKey = rights.beyondTeamKey.length === 0 || !mayUse(visitor, 'oauth_clients.create');
    show.form(ctx, visitor, {
      ...(await formFor(visitor, user, rights, from)),
      values: new Map([
        ['kind', isTeamKey && mayUse(visitor, 'team_keys.create') ? 'team_key' : 'oauth2_client'],
        ['name', rights.key.name],
        ...usualExpiry(),
        ...checked('scopes', rights.forClient),
      ]),
      hidden: { ...once.fields(), from: from ?? '' },
    });
  });

  routes.post(PATH, 'users.update', async (ctx, visitor, form) => {
    const { user, rights } = await keyOf(ctx, visitor);
    const again = async (problems: Problems, status: number) =>
      show.form(
        ctx,
        visitor,
        {
          ...(await formFor(visitor, user, rights, form.get('from'))),
          ...{ values: form, problems },
          hidden: { ...once.fields(), from: form.get('from') ?? '' },
        },
        status,
      );
    return routes.attempt(
      ctx,
      visitor,
      async () => {
        const to = handOverIn(form);
        const back = backTo(user, rights.key, form.get('from'));
        const key = { id: rights.key.id, userId: user.id };
        return once.run(ctx, visitor, form, async () => {
          const made = await leavers.handOver(key, to, visitor.caller);
          const page = await secretPage(made, back);
          return { href: back.href, show: () => show.secret(ctx, visitor, page) };
        });
      },
      again,
    );
  });

  async function secretPage(made: HandedOver, back: Back): Promise<SecretPage> {
    const next = { ...back, text: back.text === WHAT_STOPS ? 'Back to what stops' : `To ${back.text}` };
    const lead =
      'This is shown once. Put it where the old key is now, and see that it is used before the old key ends.';
    if (made.kind === 'team_key') {
      const { text } = made;
      return {
        title: `Team key ${made.key.name}`,
        ...{ lead, next },
        secrets: [{ label: 'API key', value: text }],
        snippets: await keyCommands(kit, made.key, text),
      };
    }
    const { client, secret } = made;
    return {
      title: `OAuth2 Client ${client.name}`,
      ...{ lead, next },
      secrets: [
        { label: 'Client ID', value: client.clientId },
        { label: 'Client secret', value: secret },
      ],
      snippets: await clientCommands({ issuer: kit.issuer, resourceServers: domain.resourceServers }, client, secret),
    };
  }
}

function kindOptions(visitor: Visitor, beyond: readonly string[], only: readonly string[]): Option[] {
  const warning =
    beyond.length > 0
      ? `This key may do more than a team key ever can: ${beyond.join(', ')}. If the script needs that, make a client.`
      : undefined;
  const more = only.length > 0 ? ` This key cannot: ${only.join(', ')}.` : '';
  return [
    ...(mayUse(visitor, 'team_keys.create')
      ? [
          {
            ...{ value: 'team_key', text: 'A team key' },
            hint: `Used exactly like the key. It may read and change the providers of the team, nothing else.${more}`,
            ...(warning !== undefined && { warning }),
          },
        ]
      : []),
    ...(mayUse(visitor, 'oauth_clients.create')
      ? [
          {
            ...{ value: 'oauth2_client', text: 'An OAuth2 Client' },
            hint: 'With the scopes you choose below. The script has to get a token with its id and secret first.',
          },
        ]
      : []),
  ];
}

function aboutKey({ key, rights, forClient }: KeyRights): Section {
  const personal = rights.filter((word) => !forClient.includes(word));
  const isUnused = key.lastAccessAt.getTime() === key.createdAt.getTime();
  return {
    title: 'The key',
    ...(personal.length > 0 && {
      lead: `What belongs to a person nothing else can do: ${personal.join(', ')}. No script should need it.`,
    }),
    facts: [
      { label: 'Key', value: cell.code(shortOf(key)) },
      { label: 'Team', value: cell.text(key.teamName) },
      { label: 'May do', value: cell.words(rights, 'Nothing at the moment') },
      { label: 'Last used', value: cell.date(isUnused ? null : key.lastAccessAt, 'Never') },
    ],
  };
}

function scopeGroups(rights: readonly string[]): ScopeGroup[] {
  const own = rights.filter(isPermission).map((name) => ({ name, description: PERMISSIONS[name] as string }));
  const others = rights.filter((name) => !isPermission(name)).map((name) => ({ name, description: name }));
  return scopeChoice([
    { title: 'Latchkey', detail: '', scopes: own },
    { title: 'Other APIs', detail: '', scopes: others },
  ]);
}

function handOverIn(form: Form): HandOver {
  const name = form.get('name') ?? '';
  switch (form.get('kind')) {
    case 'team_key':
      return { kind: 'team_key', name, ...expiryIn(form) };
    case 'oauth2_client':
      return { kind: 'oauth2_client', name, scopes: checkedIn(form, 'scopes') };
    default:
      throw invalidField('kind', 'must be chosen');
  }
}

/** The page the person came from: one of ours, whatever the address says. */
function backTo(user: User, key: { id: string; name: string }, from: string | undefined): Back {
  const isTeam = user.teamRoles.some(({ teamId }) => teamId === from);
  if (isTeam) return { text: WHAT_STOPS, href: `${pathOf(user)}/teams/${from}/remove` };
  if (from === 'delete' || from === 'disable') return { text: WHAT_STOPS, href: `${pathOf(user)}/${from}` };
  return { text: key.name, href: keyPath(PERSONAL, key) };
}
