/** A team to choose: from a list while there are few, by its name when there are many. */
import type { Team, Teams } from '../../../domain/teams.ts';
import { AppError, invalidField } from '../../../errors.ts';
import type { Field, Option } from '../view.ts';

/** More than this nobody reads through. */
const MOST = 100;

/** The first teams by name, and the one that is chosen. `isAll`: there are no others. */
export async function teamOptions(
  teams: Pick<Teams, 'list' | 'find'>,
  chosen: string | undefined,
): Promise<{ options: Option[]; isAll: boolean }> {
  const found = await teams.list({}, { limit: MOST + 1, order: { field: 'name', descending: false } });
  const first = found.slice(0, MOST);
  const also = chosen === undefined || first.some(({ id }) => id === chosen) ? undefined : await teams.find(chosen);
  return {
    options: [...(also === undefined ? [] : [also]), ...first].map(({ id, name }) => ({ value: id, text: name })),
    isAll: found.length <= MOST,
  };
}

/** @param none what choosing no team means; without it one must be chosen */
export async function teamField(
  teams: Pick<Teams, 'list' | 'find'>,
  { chosen, none }: { chosen?: string | undefined; none?: string },
): Promise<Field> {
  const { options, isAll } = await teamOptions(teams, chosen);
  const field = { name: 'team_id', label: 'Team' };
  if (!isAll) {
    const hint = none === undefined ? 'Its name' : `Its name. Empty: ${none}`;
    return { ...field, type: 'text', hint, required: none === undefined };
  }
  return {
    ...field,
    type: 'select',
    required: none === undefined,
    options: [{ value: '', text: none ?? 'Choose a team' }, ...options],
  };
}

/** The team that was chosen or named; undefined for none. @throws AppError `invalid_argument` at the field */
export async function teamNamed(teams: Pick<Teams, 'resolve'>, word: string | undefined): Promise<Team | undefined> {
  if (word === undefined || word.trim() === '') return undefined;
  return teams.resolve(word.trim()).catch((error: unknown) => {
    if (error instanceof AppError && error.kind === 'not_found')
      throw invalidField('team_id', 'is not the name of a team');
    throw error;
  });
}
