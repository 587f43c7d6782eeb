/** Where a person is logged in, and logging out there. */
import type { Context } from 'koa';
import type { Session } from '../../domain/sessions.ts';
import { AppError } from '../../errors.ts';
import type { Kit } from '../console/index.ts';
import { noticed } from '../console/notices.ts';
import { cell } from '../console/view.ts';
import type { Visitor } from '../console/visitor.ts';
import { describeDevice } from '../device.ts';

const PATH = '/account/sessions';
const OTHERS = `${PATH}/end-others`;
const BACK = { text: 'Your sessions', href: PATH };

const AND_APPS =
  'Apps there that may act only while you are logged in lose their tokens. Apps that may stay connected go on.';

export function addSessions({ domain, routes, show, defineList }: Kit): void {
  const { sessions } = domain;
  const scopeOf = ({ user, uid }: Visitor) => ({ userId: user.id, current: uid });

  const list = defineList<Session, undefined>({
    columns: [
      {
        label: 'Browser',
        cell: ({ userAgent }) => cell.text(describeDevice(userAgent)),
      },
      { label: 'Address', cell: ({ ip }) => cell.text(ip || 'Unknown') },
      { label: 'Logged in', sort: 'logged_in_at', cell: ({ loggedInAt }) => cell.date(loggedInAt, '') },
      { label: 'Last used', sort: 'last_used_at', cell: ({ lastUsedAt }) => cell.date(lastUsedAt, '') },
      {
        label: '',
        cell: ({ id, isCurrent }) =>
          isCurrent ? cell.badge('This browser', 'good') : cell.actions({ text: 'End', href: `${PATH}/${id}/end` }),
      },
    ],
    order: { field: 'last_used_at', descending: true },
    empty: {
      title: 'You are logged in nowhere',
      text: 'Each browser in which you log in, here or on the way to an app, is listed until you log out or it is not used for long.',
    },
    rows: ({ limit, order, after }, { visitor }) => sessions.list(scopeOf(visitor), { limit, order, after }),
  });

  routes.get(PATH, 'self', async (ctx, visitor) => {
    show.list(ctx, visitor, {
      title: 'Your sessions',
      lead: 'The browsers in which you are logged in. If you do not know one, end it and change your password.',
      actions: [{ text: 'End all others', href: OTHERS, danger: true }],
      list: await list(ctx, visitor, undefined),
    });
  });

  routes.get(OTHERS, 'self', (ctx, visitor) => {
    show.form(ctx, visitor, {
      title: 'End all other sessions?',
      back: BACK,
      ends: ['You are logged out in every browser but this one, at once.', AND_APPS],
      action: OTHERS,
      fields: [],
      submit: 'End all others',
      danger: true,
    });
  });
  routes.post(OTHERS, 'self', async (_ctx, visitor) => {
    await sessions.endOthers(scopeOf(visitor), visitor.caller.actor);
    return noticed(PATH, 'sessions-ended');
  });

  async function sessionOf(ctx: Context, visitor: Visitor): Promise<Session> {
    const session = await sessions.find(ctx.params.id!, scopeOf(visitor));
    if (session === undefined) throw new AppError('not_found', 'There is no such session. It may have ended already.');
    return session;
  }

  routes.get(`${PATH}/:id/end`, 'self', async (ctx, visitor) => {
    const { id, userAgent, ip, isCurrent, loggedInAt, lastUsedAt } = await sessionOf(ctx, visitor);
    show.form(ctx, visitor, {
      title: isCurrent ? 'Log out of this browser?' : 'End this session?',
      back: BACK,
      ends: [`You are logged out ${isCurrent ? 'here' : 'there'}, at once.`, AND_APPS],
      sections: [
        {
          title: describeDevice(userAgent),
          facts: [
            { label: 'Address', value: cell.text(ip || 'Unknown') },
            { label: 'Logged in', value: cell.date(loggedInAt, '') },
            { label: 'Last used', value: cell.date(lastUsedAt, '') },
            ...(userAgent === '' ? [] : [{ label: 'As it calls itself', value: cell.text(userAgent) }]),
          ],
        },
      ],
      action: `${PATH}/${id}/end`,
      fields: [],
      submit: isCurrent ? 'Log out' : 'End session',
      danger: true,
    });
  });
  routes.post(`${PATH}/:id/end`, 'self', async (ctx, visitor) => {
    const { id, isCurrent } = await sessionOf(ctx, visitor);
    await sessions.end(id, scopeOf(visitor), visitor.caller.actor);
    return isCurrent ? '/login?done=logged-out' : noticed(PATH, 'ended');
  });
}
