/** Lines of an import as rows: each word looked up, each right asked for, what is wrong told by line. */
import { AppError, invalidField } from '../errors.ts';
import * as storage from '../storage/imported-keys.ts';
import type { Queryable } from '../storage/pool.ts';
import type { Actor } from './audit.ts';
import type { Authority } from './authority.ts';
import { grantable } from './authorization.ts';
import type { Peppers } from './imported-digests.ts';
import { type CheckedLine, checkLine, problemOf } from './key-import-line.ts';
import { createScopesToGive } from './key-scopes.ts';
import { isUuid } from './names.ts';
import { TEAM_KEY_PERMISSIONS } from './permissions.ts';
import { findRegisteredScopes } from './resource-servers.ts';

/** One key as it was written down: `fields` by the names of `IMPORT_FIELDS`, or what is wrong with the whole line. */
export type ImportLine = { line: number } & ({ fields: Readonly<Record<string, unknown>> } | { problem: string });

export interface ImportProblem {
  line: number;
  /** The field that is wrong, or `line`. */
  field: string;
  /** Never holds what was given. */
  description: string;
}

/** A key that can be made, but for what only the table of keys can tell. */
export type ImportRow = { line: number } & Omit<storage.NewImportedKey, 'id' | 'createdBy'>;

export interface RowsOptions {
  db: Queryable;
  authority: Pick<Authority, 'permissionsIn'>;
  peppers: Peppers;
  actor: Actor;
}

export type ReadRows = (batch: readonly ImportLine[]) => Promise<{ rows: ImportRow[]; problems: ImportProblem[] }>;

/** @returns a function that throws AppError `permission_denied` when the actor may not make such keys */
export function createReadRows({ db, authority, peppers, actor }: RowsOptions): ReadRows {
  const mayGiveIn = remember((teamId: string) => grantable(authority, actor, teamId));
  const toGiveIn = remember((teamId: string) => createScopesToGive(authority, actor, teamId));

  /** What making such a key by hand takes: nobody makes by import what they could not make otherwise. */
  async function requireRights({ userId, teamId }: Whose): Promise<void> {
    const needed = userId === null ? ['teamkeys:write', ...TEAM_KEY_PERMISSIONS] : ['apikeys:write'];
    const mayGive = await mayGiveIn(teamId);
    const lacking = needed.filter((one) => !mayGive(one));
    if (lacking.length > 0) {
      throw new AppError('permission_denied', `Importing these keys needs what you may not do: ${lacking.join(', ')}.`);
    }
  }

  return async (batch) => {
    const problems: ImportProblem[] = [];
    const others = await findRegisteredScopes(db);
    const checked: ({ line: number } & CheckedLine)[] = [];
    for (const one of batch) {
      if ('problem' in one) problems.push({ line: one.line, field: 'line', description: one.problem });
      else attempt(one.line, () => checked.push({ line: one.line, ...checkLine(one.fields, peppers, others) }));
    }
    const whose = await createWhose(db, checked);
    const rows: ImportRow[] = [];
    for (const { owner, team, scopes: asked, ...line } of checked) {
      const found = attempt(line.line, () => whose(owner, team));
      if (found === undefined) continue;
      await requireRights(found);
      const { userId, teamId } = found;
      const toGive = await toGiveIn(teamId);
      const scopes = userId === null ? null : attempt(line.line, () => toGive(asked, others));
      if (scopes !== undefined) {
        rows.push({ ...line, kind: userId === null ? 'team' : 'personal', userId, teamId, scopes });
      }
    }
    return { rows, problems };

    function attempt<T>(line: number, work: () => T): T | undefined {
      try {
        return work();
      } catch (error) {
        return fail(line, error);
      }
    }

    function fail(line: number, error: unknown): undefined {
      problems.push({ line, ...problemOf(error) });
    }
  };
}

interface Whose {
  userId: string | null;
  teamId: string;
}

/** Looks up everybody the lines name, in two statements. */
async function createWhose(db: Queryable, lines: readonly CheckedLine[]) {
  const teams = await storage.listMeantTeams(db, wordsOf(lines.map(({ team }) => team)));
  const people = await storage.listMeantUsers(db, wordsOf(lines.map(({ owner }) => owner)));
  const users = new Map(people.map((one) => [one.word, one]));

  return (owner: string | undefined, team: string | undefined): Whose => {
    const teamId = team === undefined ? undefined : teams.get(wordOf(team));
    if (team !== undefined && teamId === undefined) throw invalidField('team', 'there is no such team');
    if (owner === undefined) return { userId: null, teamId: teamId! };
    const user = users.get(wordOf(owner));
    if (user === undefined) throw invalidField('owner', 'there is no such user');
    if (teamId === undefined) {
      const [only, ...others] = user.teamIds;
      if (only === undefined) throw invalidField('owner', 'is in no team, so a key cannot act anywhere');
      if (others.length > 0) throw invalidField('team', 'must be given: the owner is in several');
      return { userId: user.id, teamId: only };
    }
    if (!user.teamIds.includes(teamId)) throw invalidField('owner', 'is not a member of the team');
    return { userId: user.id, teamId };
  };
}

function wordsOf(words: readonly (string | undefined)[]): string[] {
  return [...new Set(words.flatMap((one) => (one === undefined ? [] : [wordOf(one)])))];
}

/** Ids may come in upper case; names are kept in NFC, and case does not count for them anyway. */
function wordOf(word: string): string {
  const id = word.toLowerCase();
  return isUuid(id) ? id : word.normalize('NFC');
}

/** One question once. */
function remember<T>(ask: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const answers = new Map<string, Promise<T>>();
  return (key) => {
    const answer = answers.get(key) ?? ask(key);
    answers.set(key, answer);
    return answer;
  };
}
