/** What a person let act in their name, in all of their teams, and disconnecting it. */
import type { Context } from 'koa';
import type { ConnectedApp } from '../../domain/connected-apps.ts';
import { isUuid } from '../../domain/names.ts';
import { describeScope, isIdentityScope, isScope } from '../../domain/permissions.ts';
import { AppError } from '../../errors.ts';
import type { Kit } from '../console/index.ts';
import { noticed } from '../console/notices.ts';
import { type Cell, cell } from '../console/view.ts';
import type { Visitor } from '../console/visitor.ts';

const PATH = '/account/apps';

type Told = ConnectedApp & { sentences: string[] };

export function addConnectedApps({ domain, routes, show, defineList }: Kit): void {
  const { connectedApps, resourceServers } = domain;

  const list = defineList<Told, undefined>({
    columns: [
      { label: 'App', cell: (app) => cell.link(app.name, pathOf(app)) },
      { label: 'Team', cell: ({ teamName }) => cell.text(teamName) },
      { label: 'It may', cell: ({ sentences }) => sentencesCell(sentences) },
      { label: 'Connected', sort: 'created_at', cell: ({ createdAt }) => cell.date(createdAt, '') },
      { label: 'Last used', cell: ({ lastUsedAt }) => cell.date(lastUsedAt, 'Never') },
      {
        label: '',
        cell: (app) => cell.actions({ text: 'Disconnect', href: `${pathOf(app)}/disconnect`, danger: true }),
      },
    ],
    order: { field: 'created_at', descending: false },
    empty: {
      title: 'You have connected no app',
      text: 'When an app asks to act for you and you allow it, it is listed here with what it may do, until you disconnect it.',
    },
    async rows({ limit, order, after }, { visitor }) {
      return told(await connectedApps.list({ userId: visitor.user.id }, { limit, order, after }));
    },
  });

  routes.get(PATH, 'self', async (ctx, visitor) => {
    show.list(ctx, visitor, {
      title: 'Connected apps',
      lead: 'Apps you let act for you, each in one team. They stay until you disconnect them, also while they have no token.',
      list: await list(ctx, visitor, undefined),
    });
  });

  routes.get(`${PATH}/:clientId/:teamId`, 'self', async (ctx, visitor) => {
    const app = await appOf(ctx, visitor);
    show.detail(ctx, visitor, {
      title: app.name,
      lead: 'An app you let act for you. It can do no more than you can, whatever it was allowed.',
      back: { text: 'Connected apps', href: PATH },
      actions: [{ text: 'Disconnect', href: `${pathOf(app)}/disconnect`, danger: true }],
      facts: [
        { label: 'Team', value: cell.text(app.teamName) },
        { label: 'Connected', value: cell.date(app.createdAt, '') },
        { label: 'Last used', value: cell.date(app.lastUsedAt, 'Never') },
        { label: 'Asks you again', value: cell.date(app.expiresAt, '') },
        { label: 'Client ID', value: cell.code(app.clientId) },
      ],
      sections: [{ title: 'It may', points: app.sentences }],
    });
  });

  routes.get(`${PATH}/:clientId/:teamId/disconnect`, 'self', async (ctx, visitor) => {
    const app = await appOf(ctx, visitor);
    show.form(ctx, visitor, {
      title: `Disconnect ${app.name}?`,
      back: { text: app.name, href: pathOf(app) },
      ends: [
        `Your consent ends: the app may not act for you in ${app.teamName} any more.`,
        'All its refresh tokens and access tokens for that end with it, at once.',
        'To use the app again, log in there and allow it anew. What it did stays done.',
      ],
      action: `${pathOf(app)}/disconnect`,
      fields: [],
      submit: 'Disconnect',
      danger: true,
    });
  });
  routes.post(`${PATH}/:clientId/:teamId/disconnect`, 'self', async (ctx, visitor) => {
    const { clientId, teamId } = await appOf(ctx, visitor);
    await connectedApps.disconnect(clientId, { userId: visitor.user.id, teamId }, visitor.caller.actor);
    return noticed(PATH, 'disconnected');
  });

  async function appOf(ctx: Context, { user }: Visitor): Promise<Told> {
    const { clientId = '', teamId = '' } = ctx.params;
    const conditions = [{ field: 'client_id', operator: 'eq' as const, value: clientId }];
    const apps = isUuid(teamId) ? await connectedApps.list({ userId: user.id, teamId }, { limit: 1, conditions }) : [];
    const [app] = await told(apps);
    if (app === undefined) throw new AppError('not_found', 'There is no such app. It may be disconnected already.');
    return app;
  }

  function told(apps: readonly ConnectedApp[]): Promise<Told[]> {
    return Promise.all(
      apps.map(async (app) => ({ ...app, sentences: await Promise.all(actsFirst(app.scopes).map(describe)) })),
    );
  }

  /** Words of other APIs are those they were registered with. */
  async function describe(word: string): Promise<string> {
    if (isScope(word)) return describeScope(word);
    const server = await resourceServers.findByScope(word);
    const description = server?.scopes.find(({ name }) => name === word)?.description;
    return server === undefined ? word : `${description || word} (${server.name})`;
  }
}

function pathOf({ clientId, teamId }: ConnectedApp): string {
  return `${PATH}/${encodeURIComponent(clientId)}/${teamId}`;
}

/** What an app may do tells more than what it knows. */
function actsFirst(scopes: readonly string[]): string[] {
  return scopes.toSorted((one, other) => Number(isIdentityScope(one)) - Number(isIdentityScope(other)));
}

const MOST_SENTENCES = 2;

function sentencesCell(sentences: readonly string[]): Cell {
  const rest = sentences.length - MOST_SENTENCES;
  const shown = sentences.slice(0, MOST_SENTENCES).join('. ') || 'Know that you allowed it, no more';
  return cell.text(shown, rest > 0 ? `and ${rest} more` : undefined);
}
