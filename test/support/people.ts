/** The people half of the domain on a fresh database, and short ways to make users and teams. */
import { randomUUID } from 'node:crypto';
import { type Actor, createAudit } from '../../src/domain/audit.ts';
import { createAuthority } from '../../src/domain/authority.ts';
import { createMemberships } from '../../src/domain/memberships.ts';
import { createPasswords } from '../../src/domain/passwords.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { createSetup } from '../../src/domain/setup.ts';
import { createTeams } from '../../src/domain/teams.ts';
import { createUsers, type User, type UserInput } from '../../src/domain/users.ts';
import { createNotifications } from '../../src/storage/notifications.ts';
import { openDatabase } from '../../src/storage/pool.ts';
import { createTestDatabase } from './postgres.ts';

export const TESTER: Actor = { kind: 'operator', id: 'test' };

export interface RecordedEvent {
  action: string;
  outcome: string;
  actor_kind: string;
  actor_id: string;
  team_id: string | null;
  target_id: string;
  details: Record<string, unknown>;
}

/** Opens everything; `close` drops the database. */
export async function openPeople() {
  const database = await createTestDatabase();
  const db = openDatabase({ connectionString: database.connectionString });
  const notifications = createNotifications({ db });
  await notifications.start();
  const audit = createAudit({ db });
  // Real ones would be most of the time; what they cost is tested where it matters.
  const passwords = createPasswords({ cost: { memoryKib: 64, passes: 1, lanes: 1 } });
  const authority = createAuthority({ db, notifications });
  const memberships = createMemberships({ db, audit, authority });
  const users = createUsers({ db, audit, passwords, memberships });
  const teams = createTeams({ db, audit });
  return {
    db,
    notifications,
    audit,
    passwords,
    memberships,
    users,
    teams,
    authority,
    setup: createSetup({ db, audit, users, teams, memberships }),
    /** A user with a new email and, unless told otherwise, no password and no team. */
    makeUser: (input: Partial<UserInput> = {}): Promise<User> =>
      users.create({ email: `${randomUUID()}@example.com`, name: 'Somebody', ...input }, TESTER),
    makeRootAdmin: (input: Partial<UserInput> = {}): Promise<User> =>
      users.create(
        {
          email: `${randomUUID()}@example.com`,
          teamRoles: [{ teamId: ROOT_TEAM_ID, roles: [ROLE_IDS.Admin] }],
          ...input,
        },
        TESTER,
      ),
    makeTeam: (name = `Team ${randomUUID()}`) => teams.create({ name }, TESTER),
    /** What the audit trail holds of one action, oldest first. */
    async events(action: string): Promise<RecordedEvent[]> {
      await audit.flush();
      const { rows } = await db.query<RecordedEvent>('SELECT * FROM audit_events WHERE action = $1 ORDER BY id', [
        action,
      ]);
      return rows;
    },
    async close() {
      await audit.close();
      await notifications.close();
      await db.close();
      await database.drop();
    },
  };
}

export type People = Awaited<ReturnType<typeof openPeople>>;
