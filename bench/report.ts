/** Numbers to lines: medians, spreads and a plain table. */
import { writeFile } from 'node:fs/promises';

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median with the lowest and highest value: `5120 (4980–5300)`. */
export function spread(values: number[], digits = 0): string {
  const show = (value: number) => value.toFixed(digits);
  return `${show(median(values))} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
}

/** Prints rows under their column names, all columns as wide as needed. */
export function printTable(rows: Record<string, string | number>[]): void {
  const names = Object.keys(rows[0] ?? {});
  const lines = [names, ...rows.map((row) => names.map((name) => String(row[name])))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  for (const line of lines)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
}

/** Every single measurement, for whoever wants to compute something else. */
export async function writeJson(file: string | undefined, result: unknown): Promise<void> {
  if (!file) return;
  const versions = { node: process.version, platform: process.platform, arch: process.arch };
  await writeFile(file, `${JSON.stringify({ at: new Date().toISOString(), versions, result }, null, 2)}\n`);
  console.log(`Every measurement: ${file}`);
}
