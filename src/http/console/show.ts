/** The few kinds of pages the console is made of: a list, the details of one thing, a form, a secret that is shown once. */
import type { Context } from 'koa';
import type { AppError } from '../../errors.ts';
import type { Form } from '../middleware/form.ts';
import { requestInfoOf } from '../middleware/request-info.ts';
import { type Page, type Pages, titleOf } from '../pages.ts';
import type { ShownList } from './list.ts';
import { type NavigationGroup, navigationFor } from './navigation.ts';
import { noticeOf } from './notices.ts';
import { NO_PROBLEMS, type Problems } from './problems.ts';
import { shownTime } from './times.ts';
import type { Action, Cell, Fact, Field, Section, ShownCell } from './view.ts';
import type { Visitor } from './visitor.ts';

/** What is around every page. */
export interface Frame {
  userName: string;
  userEmail: string;
  teamId: string;
  teamName: string;
  mayChooseTeam: boolean;
  navigation: NavigationGroup[];
  csrf: string;
  notice: string;
  /** IANA name; empty: the script shows times as the browser has them, without it they are UTC. */
  zone: string;
  shownCell: (cell: Cell) => ShownCell;
}

/** A way among pages of one place: tabs. */
export interface Tab {
  text: string;
  href: string;
  current: boolean;
}

export interface Back {
  text: string;
  href: string;
}

interface Head {
  title: string;
  /** What the place is for, in a sentence. */
  lead?: string;
  tabs?: readonly Tab[];
  back?: Back;
  actions?: readonly Action[];
}

export interface ListPage extends Head {
  list: ShownList;
  /** Under the title, folded away. */
  guide?: Section;
  /** What is done with the rows that are picked: a form that is posted there. */
  bulk?: { action: string; text: string };
}

export interface DetailPage extends Head {
  /** Of the thing itself. */
  badge?: Cell;
  facts: readonly Fact[];
  sections?: readonly Section[];
}

export interface FormPage {
  title: string;
  lead?: string;
  back: Back;
  /** What it will do, when that is worth knowing before: sentences. */
  ends?: readonly string[];
  sections?: readonly Section[];
  action: string;
  fields: readonly Field[];
  values?: ReadonlyMap<string, string>;
  problems?: Problems;
  /** Sent along unseen. */
  hidden?: Readonly<Record<string, string>>;
  submit: string;
  /** Whether it takes something away. */
  danger?: boolean;
}

export interface SecretPage {
  title: string;
  lead: string;
  /** What is shown this once, and what belongs to it. */
  secrets: readonly { label: string; value: string }[];
  /** What else can be copied: an `.env` file, a command. */
  snippets: readonly { title: string; text: string }[];
  next: Back;
}

interface ErrorValues {
  frame: Frame;
  title: string;
  message: string;
  requestId: string;
  /** Where to go on. */
  back: string;
}

interface Values<Shown> {
  frame: Frame;
  page: Shown;
}

export interface Show {
  list(ctx: Context, visitor: Visitor, page: ListPage): void;
  detail(ctx: Context, visitor: Visitor, page: DetailPage): void;
  /** Also asks before something is ended. */
  form(ctx: Context, visitor: Visitor, page: FormPage, status?: number): void;
  secret(ctx: Context, visitor: Visitor, page: SecretPage): void;
  /** What went wrong, with the way around still there. */
  error(ctx: Context, visitor: Visitor, error: AppError): void;
  /** What a page with a template of its own passes on as `frame`. */
  frame(ctx: Context, visitor: Visitor): Frame;
}

export function createShow(pages: Pages): Show {
  const scripted = { scripted: true };
  const list = pages.declare<Values<Required<ListPage>>>('console/list', ['frame', 'page'], scripted);
  const detail = pages.declare<Values<Required<DetailPage>>>('console/detail', ['frame', 'page'], scripted);
  const form = pages.declare<Values<Required<FormPage>>>('console/form', ['frame', 'page'], scripted);
  const error = pages.declare<ErrorValues>(
    'console/error',
    ['frame', 'title', 'message', 'requestId', 'back'],
    scripted,
  );
  const secret = pages.declare<Values<SecretPage>>('console/secret', ['frame', 'page'], scripted);

  function frame(ctx: Context, visitor: Visitor): Frame {
    const { user, team, teams, csrf, zone } = visitor;
    return {
      userName: user.displayName || user.name || user.email,
      userEmail: user.email,
      teamId: team?.id ?? '',
      teamName: team?.name ?? 'No team',
      mayChooseTeam: teams.length > 1,
      navigation: navigationFor(visitor, ctx.path),
      csrf,
      notice: noticeOf(ctx.query.done),
      zone: zone ?? '',
      shownCell: (cell) => shownCell(cell, zone),
    };
  }

  function shower<Shown extends object>(page: Page<Values<Shown>>, defaults: Partial<Shown>) {
    return (ctx: Context, visitor: Visitor, shown: Partial<Shown>, status = 200) =>
      page(ctx, { frame: frame(ctx, visitor), page: { ...defaults, ...shown } as Shown }, status);
  }

  const head = { lead: '', tabs: [], back: { text: '', href: '' }, actions: [] };
  return {
    frame,
    list: shower(list, { ...head, guide: { title: '' }, bulk: { action: '', text: '' } }),
    detail: shower(detail, { ...head, badge: { kind: 'text', text: '' }, sections: [] }),
    form: shower(form, {
      lead: '',
      ends: [],
      sections: [],
      values: new Map(),
      problems: NO_PROBLEMS,
      hidden: {},
      danger: false,
    }),
    secret: shower(secret, {}),
    error(ctx, visitor, { status, message }) {
      const around = frame(ctx, visitor);
      const places = around.navigation.flatMap(({ items }) => items);
      const back = places.find(({ current, href }) => current && href !== ctx.path)?.href ?? '/account';
      const { requestId } = requestInfoOf(ctx.req);
      const title = status === 403 ? 'Not allowed' : titleOf(status);
      error(ctx, { frame: around, title, message, requestId, back }, status);
    },
  };
}

function shownCell(cell: Cell, zone: string | undefined): ShownCell {
  if (cell.kind !== 'date') return cell;
  const { at, none, hint } = cell;
  const more = hint === undefined ? {} : { hint };
  return at === null ? { kind: 'text', text: none, ...more } : { kind: 'time', time: shownTime(at, zone), ...more };
}

/** The boxes of a `checks` or `scopes` field that were checked, by their values. */
export function checkedIn(form: Form, name: string): string[] {
  return [...form.keys()].flatMap((key) => (key.startsWith(`${name}:`) ? [key.slice(name.length + 1)] : []));
}

/** The values of such a field, for a form that is shown. */
export function checked(name: string, values: Iterable<string>): [string, string][] {
  return [...values].map((value) => [`${name}:${value}`, 'on']);
}
