/** The first page: what can act, what is used, and what deserves a look, as far as the visitor may see it. */
import { actsInRoot, teamReach } from '../../../domain/authorization.ts';
import type { UseKind } from '../../../domain/credential-uses.ts';
import type { CredentialKind } from '../../../domain/credentials.ts';
import {
  type ComingRetirement,
  type Count,
  EXPIRING_DAYS,
  NEVER_USED_DAYS,
  REFUSALS_DAYS,
  RETIRING_USED_DAYS,
  UNUSED_DAYS,
  USES_DAYS,
} from '../../../domain/overview.ts';
import { API_KEYS } from '../api-keys/guide.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { RETIREMENTS, subjectOf } from '../retirements/subject.ts';
import type { Frame } from '../show.ts';
import { type Action, cell, type Section } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import { type Plot, plot } from './plot.ts';

interface Card {
  label: string;
  value: string;
  href: string;
  hint: string;
}

interface OverviewPage {
  title: string;
  lead: string;
  actions: Action[];
  groups: { title: string; cards: Card[] }[];
  plot: Plot | null;
  sections: Section[];
}

/** What a kind is called when there are many of it. */
const KIND_NAMES: Record<CredentialKind, string> = {
  personal_key: 'Personal keys',
  team_key: 'Team keys',
  oauth2_client: 'OAuth2 Clients',
  oauth2_app: 'Apps, by consent',
};

// In the order they are stacked.
const USES: Record<UseKind, string> = {
  personal_key: 'Personal keys',
  team_key: 'Team keys',
  oauth2_client: 'OAuth2 Clients',
  oauth2_app: 'OAuth2 Apps',
  exchanged_token: 'Tokens got for keys',
};

const REFUSALS: Record<string, string> = {
  'user.login_refused': 'Logins refused',
  'user.password_refused': 'Wrong passwords at changing one',
  'api_request.refused': 'Requests to this server refused',
  'token.refused': 'Tokens not issued',
  'authorization.refused': 'Sign-ins with an app refused',
  'authorization_request.refused': 'Pushed authorization requests refused',
  'introspection.refused': 'Introspection refused',
  'revocation.refused': 'Revocation refused',
  'userinfo.refused': 'User information refused',
};

export function addOverview(kit: Kit): void {
  const { pages, routes, show } = kit;
  const page = pages.declare<{ frame: Frame; page: OverviewPage }>('console/overview', ['frame', 'page'], {
    scripted: true,
  });

  routes.get('/console', 'self', async (ctx, visitor) => {
    const seesCredentials = mayUse(visitor, 'credentials.list');
    const [groups, uses, retirements] = seesCredentials
      ? await Promise.all([credentialGroups(kit, visitor), usesPlot(kit, visitor), retirementSection(kit, visitor)])
      : [[], null, undefined];
    const refusals = mayUse(visitor, 'audit_events.list') ? [await refusalSection(kit, visitor)] : [];
    page(ctx, {
      frame: show.frame(ctx, visitor),
      page: {
        title: 'Overview',
        lead: leadFor(visitor, seesCredentials),
        actions: firstSteps(visitor, groups),
        groups,
        plot: uses,
        sections: [
          ...refusals,
          ...(retirements === undefined ? [] : [retirements]),
          ...(groups.length === 0 ? [ownSection] : []),
        ],
      },
    });
  });
}

const ownSection: Section = {
  title: 'Yours',
  lead: 'Your keys, the apps you connected, and where you are logged in are in your account.',
  actions: [
    { text: 'Your keys', href: '/account/keys' },
    { text: 'Connected apps', href: '/account/apps' },
  ],
};

function leadFor({ caller, team }: Visitor, seesCredentials: boolean): string {
  if (team === undefined) return 'You are in no team yet. Ask an administrator to add you to one.';
  if (!seesCredentials) return 'Your roles in this team do not let you see what acts for it.';
  return actsInRoot(caller)
    ? 'What can act for any team, what is used, and what deserves a look.'
    : 'What can act for your team, what is used, and what deserves a look.';
}

/** Where nothing can act yet, the way to what can. */
function firstSteps(visitor: Visitor, [canAct]: OverviewPage['groups']): Action[] {
  const isEmpty = canAct?.cards.every(({ value }) => value === '0');
  const mayCreate = mayUse(visitor, 'api_keys.create') || mayUse(visitor, 'team_keys.create');
  return isEmpty && mayCreate ? [{ text: 'Create your first credential', href: API_KEYS, primary: true }] : [];
}

async function credentialGroups({ domain }: Kit, { caller }: Visitor) {
  const { active, expiring, neverUsed, unused } = await domain.overview.credentials(teamReach(caller));
  const at = (query: Record<string, string>) =>
    `/console/credentials?${new URLSearchParams({ ...query, status: 'active' })}`;
  const card = (label: string, count: Count, query: Record<string, string>, hint = ''): Card => ({
    label,
    value: shownCount(count),
    href: at(query),
    hint,
  });
  return [
    {
      title: 'What can act now',
      cards: (Object.keys(KIND_NAMES) as CredentialKind[]).map((kind) =>
        card(KIND_NAMES[kind], active[kind], { kind }),
      ),
    },
    {
      title: 'Deserves a look',
      cards: [
        card(
          `Expire within ${EXPIRING_DAYS} days`,
          expiring,
          { expires: String(EXPIRING_DAYS) },
          'Rotate what is still needed',
        ),
        card(
          'Never used',
          neverUsed,
          { use: `never-${NEVER_USED_DAYS}` },
          `Made more than ${NEVER_USED_DAYS} days ago`,
        ),
        card(`Not used for ${UNUSED_DAYS} days`, unused, { use: `unused-${UNUSED_DAYS}` }, 'Revoke what nobody needs'),
      ],
    },
  ];
}

async function usesPlot({ domain }: Kit, { caller }: Visitor): Promise<Plot> {
  const days = await domain.overview.uses(teamReach(caller));
  return plot({
    title: `Requests per day, last ${USES_DAYS} days`,
    unit: 'requests',
    days: days.map(({ day }) => day),
    series: (Object.keys(USES) as UseKind[]).map((kind) => ({
      name: USES[kind],
      values: days.map(({ requests }) => requests[kind]),
    })),
  });
}

async function refusalSection({ domain }: Kit, { caller }: Visitor): Promise<Section> {
  const { actions, isMore } = await domain.overview.refusals(teamReach(caller));
  const from = new Date(Date.now() - REFUSALS_DAYS * 24 * 3600 * 1000).toISOString().slice(0, 10);
  const at = (query: Record<string, string>) =>
    `/console/audit?${new URLSearchParams({ ...query, outcome: 'refused', from })}`;
  return {
    title: `Refused in the last ${REFUSALS_DAYS} days`,
    lead: isMore
      ? 'The latest 1,000 are counted; there are more.'
      : 'Wrong passwords and credentials, and what somebody was not permitted to do.',
    table: {
      columns: ['What', 'How often'],
      rows: actions.map(({ action, count }) => [
        cell.link(REFUSALS[action] ?? action, at({ action })),
        cell.text(count.toLocaleString('en-US')),
      ]),
      none: 'Nothing was refused.',
    },
  };
}

async function retirementSection({ domain }: Kit, { caller }: Visitor): Promise<Section> {
  const coming = await domain.overview.comingRetirements(teamReach(caller));
  return {
    title: 'Keys to be retired',
    table: {
      columns: ['Keys', 'Retires', `Still used in the last ${RETIRING_USED_DAYS} days`],
      rows: coming.map((one) => [
        cell.link(subjectOf(one), `${RETIREMENTS}/${one.id}`),
        cell.date(one.retiresAt, ''),
        usedCell(one),
      ]),
      none: 'No keys are to be retired. Announce a day before you switch keys off, and their callers are told.',
    },
    actions: [{ text: 'Key retirements', href: RETIREMENTS }],
  };
}

function usedCell({ used }: ComingRetirement) {
  if (used.count === 0) return cell.text('None');
  return cell.badge(used.count === 1 && !used.isMore ? '1 key' : `${shownCount(used)} keys`, 'warn');
}

/** `1,000+` for what was not counted to its end. */
function shownCount({ count, isMore }: Count): string {
  return `${count.toLocaleString('en-US')}${isMore ? '+' : ''}`;
}
