/** How a person is called, and in which time zone they read times. */
import type { Kit } from '../console/index.ts';
import { noticed } from '../console/notices.ts';
import { type Cell, cell, type Field, type Option } from '../console/view.ts';
import type { Visitor } from '../console/visitor.ts';
import type { Form } from '../middleware/form.ts';

const PATH = '/account';
const EDIT = `${PATH}/edit`;

const NAMES = [
  { name: 'display_name', label: 'Display name', autocomplete: 'nickname', hint: 'What others see. Empty: your name.' },
  { name: 'name', label: 'Name', autocomplete: 'name' },
  { name: 'given_name', label: 'Given name', autocomplete: 'given-name' },
  { name: 'family_name', label: 'Family name', autocomplete: 'family-name' },
] as const;

export function addProfile({ domain, routes, show }: Kit): void {
  const { account, authority, roles } = domain;

  routes.get(PATH, 'self', async (ctx, visitor) => {
    const user = await account.profile(visitor.user.id);
    show.detail(ctx, visitor, {
      title: 'Your profile',
      lead: 'How others see you here. Apps you connect learn of it only what you allowed them.',
      actions: [{ text: 'Edit profile', href: EDIT }],
      facts: [
        { label: 'Display name', value: cell.text(user.displayName || user.name || 'None yet') },
        { label: 'Name', value: cell.text(user.name || 'None yet') },
        { label: 'Given name', value: cell.text(user.givenName || 'None yet') },
        { label: 'Family name', value: cell.text(user.familyName || 'None yet') },
        { label: 'Email', value: cell.text(user.email, 'You log in with it. An administrator can change it') },
        { label: 'Time zone', value: zoneCell(user.timeZone) },
        { label: 'Password', value: cell.link('Change password', `${PATH}/password`) },
        { label: 'Here since', value: cell.date(user.createdAt, '') },
        { label: 'Id', value: cell.code(user.id, 'APIs know you by it') },
      ],
      sections: [
        {
          title: 'Your teams',
          table: {
            columns: ['Team', 'Your roles in it'],
            rows: await teamRows(visitor),
            none: 'You are in no team yet. An administrator can add you to one; until then there is nothing to do in Administration.',
          },
        },
      ],
    });
  });

  routes.get(EDIT, 'self', async (ctx, visitor) => {
    const user = await account.profile(visitor.user.id);
    const values = new Map([
      ['display_name', user.displayName],
      ['name', user.name],
      ['given_name', user.givenName],
      ['family_name', user.familyName],
      ['time_zone', user.timeZone ?? ''],
    ]);
    show.form(ctx, visitor, { ...formFor(user.timeZone), values });
  });

  routes.post(EDIT, 'self', async (ctx, visitor, form) => {
    const saved = await routes.attempt(
      ctx,
      visitor,
      () => account.updateProfile(visitor.user.id, read(form), visitor.caller.actor),
      (problems, status) =>
        show.form(ctx, visitor, { ...formFor(visitor.user.timeZone), values: form, problems }, status),
    );
    return saved && noticed(PATH, 'changed');
  });

  async function teamRows({ user }: Visitor): Promise<Cell[][]> {
    const names = new Map((await roles.list()).map(({ id, name }) => [id, name]));
    const teams = await authority.teamsOf(user.id);
    return teams.map(({ name, isRoot, roleIds }) => [
      cell.text(name, isRoot ? 'The root team: your roles here reach every team' : undefined),
      cell.text(roleIds.map((id) => names.get(id) ?? id).join(', ') || 'None'),
    ]);
  }
}

function formFor(zone: string | null) {
  const fields: Field[] = [
    ...NAMES.map((field) => ({ ...field, type: 'text' as const })),
    {
      name: 'time_zone',
      label: 'Time zone',
      type: 'select',
      hint: 'Times on all pages are shown in it.',
      options: zoneOptions(zone),
    },
  ];
  return {
    title: 'Edit profile',
    back: { text: 'Your profile', href: PATH },
    action: EDIT,
    fields,
    submit: 'Save',
  };
}

function read(form: Form) {
  const field = (name: string) => form.get(name) ?? '';
  return {
    displayName: field('display_name'),
    name: field('name'),
    givenName: field('given_name'),
    familyName: field('family_name'),
    timeZone: field('time_zone') || null,
  };
}

function zoneCell(zone: string | null): Cell {
  return zone === null ? cell.text('As your browser says', 'UTC where scripts are off') : cell.text(zone);
}

/** @param own kept among them even if this version of the time zone data calls it otherwise */
function zoneOptions(own: string | null): Option[] {
  const names = new Set(['UTC', ...(own === null ? [] : [own]), ...Intl.supportedValuesOf('timeZone')]);
  return [
    { value: '', text: 'As my browser says' },
    ...[...names].map((name) => ({ value: name, text: name.replaceAll('_', ' ') })),
  ];
}
