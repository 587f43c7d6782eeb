/** `latchkey user connected-apps` and `latchkey user disconnect` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { ConnectedApp } from '../domain/connected-apps.ts';
import type { Deps } from './deps.ts';
import { fields, table, wire } from './output.ts';
import type { Session } from './session.ts';

const MOST_LISTED = 1_000;

interface ScopeOptions {
  team?: string;
}

export function addConnectedAppCommands(user: Command, { output, withSession }: Deps): void {
  user
    .command('connected-apps')
    .description(`list the apps a user lets act for them, one for each team, at most ${MOST_LISTED}`)
    .argument('<user>', 'id or email')
    .option('--team <team>', 'only in this team (id or name)')
    .action(async (word: string, options: ScopeOptions) => {
      const apps = await withSession(async (session) =>
        session.domain.connectedApps.list(await scopeOf(session, word, options), { limit: MOST_LISTED }),
      );
      const rows = apps.map((one) => [
        one.clientId,
        one.name,
        one.teamName,
        one.createdAt,
        one.lastUsedAt ?? 'never',
        one.expiresAt,
        one.scopes,
      ]);
      const heading = ['CLIENT ID', 'NAME', 'TEAM', 'CONNECTED', 'LAST USED', 'EXPIRES', 'SCOPES'];
      output.print(apps.map(toWire), apps.length === 0 ? 'There are no connected apps.' : table(heading, rows));
    });
  user
    .command('disconnect')
    .description("end a user's consents to an app, with every token it got by them")
    .argument('<user>', 'id or email')
    .argument('<app>', 'its client_id, as `user connected-apps` shows it')
    .option('--team <team>', 'only in this team (id or name)')
    .action(async (word: string, clientId: string, options: ScopeOptions) => {
      const ended = await withSession(async (session) =>
        session.domain.connectedApps.disconnect(clientId, await scopeOf(session, word, options), OPERATOR),
      );
      const counts = { ended_grants: ended };
      output.print(counts, fields(counts));
    });
}

async function scopeOf({ user, team }: Session, userWord: string, { team: teamWord }: ScopeOptions) {
  const teamId = teamWord === undefined ? undefined : (await team(teamWord)).id;
  return { userId: (await user(userWord)).id, teamId };
}

/** The app as the management API shows it. */
function toWire({ id: _id, sortKey: _sortKey, ...app }: ConnectedApp): Record<string, unknown> {
  return wire(app);
}
