import { createHash } from 'node:crypto';
import { chown, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AppError } from '../../errors.ts';
import type { Owner } from './runner.ts';

/** PostgreSQL names its socket after a port; nothing listens on TCP. */
export const PORT = 5432;

// sizeof(sun_path) is 108 on Linux and 104 elsewhere, one of it for the closing NUL.
const LONGEST = process.platform === 'linux' ? 107 : 103;

/**
 * Where the server's socket goes: into the cluster's own directory, which nobody else may enter, or, when that path is
 * too long for a socket address, into a closed directory of temporary files named after the cluster.
 *
 * @param cluster absolute path of the cluster
 * @param owner who runs the server, when that is not us
 * @throws AppError `failed_precondition` when somebody else already made the temporary directory
 */
export async function socketDirectory(cluster: string, owner: Owner | undefined): Promise<string> {
  if (fits(cluster)) return cluster;
  const name = `latchkey-${createHash('sha256').update(cluster).digest('hex').slice(0, 16)}`;
  const directory = [tmpdir(), '/tmp'].map((parent) => path.join(parent, name)).find(fits) ?? `/tmp/${name}`;
  await mkdir(directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(directory);
  const mine = process.getuid?.();
  const trusted = found.uid === mine || found.uid === owner?.uid;
  if (!found.isDirectory() || !trusted || (found.mode & 0o077) !== 0) {
    throw new AppError(
      'failed_precondition',
      `${directory}, needed for the database's socket, belongs to somebody else. Remove it, or set DATA_DIR to a shorter path.`,
    );
  }
  if (owner && found.uid !== owner.uid) await chown(directory, owner.uid, owner.gid);
  return directory;
}

function fits(directory: string): boolean {
  return Buffer.byteLength(path.join(directory, `.s.PGSQL.${PORT}`)) <= LONGEST;
}
