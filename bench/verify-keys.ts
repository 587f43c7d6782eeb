/**
 * The check of an API key without HTTP: a process of its own with the server's domain on the same database. Writes how
 * many a second as JSON; a wrong answer ends it.
 */
import { text } from 'node:stream/consumers';
import { createDomain } from '../src/domain/index.ts';
import { openDatabase } from '../src/storage/pool.ts';
import type { SeededKey } from './seed-credentials.ts';

export interface KeyCheckJob {
  connectionString: string;
  keys: SeededKey[];
  /** Good ones, more than are kept in memory. */
  fresh: SeededKey[];
  /** Length of each measurement. */
  seconds: number;
}

interface Rate {
  perSecond: number;
  /** Per second of this process's processor time, the database's left out. */
  perCpuSecond: number;
}

export type KeyChecks = Record<'seen' | 'fresh' | 'forged' | 'mixed', Rate>;

const PARALLEL = 16;

if (import.meta.main) {
  const job = JSON.parse(await text(process.stdin)) as KeyCheckJob;
  process.stdout.write(JSON.stringify(await run(job)));
}

async function run({ connectionString, keys, fresh, seconds }: KeyCheckJob): Promise<KeyChecks> {
  const db = openDatabase({ connectionString });
  const domain = createDomain({
    db,
    secrets: ['bench'.repeat(10)],
    lifetimes: { idToken: 3_600, session: 604_800, sessionIdle: 86_400 },
    onError: (error) => console.error(error),
  });
  await domain.notifications.start();

  async function rate(list: SeededKey[]): Promise<Rate> {
    const cpuBefore = process.cpuUsage();
    const began = performance.now();
    const until = began + seconds * 1000;
    let checks = 0;
    await Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        while (performance.now() < until) {
          // So many between two looks at the clock, that looking costs nothing.
          for (let turn = 0; turn < 100; turn += 1) {
            const { text, state, id } = list[checks % list.length]!;
            checks += 1;
            const found = await domain.apiKeys.verify(text);
            if (found?.id !== (state === 'valid' ? id : undefined)) throw new Error(`wrong answer for a ${state} key`);
          }
        }
      }),
    );
    const { user, system } = process.cpuUsage(cpuBefore);
    const took = (performance.now() - began) / 1000;
    return { perSecond: checks / took, perCpuSecond: checks / ((user + system) / 1e6) };
  }

  const of = (state: SeededKey['state']) => keys.filter((key) => key.state === state);
  await rate(of('valid'));
  const checks = {
    seen: await rate(of('valid')),
    fresh: await rate(fresh),
    forged: await rate(of('forged')),
    mixed: await rate(keys),
  };
  await domain.close();
  await db.close();
  return checks;
}
