/** What a command says: text for people, or with `--json` one JSON value for programs, on stdout; failures on stderr. */
import { stripVTControlCharacters } from 'node:util';
import { wireName } from '../domain/changed-fields.ts';
import { type AppError, asAppError } from '../errors.ts';

export interface Output {
  /** The one result of a command: `json` in the field names of the management API, or `text`, paragraphs for people. */
  print(json: unknown, ...text: string[]): void;
  /** One of many results that come as time goes by: with `--json` one line each, else the values in one line. */
  line(json: unknown, values: unknown[]): void;
  /** Something to know beside the result, on stderr; not with `--json`, whose result says it all. */
  note(text: string): void;
  /** Reports a failure; answers the exit code. */
  fail(error: unknown): number;
  /** Reports that the words were not understood. */
  misunderstood(message: string): void;
}

/** A stream, as far as it is used. */
export interface Sink {
  write(text: string): unknown;
}

export function writeTo(out: Sink, err: Sink, { json }: { json: boolean }): Output {
  function report(kind: string, message: string, more: object = {}): void {
    err.write(json ? `${JSON.stringify({ error: { kind, message, ...more } })}\n` : `error: ${message}\n`);
  }

  return {
    print: (value, ...text) => out.write(`${json ? JSON.stringify(value, undefined, 2) : text.join('\n\n')}\n`),
    line(value, values) {
      const text = values.map((one) => show(one) || '-').join('  ');
      out.write(`${json ? JSON.stringify(value) : text}\n`);
    },
    note(text) {
      if (!json) err.write(`${text}\n`);
    },
    fail(error) {
      const failure = asAppError(error);
      report(failure.kind, explain(failure), failure.fields.length > 0 ? { fields: failure.fields } : {});
      return 1;
    },
    misunderstood(message) {
      report('invalid_argument', message);
      if (!json) err.write('See: latchkey --help\n');
    },
  };
}

/** The operator is told what the server would only log: there is no log to look it up in. */
function explain({ kind, message, cause }: AppError): string {
  const reason = cause instanceof Error ? cause.message || (cause as { code?: string }).code : undefined;
  if (kind === 'internal') return `Unexpected failure: ${reason ?? message}`;
  return kind === 'unavailable' && reason ? `${message} (${reason})` : message;
}

/** Names and values, one a line, in two columns. What is undefined, null or empty is left out. */
export function fields(values: Record<string, unknown>): string {
  const shown = Object.entries(values).filter(([, value]) => show(value) !== '');
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${show(value)}`).join('\n');
}

/** Rows under a heading, each column as wide as its longest value. */
export function table(heading: string[], rows: unknown[][]): string {
  const lines = [heading, ...rows.map((row) => row.map((value) => show(value) || '-'))];
  const widths = heading.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line
        .map((value, column) => value.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function show(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(show).join(' ');
  // Names come from whoever may create things; a terminal would obey what is in them.
  return stripVTControlCharacters(String(value));
}

/** A record as the management API writes it: snake_case names, times in RFC 3339. */
export function wire(record: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [wireName(name), value]));
}
