/** Making an API key: the form, and the one page its text is on. */
import type { Context } from 'koa';
import type { NewKey } from '../../../domain/api-keys.ts';
import { actsInRoot, authorize, type Caller, requireTeamInReach } from '../../../domain/authorization.ts';
import { invalidField } from '../../../errors.ts';
import type { Form } from '../../middleware/form.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { NO_PROBLEMS, type Problems } from '../problems.ts';
import { type FormValues, scopeGroups } from '../registrations/index.ts';
import { checkedIn, type FormPage } from '../show.ts';
import { teamField, teamNamed } from '../teams/choice.ts';
import type { Field } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { keyCommands } from './commands.ts';
import { EXPIRY_FIELDS, expiryIn, usualExpiry } from './expiry.ts';
import { type KeyPlace, needOf, operationOf, pathOf } from './place.ts';

/** More than that nobody chooses from in a list. */
const MOST_TEAMS = 200;

const LEADS: Record<KeyPlace['kind'], string> = {
  personal: 'It acts as you in one team: never more than you may do there yourself, at that moment.',
  team: 'It acts as the service account of the team: it reads and writes the providers of the team, and nothing else.',
};

const ACCESS: Field = {
  type: 'radio',
  name: 'access',
  label: 'What it may do',
  required: true,
  options: [
    {
      value: 'all',
      text: 'Everything I may do in the team',
      hint: 'Except creating credentials and changing users: choose those below if it needs them.',
    },
    { value: 'some', text: 'Only what I choose' },
  ],
};

export function addKeyCreation(kit: Kit, place: KeyPlace): void {
  const { domain, routes, show, once } = kit;
  const isPersonal = place.kind === 'personal';
  const create = operationOf(place, 'create');

  /** As whom a key can be made: for a personal key once for each team the person may have one in. */
  function callersOf(visitor: Visitor): Caller[] {
    if (!place.isAccount && !actsInRoot(visitor.caller)) return [visitor.caller];
    const ids = [visitor.caller.teamId, ...visitor.teams.map(({ id }) => id)];
    const callers = [...new Set(ids)].slice(0, MOST_TEAMS).flatMap((id) => visitor.callerIn(id) ?? []);
    return callers.filter((caller) => mayUse({ caller }, create));
  }

  async function fieldsFor(visitor: Visitor, values: FormValues): Promise<Field[]> {
    const name: Field = {
      ...{ type: 'text', name: 'name', label: 'Name', required: true },
      hint: 'What uses it, such as “Nightly report”.',
    };
    if (!isPersonal) {
      const isRoot = actsInRoot(visitor.caller);
      const team = isRoot ? [await teamField(domain.teams, { chosen: values.get('team_id') })] : [];
      return [name, ...team, ...EXPIRY_FIELDS];
    }
    const callers = callersOf(visitor);
    const options = callers.map(({ teamId }) => ({ value: teamId, text: teamName(visitor, teamId) }));
    const may = new Set(callers.flatMap(({ permissions }) => [...permissions]));
    const groups = await scopeGroups(
      { list: async (page) => (await domain.resourceServers.list(page)).filter((one) => one.acceptsApiKeys) },
      { own: (permission) => may.has(permission), identity: false },
    );
    return [
      name,
      ...(options.length > 1
        ? [
            {
              ...{ type: 'select' as const, name: 'team_id', label: 'Team', required: true, options },
              ...(callers.some(actsInRoot) && { hint: 'A key of the root team reaches every team.' }),
            },
          ]
        : []),
      ...EXPIRY_FIELDS,
      ACCESS,
      { type: 'scopes', name: 'scopes', label: 'Only these', groups },
    ];
  }

  async function pageFor(visitor: Visitor, values: FormValues, problems: Problems = NO_PROBLEMS): Promise<FormPage> {
    const [only] = callersOf(visitor);
    const team =
      only && !place.isAccount && !actsInRoot(visitor.caller) ? ` Team: ${teamName(visitor, only.teamId)}.` : '';
    return {
      title: isPersonal ? 'Create a personal key' : 'Create a team key',
      lead: `${LEADS[place.kind]}${team}`,
      back: { text: place.title, href: place.path },
      action: `${place.path}/new`,
      fields: await fieldsFor(visitor, values),
      values,
      problems,
      hidden: once.fields(),
      submit: 'Create key',
    };
  }

  routes.get(`${place.path}/new`, needOf(place, 'create'), async (ctx, visitor) => {
    const usual: [string, string][] = [...usualExpiry(), ['access', 'all']];
    if (isPersonal) usual.push(['team_id', visitor.caller.teamId]);
    show.form(ctx, visitor, await pageFor(visitor, new Map(usual)));
  });

  routes.post(`${place.path}/new`, needOf(place, 'create'), (ctx, visitor, form) =>
    routes.attempt(
      ctx,
      visitor,
      () =>
        once.run(ctx, visitor, form, async () => {
          const made = isPersonal ? await createPersonal(visitor, form) : await createTeam(visitor, form);
          const snippets = await keyCommands(kit, made.key, made.text);
          return {
            href: pathOf(place, made.key),
            show: () => showKey(kit, place, ctx, visitor, { ...made, title: `${made.key.name} is created` }, snippets),
          };
        }),
      async (problems, status) => show.form(ctx, visitor, await pageFor(visitor, form, problems), status),
    ),
  );

  async function createPersonal(visitor: Visitor, form: Form): Promise<NewKey> {
    const teamId = form.get('team_id') ?? visitor.caller.teamId;
    const caller = callersOf(visitor).find((one) => one.teamId === teamId);
    if (caller === undefined) throw invalidField('team_id', 'must be a team you may have a key in');
    authorize(caller, create);
    const scopes = scopesIn(form);
    return domain.apiKeys.createPersonal(
      {
        userId: visitor.user.id,
        teamId,
        name: form.get('name') ?? '',
        ...(scopes && { scopes }),
        ...expiryIn(form),
      },
      caller.actor,
    );
  }

  async function createTeam({ caller }: Visitor, form: Form): Promise<NewKey> {
    const named = form.get('team_id');
    const team = actsInRoot(caller) ? await teamNamed(domain.teams, named) : { id: named ?? caller.teamId };
    if (team === undefined) throw invalidField('team_id', 'must be chosen');
    requireTeamInReach(caller, team.id);
    return domain.apiKeys.createTeam(
      { teamId: team.id, name: form.get('name') ?? '', ...expiryIn(form) },
      caller.actor,
    );
  }
}

function scopesIn(form: Form): string[] | undefined {
  const chosen = checkedIn(form, 'scopes');
  if (form.get('access') === 'some') return chosen;
  if (form.get('access') !== 'all') throw invalidField('access', 'must be one of these');
  // Otherwise the key could do more than whoever chose them meant.
  if (chosen.length > 0)
    throw invalidField('access', 'says everything, but there is a choice below: say which you mean');
  return undefined;
}

function teamName(visitor: Visitor, teamId: string): string {
  return visitor.teams.find(({ id }) => id === teamId)?.name ?? '';
}

/** The page with the text of a key, which no other page has. */
export function showKey(
  { show }: Pick<Kit, 'show'>,
  place: KeyPlace,
  ctx: Context,
  visitor: Visitor,
  { key, text, title }: NewKey & { title: string },
  snippets: Awaited<ReturnType<typeof keyCommands>>,
): void {
  show.secret(ctx, visitor, {
    title,
    lead: 'Copy the key now: it is not shown again. Anyone who has it can use it.',
    secrets: [{ label: 'API key', value: text }],
    snippets,
    next: { text: `Go to ${key.name}`, href: pathOf(place, key) },
  });
}
