import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks a second, fixed on Linux (proc_pid_stat(5), `getconf CLK_TCK`). */
const TICKS = 100;

/** Seconds of processor time that these processes and all their descendants, past ones included, have used. */
export function cpuSeconds(roots: number[]): number {
  const processes = new Map<number, { parent: number; ticks: number }>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The command's name is in parentheses and may hold anything: count fields after the last one.
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15).map(Number);
      processes.set(Number(name), { parent: Number(fields[1]), ticks: utime + stime + cutime + cstime });
    } catch {
      // Ended while we looked.
    }
  }
  const wanted = new Set(roots);
  let grown = true;
  while (grown) {
    grown = false;
    for (const [pid, { parent }] of processes) {
      if (wanted.has(parent) && !wanted.has(pid)) {
        wanted.add(pid);
        grown = true;
      }
    }
  }
  return [...wanted].reduce((sum, pid) => sum + (processes.get(pid)?.ticks ?? 0), 0) / TICKS;
}
