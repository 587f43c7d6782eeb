/** The instance secret of an embedded installation: made on first start, kept beside its database, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';

/**
 * The configured secrets, or those in `<dataDir>/secret` (one a line, newest first).
 * @throws AppError `failed_precondition` when the file is there but unusable
 */
export async function instanceSecrets({
  secrets,
  dataDir,
}: {
  secrets: string[] | undefined;
  dataDir: string;
}): Promise<string[]> {
  if (secrets !== undefined) return secrets;
  const file = join(dataDir, 'secret');
  // 'wx': of two processes that find none, one writes and both read the same.
  await writeFile(file, `${randomBytes(48).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    },
  );
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0 || lines.some((line) => line.length < 32)) {
    throw new AppError(
      'failed_precondition',
      `${file} must hold at least one secret of 32 characters or more, one a line. Restore it from a backup.`,
    );
  }
  return lines;
}
