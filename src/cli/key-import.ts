/** `latchkey key import` */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { ImportReport } from '../domain/key-import.ts';
import { AppError } from '../errors.ts';
import type { Deps } from './deps.ts';
import { type FileFormat, readKeyFile } from './key-import-file.ts';
import { fields } from './output.ts';

const BAR = 30;

interface ImportOptions {
  format?: FileFormat;
  dryRun?: true;
}

export function addKeyImport(key: Command, { output, withSession }: Deps): void {
  key
    .command('import')
    .description('import keys that exist already, by their digests: whoever holds one goes on using it')
    .argument('<file>', 'JSON lines, or CSV with the names of its columns first')
    .addOption(new Option('--format <format>', 'what the file is (default: by its name)').choices(['jsonl', 'csv']))
    .option('--dry-run', 'say what would happen and change nothing')
    .action(async (file: string, options: ImportOptions) => {
      const format = options.format ?? (/\.csv$/i.test(file) ? 'csv' : 'jsonl');
      const size = sizeOf(file);
      const { signal, release } = untilInterrupted();
      const progress = createProgress(size);
      let told = 0;
      const report = await withSession(({ domain }) => {
        let bytes = 0;
        const lines = readKeyFile(file, format, (read) => {
          bytes = read;
        });
        const onProgress = (soFar: ImportReport) => {
          for (const { line, field, description } of soFar.problems.slice(told)) {
            progress.clear();
            output.note(`${file}:${line}: ${field === 'line' ? '' : `${field}: `}${description}`);
          }
          told = soFar.problems.length;
          progress.show(bytes, soFar);
        };
        const source = basename(file);
        return domain.keyImport.run(lines, { source, dryRun: options.dryRun, signal, onProgress }, OPERATOR);
      }).finally(() => {
        progress.clear();
        release();
      });
      finish(report, options);
    });

  function finish(report: ImportReport, { dryRun }: ImportOptions): void {
    const { imported, skipped, failed, problems, isComplete } = report;
    const json = { imported, skipped, failed, problems, is_complete: isComplete, dry_run: dryRun === true };
    const counts = fields({ [dryRun ? 'would be imported' : 'imported']: imported, 'known already': skipped, failed });
    const unsaid = failed - problems.length;
    output.print(
      json,
      counts,
      ...(unsaid > 0 ? [`${unsaid} more problems are not shown.`] : []),
      ...(isComplete ? [] : ['Interrupted: run it again to go on.']),
    );
    if (failed > 0) throw new AppError('invalid_argument', 'Some keys were not imported.');
    if (!isComplete) throw new AppError('aborted', 'The import was interrupted.');
  }
}

function sizeOf(file: string): number {
  try {
    const stats = statSync(file);
    if (!stats.isDirectory()) return stats.size;
  } catch {
    // Said below, as for a directory.
  }
  throw new AppError('invalid_argument', `There is no readable file ${file}.`);
}

/** The first Ctrl-C stops after the batch that is under way, the second at once. */
function untilInterrupted() {
  const controller = new AbortController();
  const stop = () => controller.abort();
  process.once('SIGINT', stop);
  return { signal: controller.signal, release: () => process.off('SIGINT', stop) };
}

/** A bar on stderr, when somebody looks at it. */
function createProgress(size: number) {
  const isSeen = process.stderr.isTTY === true;
  return {
    show(bytes: number, { imported, skipped, failed }: ImportReport): void {
      if (!isSeen) return;
      const part = size === 0 ? 1 : Math.min(1, bytes / size);
      const bar = '#'.repeat(Math.round(part * BAR)).padEnd(BAR, '.');
      const counts = `${imported} imported, ${skipped} known, ${failed} failed`;
      process.stderr.write(`\r[${bar}] ${String(Math.round(part * 100)).padStart(3)} %  ${counts}`);
    },
    clear(): void {
      if (isSeen) process.stderr.write('\r\u001b[2K');
    },
  };
}
