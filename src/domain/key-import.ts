/**
 * Import of keys that exist already: digests come in, each becomes a key like any other, and whoever holds the key goes on
 * using it. Run again, an import goes on where it ended: what was imported once is passed over.
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '../errors.ts';
import { isMissingReference } from '../storage/errors.ts';
import * as storage from '../storage/imported-keys.ts';
import type { Database, Queryable } from '../storage/pool.ts';
import type { Actor, Audit } from './audit.ts';
import type { Authority } from './authority.ts';
import { creatorOf } from './creator.ts';
import type { Peppers } from './imported-digests.ts';
import { MOST_BCRYPT_KEYS, newHeads, prefixesOf } from './imported-keys.ts';
import { createReadRows, type ImportLine, type ImportProblem, type ImportRow } from './key-import-rows.ts';
import { isPermission } from './permissions.ts';
import { holdRegisteredScopes } from './resource-servers.ts';

export type { ImportLine, ImportProblem };

/** Most keys of one statement. */
export const IMPORT_BATCH = 1_000;
const MOST_PROBLEMS = 1_000;

export interface ImportReport {
  imported: number;
  /** Passed over: their digests were imported before, or stand twice in the file. */
  skipped: number;
  failed: number;
  /** The first 1,000 of those that failed. */
  problems: ImportProblem[];
  /** False while there is more, and for good when the import was interrupted. */
  isComplete: boolean;
}

export interface ImportOptions {
  /** What the audit trail calls it: the name of a file. */
  source: string;
  /** Find out what would happen, and change nothing. */
  dryRun?: boolean | undefined;
  /** Stops after the batch that is under way. */
  signal?: AbortSignal | undefined;
  /** Called after every batch. */
  onProgress?: ((soFar: ImportReport) => void) | undefined;
}

export interface KeyImport {
  /**
   * Imports the lines, each batch in a transaction of its own. A line that is wrong is reported and keeps no other back.
   * @throws AppError `permission_denied` when the actor could not make such keys by hand; `failed_precondition` when a team
   *   or membership ended meanwhile; `unavailable`
   */
  run(
    lines: Iterable<ImportLine> | AsyncIterable<ImportLine>,
    options: ImportOptions,
    actor: Actor,
  ): Promise<ImportReport>;
  /** Names of peppers that imported keys need and the configuration does not have: those keys open nothing. */
  missingPeppers(): Promise<string[]>;
}

export interface KeyImportOptions {
  db: Database;
  audit: Audit;
  authority: Pick<Authority, 'permissionsIn'>;
  peppers?: Peppers | undefined;
}

export function createKeyImport({ db, audit, authority, peppers = new Map() }: KeyImportOptions): KeyImport {
  return {
    async run(lines, { source, dryRun = false, signal, onProgress }, actor) {
      const readRows = createReadRows({ db, authority, peppers, actor });
      const journal = createJournal(audit, source, actor);
      const seen = new Set<string>();
      let report: ImportReport = { imported: 0, skipped: 0, failed: 0, problems: [], isComplete: true };
      try {
        for await (const { batch, isLast } of batchesOf(lines)) {
          if (signal?.aborted) return { ...report, isComplete: false };
          const { rows, problems } = await readRows(batch);
          const work = async (tx: Queryable) => {
            // Before the keys, as whoever changes resource servers does it: no scope ends while it is given.
            if (!dryRun) await holdOthers(tx, rows);
            if (!dryRun) await storage.lockImport(tx);
            const fresh = await withoutKnown(tx, rows, dryRun ? seen : new Set());
            const crowded = await findCrowded(tx, fresh);
            const kept = fresh.filter((row) => !crowded.has(row));
            const failures = [...problems, ...[...crowded].map(crowdedProblem)].toSorted((a, b) => a.line - b.line);
            const after: ImportReport = {
              imported: report.imported + kept.length,
              skipped: report.skipped + rows.length - fresh.length,
              failed: report.failed + failures.length,
              problems: [...report.problems, ...failures].slice(0, MOST_PROBLEMS),
              isComplete: isLast,
            };
            if (!dryRun && kept.length > 0) await store(tx, kept, creatorOf(actor));
            if (!dryRun) await journal.write(tx, after);
            return after;
          };
          report = await (dryRun ? work(db) : db.transaction(work)).catch(asEnded);
          onProgress?.(report);
        }
        return report;
      } finally {
        journal.close(report);
      }
    },
    async missingPeppers() {
      const needed = new Set((await storage.listImportedHeads(db)).map(({ pepper }) => pepper));
      return [...needed].filter((name) => name !== '' && !peppers.has(name)).toSorted();
    },
  };
}

/** One event for an import, in the transaction that ends it; one more in the first, when there are several. */
function createJournal(audit: Audit, file: string, actor: Actor) {
  const target = { kind: 'key_import', id: randomUUID() };
  let state: 'new' | 'open' | 'closed' = 'new';
  const ended = ({ imported, skipped, failed, isComplete }: ImportReport) => ({
    action: 'api_key.imported',
    actor,
    target,
    details: { file, imported, skipped, failed, complete: isComplete },
  });
  return {
    async write(tx: Queryable, report: ImportReport): Promise<void> {
      if (report.imported === 0) return;
      if (report.isComplete) {
        await audit.record(tx, ended(report));
        state = 'closed';
      } else if (state === 'new') {
        await audit.record(tx, { action: 'api_key.import_started', actor, target, details: { file } });
        state = 'open';
      }
    },
    /** For an import that did not come to its end: what it did is known, whatever stopped it. */
    close(report: ImportReport): void {
      if (state === 'open') audit.note(ended({ ...report, isComplete: false }));
    },
  };
}

async function* batchesOf(lines: Iterable<ImportLine> | AsyncIterable<ImportLine>) {
  let batch: ImportLine[] = [];
  for await (const line of lines) {
    if (batch.length === IMPORT_BATCH) {
      yield { batch, isLast: false };
      batch = [];
    }
    batch.push(line);
  }
  if (batch.length > 0) yield { batch, isLast: true };
}

/** Those whose digest was never imported, and is not in `seen`, to which they are added. */
async function withoutKnown(db: Queryable, rows: readonly ImportRow[], seen: Set<string>): Promise<ImportRow[]> {
  const known = await storage.listKnownDigests(
    db,
    rows.map(({ digest }) => digest),
  );
  for (const one of known) seen.add(nameOf(one));
  return rows.filter((row) => {
    const name = nameOf(row);
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}

function nameOf({ algorithm, pepper, digest }: Pick<ImportRow, 'algorithm' | 'pepper' | 'digest'>): string {
  return `${algorithm} ${pepper} ${digest.toString('base64')}`;
}

/** Rows with a bcrypt hash whose prefix would narrow to too many. */
async function findCrowded(db: Queryable, rows: readonly ImportRow[]): Promise<Set<ImportRow>> {
  const slow = rows.filter(({ algorithm }) => algorithm === 'bcrypt');
  if (slow.length === 0) return new Set();
  const counts = await storage.countBcryptKeys(db, [...new Set(slow.flatMap(({ prefix }) => prefixesOf(prefix)))]);
  return new Set(
    slow.filter(({ prefix }) => {
      // A text that begins with this prefix begins with the shorter ones too.
      const crowd = prefixesOf(prefix).reduce((sum, one) => sum + (counts.get(one) ?? 0), 0);
      if (crowd < MOST_BCRYPT_KEYS) counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      return crowd >= MOST_BCRYPT_KEYS;
    }),
  );
}

function crowdedProblem({ line }: ImportRow): ImportProblem {
  const description = `is that of ${MOST_BCRYPT_KEYS} other bcrypt keys: give more of the text, if the digests' maker kept it`;
  return { line, field: 'prefix', description };
}

async function store(tx: Queryable, rows: readonly ImportRow[], createdBy: string | null): Promise<void> {
  const heads = newHeads(rows, await storage.listImportedHeads(tx));
  if (heads.length > 0) await storage.insertImportedHeads(tx, heads);
  const keys = rows.map(({ line: _, ...row }) => ({ ...row, id: randomUUID(), createdBy }));
  const count = await storage.insertImportedKeys(tx, keys);
  if (count !== keys.length) throw new AppError('internal', 'Not every key was imported.');
}

async function holdOthers(tx: Queryable, rows: readonly ImportRow[]): Promise<void> {
  const words = new Set(rows.flatMap(({ scopes }) => scopes ?? []).filter((word) => !isPermission(word)));
  if (words.size === 0 || words.isSubsetOf(await holdRegisteredScopes(tx))) return;
  throw new AppError('failed_precondition', 'A scope of a resource server ended during the import. Run it again.');
}

function asEnded(error: unknown): never {
  if (!isMissingReference(error)) throw error;
  throw new AppError('failed_precondition', 'A team or a membership ended during the import. Run it again.', {
    cause: error,
  });
}
