/** What the four places under API Keys have in common: the way among them, and which of them somebody needs. */
import type { OperationId } from '../../../domain/authorization.ts';
import { mayUse } from '../navigation.ts';
import type { Tab } from '../show.ts';
import { cell, type Section } from '../view.ts';
import type { Visitor } from '../visitor.ts';

export const API_KEYS = '/console/api-keys';

export type ApiKeyTab = 'personal' | 'team' | 'apps' | 'clients';

interface Place {
  tab: ApiKeyTab;
  text: string;
  need: OperationId;
  /** For whoever has what to do. */
  task: string;
  actsAs: string;
  ends: string;
}

const PLACES: readonly Place[] = [
  {
    tab: 'personal',
    text: 'Personal',
    need: 'api_keys.list',
    task: 'Your own script or command line calls an API',
    actsAs: 'You, with what you may do in one team at that moment',
    ends: 'When it expires, or when you leave the team',
  },
  {
    tab: 'team',
    text: 'Team',
    need: 'team_keys.list',
    task: 'An integration of the team calls an API and can only keep a fixed key',
    actsAs: 'The service account of the team',
    ends: 'When it expires; it stays when its maker leaves',
  },
  {
    tab: 'apps',
    text: 'OAuth2 Apps',
    need: 'oauth_apps.list',
    task: 'An app lets people log in, or acts for them',
    actsAs: 'The user who allowed it, in the team they chose',
    ends: 'When the user disconnects it, or the app is disabled',
  },
  {
    tab: 'clients',
    text: 'OAuth2 Clients',
    need: 'oauth_clients.list',
    task: 'A backend service calls an API and can fetch short-lived tokens',
    actsAs: 'Itself, in one team, with the scopes it was given',
    ends: 'When it is disabled; secrets can be changed without a gap',
  },
];

/** Those the person may see. */
export function apiKeyTabs(visitor: Pick<Visitor, 'caller'>, current: ApiKeyTab): Tab[] {
  return PLACES.filter(({ need }) => mayUse(visitor, need)).map(({ tab, text }) => ({
    text,
    href: `${API_KEYS}/${tab}`,
    current: tab === current,
  }));
}

/** Where the way to API Keys leads; undefined when the person may see none of it. */
export function firstTab(visitor: Pick<Visitor, 'caller'>): string | undefined {
  const first = PLACES.find(({ need }) => mayUse(visitor, need));
  return first && `${API_KEYS}/${first.tab}`;
}

/** All four, whoever asks: what one may not make oneself, an administrator can be asked for. */
export function apiKeyGuide(): Section {
  return {
    title: 'Which do I need?',
    table: {
      columns: ['What you have', 'What you need', 'It acts as', 'It ends'],
      rows: PLACES.map(({ tab, text, task, actsAs, ends }) => [
        cell.text(task),
        cell.text(tab === 'personal' || tab === 'team' ? `${text} key` : text.replace(/s$/, '')),
        cell.text(actsAs),
        cell.text(ends),
      ]),
      none: '',
    },
  };
}
