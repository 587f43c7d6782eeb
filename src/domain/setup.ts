/**
 * The first administrator: made once, by whoever reads the link the server prints at its start, or from the
 * environment. Several instances may start at once, so every printed link works: the digests of the last ten are
 * kept, each for 24 hours, and all of them end when there is an administrator.
 */
import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import { deleteSetting, findSetting, upsertSetting } from '../storage/settings.ts';
import { lockRootTeam } from '../storage/teams.ts';
import { type Actor, type Audit, SYSTEM } from './audit.ts';
import type { Memberships } from './memberships.ts';
import { checkName } from './names.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from './permissions.ts';
import { hasRootAdmin } from './root-admins.ts';
import type { Team, Teams } from './teams.ts';
import type { PreparedUser, User, Users } from './users.ts';

/** `name` is the person's, `teamName` the first team's. */
export interface SetupInput {
  token: string;
  email: string;
  password: string;
  name: string;
  teamName: string;
}

export interface Setup {
  /** A fresh setup token (256 random bits, base64url) to print; undefined when there is an administrator. */
  issueLink(): Promise<string | undefined>;
  /** Whether there is no administrator yet. */
  isOpen(): Promise<boolean>;
  /** Whether a setup token would work now. */
  check(token: string): Promise<boolean>;
  /**
   * Makes the first administrator and the first team; the user is Admin in it and in the root team.
   * @throws AppError `failed_precondition` when the link is used up, too old or unknown; `invalid_argument`,
   *   `already_exists` for the rest of the input, after which the link still works
   */
  complete(input: SetupInput, actor: Actor): Promise<{ user: User; team: Team }>;
  /**
   * Makes the first administrator without a link. Does nothing, and gives undefined, when there is one already.
   * @throws AppError `invalid_argument`; `already_exists` when the email belongs to somebody who is no administrator
   */
  bootstrap(admin: { email: string; password: string }): Promise<User | undefined>;
}

export interface SetupOptions {
  db: Database;
  audit: Audit;
  users: Users;
  teams: Teams;
  memberships: Memberships;
}

// Not among the settings administrators see.
const SETTING = 'setup_links';
const MOST_LINKS = 10;
const LIFE_MS = 24 * 60 * 60_000;
const LINKS = z.array(z.object({ digest: z.string(), expires_at: z.number() }));
const ROOT_ADMIN = [{ teamId: ROOT_TEAM_ID, roles: [ROLE_IDS.Admin] }];

export function createSetup({ db, audit, users, teams, memberships }: SetupOptions): Setup {
  async function addAdmin(tx: Queryable, prepared: PreparedUser, actor: Actor): Promise<User> {
    const user = await users.add(tx, prepared, actor);
    await deleteSetting(tx, SETTING);
    await audit.record(tx, { action: 'setup.completed', actor, target: { kind: 'user', id: user.id } });
    return user;
  }

  return {
    issueLink: () =>
      db.transaction(async (tx) => {
        await lockRootTeam(tx);
        if (await hasRootAdmin(tx)) return undefined;
        const token = randomBytes(32).toString('base64url');
        const links = [...(await liveLinks(tx)), { digest: digestOf(token), expires_at: Date.now() + LIFE_MS }];
        await upsertSetting(tx, SETTING, links.slice(-MOST_LINKS));
        return token;
      }),
    isOpen: async () => !(await hasRootAdmin(db)),
    check: (token) => isLive(db, token),
    async complete({ token, teamName, ...person }, actor) {
      // Asked before the password is hashed too, so that a stranger without the link costs nothing.
      if (!(await isLive(db, token))) throw deadLink();
      checkName('team_name', teamName);
      const name = checkName('name', person.name);
      const prepared = await users.prepare({ ...person, name, teamRoles: ROOT_ADMIN });
      return db.transaction(async (tx) => {
        await lockRootTeam(tx);
        if (!(await isLive(tx, token))) throw deadLink();
        const user = await addAdmin(tx, prepared, actor);
        const team = await teams.add(tx, { name: teamName }, actor);
        await memberships.assign(tx, { userId: user.id, teamId: team.id, roles: [ROLE_IDS.Admin] }, actor);
        return { user, team };
      });
    },
    async bootstrap({ email, password }) {
      if (await hasRootAdmin(db)) return undefined;
      const prepared = await users.prepare({ email, password, teamRoles: ROOT_ADMIN });
      return db.transaction(async (tx) => {
        await lockRootTeam(tx);
        return (await hasRootAdmin(tx)) ? undefined : addAdmin(tx, prepared, SYSTEM);
      });
    },
  };
}

async function isLive(db: Queryable, token: unknown): Promise<boolean> {
  if (typeof token !== 'string' || (await hasRootAdmin(db))) return false;
  const digest = digestOf(token);
  return (await liveLinks(db)).some((link) => link.digest === digest);
}

async function liveLinks(db: Queryable): Promise<z.output<typeof LINKS>> {
  const kept = LINKS.parse((await findSetting(db, SETTING))?.value ?? []);
  return kept.filter((link) => link.expires_at > Date.now());
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

function deadLink(): AppError {
  return new AppError(
    'failed_precondition',
    'This setup link does not work (any more). Restart the server to get a new one, unless setup was done already.',
  );
}
