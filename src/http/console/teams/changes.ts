/** Making teams and changing what they are called and what they see. */
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import { PROVIDER_TYPES } from '../../../domain/providers.ts';
import { POLICY_TYPES, type Team, type TeamInput } from '../../../domain/teams.ts';
import { AppError, invalidField } from '../../../errors.ts';
import type { Form } from '../../middleware/form.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import { checked, checkedIn } from '../show.ts';
import type { Field, Option } from '../view.ts';
import { pathOf, TEAMS, teamOf } from './subject.ts';

const OWN: readonly Field[] = [
  { type: 'text', name: 'name', label: 'Name', required: true },
  { type: 'text', name: 'description', label: 'Description' },
];
const SSO_ALIAS: Field = {
  ...{ type: 'text', name: 'sso_alias', label: 'SSO alias' },
  hint: 'What a single sign-on calls the team. Empty: none.',
};
const POLICY: Field = {
  ...{ type: 'radio', name: 'policy_type', label: 'Providers it sees', required: true },
  options: [
    { value: 'UNBOUND', text: 'Every provider', hint: 'Those of this and every other team.' },
    {
      value: 'PROVIDER_ID_SET',
      text: 'Chosen providers',
      hint: 'Those checked below, and what the team makes itself.',
    },
  ],
};
const TYPES: Field = {
  ...{ type: 'checks', name: 'provider_types', label: 'Only of these types' },
  hint: 'None checked: of any type.',
  options: [{ value: 'CUSTOM', text: 'Custom providers' }],
};

/** Of those that are chosen, and of others that can be. */
const MOST_CHOICES = 100;

export function addTeamChanges(kit: Kit): void {
  const { domain, routes, show, once } = kit;
  const { teams, providers } = domain;

  /** Those that are chosen first. What is not among the choices stays as it is. */
  async function choicesFor(named: Team['providers']): Promise<Option[]> {
    const all = await providers.list({}, { limit: MOST_CHOICES, order: { field: 'name', descending: false } });
    const first = named.slice(0, MOST_CHOICES);
    const others = all.filter(({ id }) => !named.some((one) => one.id === id));
    return [...first, ...others].map(({ id, name }) => ({ value: id, text: name }));
  }

  async function fieldsFor(isRoot: boolean, team: Team | undefined): Promise<Field[]> {
    if (!isRoot) return [...OWN];
    // The root team sees everything.
    if (team?.isRoot) return [...OWN, SSO_ALIAS];
    const options = await choicesFor(team?.providers ?? []);
    const chosen: Field[] =
      options.length === 0 ? [] : [{ type: 'checks', name: 'providers', label: 'Chosen providers', options }];
    return [...OWN, POLICY, ...chosen, { type: 'more', name: 'more', label: 'More', fields: [TYPES, SSO_ALIAS] }];
  }

  routes.get(`${TEAMS}/new`, 'teams.create', async (ctx, visitor) => {
    show.form(ctx, visitor, { ...(await createForm()), values: new Map([['policy_type', 'UNBOUND']]) });
  });

  routes.post(`${TEAMS}/new`, 'teams.create', async (ctx, visitor, form) => {
    const make = async () => {
      const input = { ...ownIn(form), ...policyIn(form, []) } as TeamInput;
      return { href: pathOf(await teams.create(input, visitor.caller.actor).catch(nameTaken)) };
    };
    return routes.attempt(
      ctx,
      visitor,
      () => once.run(ctx, visitor, form, make),
      async (problems, status) => show.form(ctx, visitor, { ...(await createForm()), values: form, problems }, status),
    );
  });

  const createForm = async () => ({
    title: 'Create a team',
    lead: 'Then add its members, or make keys and clients for it.',
    back: { text: 'Teams', href: TEAMS },
    action: `${TEAMS}/new`,
    fields: await fieldsFor(true, undefined),
    hidden: once.fields(),
    submit: 'Create team',
  });

  const editForm = async (team: Team, isRoot: boolean) => ({
    title: `Edit ${team.name}`,
    ...(!isRoot && { lead: 'What the team sees, and its SSO alias, can be changed from the root team.' }),
    back: { text: team.name, href: pathOf(team) },
    action: `${pathOf(team)}/edit`,
    fields: await fieldsFor(isRoot, team),
    hidden: { version: team.version },
    submit: 'Save',
  });

  routes.get(`${TEAMS}/:id/edit`, 'teams.update', async (ctx, visitor) => {
    const team = await teamOf(kit, ctx, visitor);
    const values = new Map([
      ['name', team.name],
      ['description', team.description],
      ...(team.ssoAlias === '' ? [] : [['sso_alias', team.ssoAlias]]),
      ['policy_type', team.policyType === POLICY_TYPES.UNBOUND ? 'UNBOUND' : 'PROVIDER_ID_SET'],
      ...checked(
        'providers',
        team.providers.map(({ id }) => id),
      ),
      ...(team.providerTypes.includes(PROVIDER_TYPES.CUSTOM) ? checked('provider_types', ['CUSTOM']) : []),
    ] as [string, string][]);
    show.form(ctx, visitor, { ...(await editForm(team, actsInRoot(visitor.caller))), values });
  });

  routes.post(`${TEAMS}/:id/edit`, 'teams.update', async (ctx, visitor, form) => {
    const { caller } = visitor;
    const team = await teamOf(kit, ctx, visitor);
    const isRoot = actsInRoot(caller);
    const changed = await routes.attempt(
      ctx,
      visitor,
      () => {
        const changes = {
          ...ownIn(form),
          ...(isRoot && { ssoAlias: form.get('sso_alias') ?? '' }),
          ...(isRoot && !team.isRoot && policyIn(form, team.providers)),
        };
        const scope = { ...teamReach(caller), version: form.get('version') };
        return teams.update(team.id, changes, caller.actor, scope).catch(nameTaken);
      },
      async (problems, status) =>
        show.form(ctx, visitor, { ...(await editForm(team, isRoot)), values: form, problems }, status),
    );
    return changed && noticed(pathOf(changed), 'changed');
  });
}

function ownIn(form: Form) {
  return { name: form.get('name') ?? '', description: form.get('description') ?? '' };
}

/** @param named as they are now; those too many to be shown stay */
function policyIn(form: Form, named: Team['providers']): Partial<TeamInput> {
  const word = form.get('policy_type') ?? '';
  if (!Object.hasOwn(POLICY_TYPES, word)) throw invalidField('policy_type', 'must be chosen');
  const ids = [...named.slice(MOST_CHOICES).map(({ id }) => id), ...checkedIn(form, 'providers')];
  return {
    policyType: POLICY_TYPES[word as keyof typeof POLICY_TYPES],
    providers: ids.map((id) => ({ id })),
    providerTypes: checkedIn(form, 'provider_types').includes('CUSTOM') ? [PROVIDER_TYPES.CUSTOM] : [],
    ssoAlias: form.get('sso_alias') ?? '',
  };
}

function nameTaken(error: unknown): never {
  if (!(error instanceof AppError) || error.kind !== 'already_exists') throw error;
  const fields = [{ field: 'name', description: 'is the name of another team' }];
  throw new AppError('already_exists', error.message, { fields, cause: error });
}
