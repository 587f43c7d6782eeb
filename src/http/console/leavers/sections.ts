/** What stops and what goes on when somebody leaves, as tables. */
import {
  type LeaverPreview,
  type LeavingKey,
  MOST_LISTED,
  MOST_MADE_LISTED,
  RECENT_DAYS,
} from '../../../domain/leavers.ts';
import { PERSONAL, TEAM } from '../api-keys/place.ts';
import { mayUse } from '../navigation.ts';
import { APPS } from '../oauth-apps/subject.ts';
import { CLIENTS } from '../oauth-clients/subject.ts';
import { pathOf } from '../users/subject.ts';
import { type Cell, cell, type Section, shortOf } from '../view.ts';
import type { Visitor } from '../visitor.ts';

interface Leaving {
  /** Where a hand-over comes back to. */
  from: string;
  /** The keys can come back. */
  isPaused: boolean;
}

export function leaverSections(visitor: Visitor, preview: LeaverPreview, leaving: Leaving): Section[] {
  return [
    keysSection(visitor, preview, leaving),
    appsSection(preview),
    ...(preview.team === undefined ? [sessionsSection(preview)] : []),
    madeSection(preview),
  ];
}

function keysSection(visitor: Visitor, { user, team, keys, hasMoreKeys }: LeaverPreview, leaving: Leaving): Section {
  const mayMake = mayUse(visitor, 'team_keys.create') || mayUse(visitor, 'oauth_clients.create');
  const recent = keys.filter(({ isRecent }) => isRecent).length;
  const count = hasMoreKeys ? `more than ${keys.length}` : String(keys.length);
  const handOver = (key: LeavingKey) =>
    `${pathOf(user)}/hand-over/${key.id}?${new URLSearchParams({ from: leaving.from })}`;
  const rows = keys.map((key): Cell[] => [
    cell.text(key.name, shortOf(key)),
    ...(team === undefined ? [cell.text(key.teamName)] : []),
    key.scopes === null ? cell.text('All they may do') : cell.words(key.scopes, 'Nothing'),
    cell.date(key.lastUsedAt, 'Never used', key.isRecent ? 'In use' : undefined),
    cell.text(key.successors.map(successorOf).join('; ') || 'Nothing yet'),
    ...(mayMake ? [cell.actions({ text: 'Hand over', href: handOver(key) })] : []),
  ]);
  const columns = ['Key', ...(team === undefined ? ['Team'] : []), 'Scopes', 'Last used', 'Handed over to'];
  return {
    title: `Personal keys that ${leaving.isPaused ? 'stop' : 'end'}: ${count}`,
    ...(keys.length > 0 && {
      lead: [
        recent === 0
          ? `None was used in the last ${RECENT_DAYS} days.`
          : `${recent} of them ${recent === 1 ? 'was' : 'were'} used in the last ${RECENT_DAYS} days: something will fail without ${recent === 1 ? 'it' : 'them'}.`,
        ...(mayMake
          ? ['Hand a key over to make a team key or a client that stays; the key goes on until you are done here.']
          : []),
        ...(hasMoreKeys ? [`These are the ${MOST_LISTED} used last. The others stop with them.`] : []),
      ].join(' '),
    }),
    ...(hasMoreKeys && {
      actions: [{ text: 'All their keys', href: `${PERSONAL.path}?${new URLSearchParams({ q: user.email })}` }],
    }),
    table: { columns: mayMake ? [...columns, ''] : columns, rows, none: 'No key of theirs is good at the moment.' },
  };
}

function successorOf({ kind, name, exists, lastUsedAt }: LeavingKey['successors'][number]): string {
  const what = kind === 'team_key' ? 'Team key' : 'Client';
  if (!exists) return `${what} ${name} (deleted since)`;
  return `${what} ${name} (${lastUsedAt === null ? 'not used yet' : 'in use'})`;
}

function appsSection({ team, apps, hasMoreApps }: LeaverPreview): Section {
  return {
    title: `Connected apps that are cut off: ${hasMoreApps ? `more than ${apps.length}` : apps.length}`,
    ...(hasMoreApps && { lead: `These are the first ${MOST_LISTED}. The others are cut off with them.` }),
    table: {
      columns: ['App', ...(team === undefined ? ['Team'] : []), 'Scopes', 'Last used'],
      rows: apps.map((app) => [
        cell.text(app.name),
        ...(team === undefined ? [cell.text(app.teamName)] : []),
        cell.words(app.scopes, 'None'),
        cell.date(app.lastUsedAt, 'Never'),
      ]),
      none: 'They let no app act for them.',
    },
  };
}

function sessionsSection({ sessions }: LeaverPreview): Section {
  return {
    title: `Browser sessions that end: ${sessions}`,
    points: [
      sessions === 0
        ? 'They are not logged in anywhere.'
        : `They are logged out of ${sessions === 1 ? 'one browser' : `${sessions} browsers`}.`,
    ],
  };
}

const KINDS = {
  team_key: { text: 'Team key', href: TEAM.path },
  oauth2_client: { text: 'OAuth2 Client', href: CLIENTS },
  oauth2_app: { text: 'OAuth2 App', href: APPS },
} as const;

function madeSection({ team, made, hasMoreMade }: LeaverPreview): Section {
  const where = team === undefined ? '' : ' in this team';
  return {
    title: `What goes on: ${hasMoreMade ? `more than ${MOST_MADE_LISTED}` : made.length}`,
    ...(made.length > 0 && {
      lead: `They made these${where}, and they stay. Whoever made one may know its secret: rotate those that matter.${
        hasMoreMade ? ` The ${MOST_MADE_LISTED} newest are shown.` : ''
      }`,
    }),
    table: {
      columns: ['Name', 'Kind', 'Team', 'Last used', ''],
      rows: made.map(({ id, kind, name, teamName, lastUsedAt }) => [
        cell.link(name, `${KINDS[kind].href}/${id}`),
        cell.text(KINDS[kind].text),
        cell.text(teamName ?? 'Every team'),
        cell.date(lastUsedAt, 'Never'),
        cell.actions({ text: 'Rotate', href: `${KINDS[kind].href}/${id}` }),
      ]),
      none: `They made no team key, client or app${where} that is switched on.`,
    },
  };
}
