/**
 * What pages are made of, as data: cells, actions, tables, fields. Page modules say what there is to show, the templates
 * how it looks; a text in here is a text, whatever is in it.
 */
import type { ShownTime } from './times.ts';

/** How good the news is: colours and nothing else. */
export type Tone = 'good' | 'bad' | 'warn' | 'quiet';

/** Something done about what is shown: `href` leads to a page, `post` is done at once (for what is undone as easily). */
export type Action =
  | { text: string; href: string; primary?: boolean; danger?: boolean }
  | { text: string; post: string; fields?: Record<string, string> };

/** One value in a table or among facts. Everything but a text is in a class of its own. */
export type Cell =
  | { kind: 'text'; text: string; hint?: string }
  | { kind: 'link'; text: string; href: string; hint?: string }
  | { kind: 'code'; text: string; hint?: string; copied?: string }
  | { kind: 'badge'; text: string; tone: Tone; hint?: string }
  | { kind: 'words'; words: readonly string[]; none: string }
  | { kind: 'date'; at: Date | null; none: string; hint?: string }
  | { kind: 'actions'; actions: readonly Action[] };

/** @param hint more, in small print below */
export const cell = {
  text: (text: string, hint?: string): Cell => ({ kind: 'text', text, ...(hint !== undefined && { hint }) }),
  link: (text: string, href: string, hint?: string): Cell => ({
    kind: 'link',
    text,
    href,
    ...(hint !== undefined && { hint }),
  }),
  code: (text: string, hint?: string): Cell => ({ kind: 'code', text, ...(hint !== undefined && { hint }) }),
  /** With a button that copies it, which says what that is. */
  copied: (text: string, copied = 'the client id'): Cell => ({ kind: 'code', text, copied }),
  badge: (text: string, tone: Tone, hint?: string): Cell => ({
    kind: 'badge',
    text,
    tone,
    ...(hint !== undefined && { hint }),
  }),
  /** Scopes and the like: the first few, the rest folded away. @param none what an empty list means */
  words: (words: readonly string[], none: string): Cell => ({ kind: 'words', words, none }),
  /** A moment, in the person's time zone. @param none what null means, such as "Never" */
  date: (at: Date | null, none: string, hint?: string): Cell => ({
    kind: 'date',
    at,
    none,
    ...(hint !== undefined && { hint }),
  }),
  actions: (...actions: Action[]): Cell => ({ kind: 'actions', actions }),
};

/** As templates see a cell: moments are words by then. */
export type ShownCell = Exclude<Cell, { kind: 'date' }> | { kind: 'time'; time: ShownTime; hint?: string };

/** A short table that is shown whole. */
export interface Table {
  columns: readonly string[];
  rows: readonly (readonly Cell[])[];
  /** Instead of a table without rows. */
  none: string;
}

/** A part of a page under a heading of its own. Whatever is left out is not there. */
export interface Section {
  title: string;
  lead?: string;
  facts?: readonly Fact[];
  table?: Table;
  /** To be copied whole. */
  code?: string;
  /** Sentences, as a list. */
  points?: readonly string[];
  actions?: readonly Action[];
}

export interface Fact {
  label: string;
  value: Cell;
}

export interface Option {
  value: string;
  text: string;
  hint?: string;
  /** Something to think about before choosing it. */
  warning?: string;
}

/** Scopes of one API to choose from, a row for each of its resources. */
export interface ScopeGroup {
  title: string;
  /** Its identifier; empty for the server's own. */
  detail: string;
  rows: readonly { resource: string; options: readonly { value: string; text: string; hint: string }[] }[];
}

/**
 * One field of a form; its value is the one of that name in the form's `values`.
 * `checks` and `scopes` are many boxes: the box of `value` is named `<name>:<value>` and sends "on" (see `checkedIn`).
 */
export type Field = { name: string; label: string; hint?: string; required?: boolean } & (
  | {
      type: 'text' | 'email' | 'password' | 'url' | 'number' | 'date' | 'search';
      autocomplete?: string;
      min?: string;
      max?: string;
    }
  | { type: 'datetime-local' }
  | { type: 'textarea'; rows: number; code?: boolean }
  | { type: 'select' | 'radio' | 'checks'; options: readonly Option[] }
  /** One box; sends "on". */
  | { type: 'check' }
  | { type: 'scopes'; groups: readonly ScopeGroup[] }
  /** Fields folded away until they are wanted, or have a problem or a value. */
  | { type: 'more'; fields: readonly Field[] }
);

/** What people recognise a key or secret by: how it begins, and how it ends. */
export function shortOf({ prefix, lastFour }: { prefix: string; lastFour: string }): string {
  return `${prefix}…${lastFour}`;
}
