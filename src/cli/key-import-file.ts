/** Files of keys to import: JSON lines, or CSV (RFC 4180) with a line of field names first. Read as they are worked through. */
import { createReadStream } from 'node:fs';
import type { ImportLine } from '../domain/key-import.ts';
import { IMPORT_FIELDS } from '../domain/key-import-line.ts';
import { AppError } from '../errors.ts';

const LONGEST_LINE = 64 * 1024;
const TOO_LONG = 'is longer than 64 KB';

export type FileFormat = 'csv' | 'jsonl';

/**
 * The lines of a file that are not empty, counted from 1. No message repeats what stands in them.
 * @param onRead told how many bytes were read so far
 * @throws AppError `invalid_argument` when the file cannot be read, or its first line does not name the columns
 */
export async function* readKeyFile(
  path: string,
  format: FileFormat,
  onRead: (bytes: number) => void = () => {},
): AsyncGenerator<ImportLine> {
  let columns: string[] | undefined;
  for await (const { line, text } of linesOf(path, onRead)) {
    if (text === undefined) yield { line, problem: TOO_LONG };
    else if (text.trim() === '') continue;
    else if (format === 'jsonl') yield fromJson(line, text);
    else if (columns === undefined) columns = columnsOf(line, text);
    else yield fromCsv(line, text, columns);
  }
}

function fromJson(line: number, text: string): ImportLine {
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) {
      return { line, fields: fields as Record<string, unknown> };
    }
  } catch {
    // Its message would repeat the line.
  }
  return { line, problem: 'is not a JSON object' };
}

function columnsOf(line: number, text: string): string[] {
  const columns = (cellsOf(text) ?? []).map((name) => name.trim().toLowerCase());
  const strange = columns.findIndex((name) => !(IMPORT_FIELDS as readonly string[]).includes(name));
  const complaint =
    strange >= 0
      ? `column ${strange + 1} is not known`
      : new Set(columns).size < columns.length
        ? 'a column is there twice'
        : undefined;
  if (complaint !== undefined) {
    throw new AppError(
      'invalid_argument',
      `Line ${line} must name the columns: ${complaint}. Columns are ${IMPORT_FIELDS.join(', ')}.`,
    );
  }
  return columns;
}

function fromCsv(line: number, text: string, columns: readonly string[]): ImportLine {
  const cells = cellsOf(text);
  if (cells === undefined) return { line, problem: 'has a quote that is not closed or not at the end of its field' };
  if (cells.length !== columns.length) {
    return { line, problem: `has ${cells.length} fields where the first line names ${columns.length}` };
  }
  return { line, fields: Object.fromEntries(columns.map((name, index) => [name, cells[index]])) };
}

const CELL = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;

/** The fields of one line; undefined when its quotes are not sound. */
function cellsOf(text: string): string[] | undefined {
  const cells: string[] = [];
  CELL.lastIndex = 0;
  for (;;) {
    const match = CELL.exec(text);
    if (match === null) return undefined;
    const [, quoted, plain = '', end] = match;
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === '') return cells;
  }
}

/** Each line with its number; undefined in place of one that is too long. */
async function* linesOf(path: string, onRead: (bytes: number) => void) {
  const stream = createReadStream(path, { encoding: 'utf8' });
  let line = 0;
  let rest = '';
  let isTooLong = false;
  const next = (text: string) => ({ line: ++line, text: isTooLong ? undefined : text.replace(/^\uFEFF|\r$/g, '') });
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop()!;
      for (const text of parts) {
        isTooLong ||= text.length > LONGEST_LINE;
        yield next(text);
        isTooLong = false;
      }
      if (rest.length > LONGEST_LINE) {
        isTooLong = true;
        rest = '';
      }
      onRead(stream.bytesRead);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new AppError('invalid_argument', 'The file cannot be read.', { cause: error });
  }
  if (rest !== '' || isTooLong) yield next(rest);
}
