#!/usr/bin/env node
/*
 * Starts the command line on a Node that can run it. Plain JavaScript, in words an old Node understands too: it is the
 * first thing that runs, by whatever Node is on the path.
 */
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import nodeModule from 'node:module';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST = 24;
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');

if (Number(process.versions.node.split('.')[0]) >= OLDEST) {
  // Node strips no types below node_modules, so what is installed there is built; a checkout runs from its sources.
  const installed = here.split(sep).includes('node_modules');
  // Stripping types and compiling takes longer than most commands: half a second the first time only.
  if (!installed) nodeModule.enableCompileCache(join(root, 'node_modules', '.cache', 'latchkey'));
  const { main } = await import(installed ? '../../dist/cli/index.js' : './index.ts');
  await main();
} else {
  runWith(ownNode());
}

/* The Node that comes with a checkout as a development dependency; undefined when there is none but this one. */
function ownNode() {
  try {
    const found = realpathSync(join(root, 'node_modules', '.bin', 'node'));
    return found === realpathSync(process.execPath) ? undefined : found;
  } catch {
    return undefined;
  }
}

function runWith(node) {
  if (node === undefined) {
    process.stderr.write(`error: Latchkey needs Node ${OLDEST} or later; this is ${process.version}.\n`);
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, [join(here, 'latchkey.js'), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => {
    process.exitCode = code === null ? 1 : code;
  });
}
