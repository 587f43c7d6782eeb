/**
 * Compares texts with bcrypt hashes, one after the other, in a thread of its own (see `bcrypt.ts`). It rests after each as
 * long as it took: whoever sends wrong keys on purpose gets half a processor to burn, and no more.
 */
import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

const rest = new Int32Array(new SharedArrayBuffer(4));

parentPort?.on('message', ({ id, text, hash }: { id: number; text: string; hash: string }) => {
  const started = performance.now();
  let matches = false;
  try {
    matches = compareSync(text, hash);
  } catch {
    // What is no hash matches nothing.
  }
  parentPort?.postMessage({ id, matches });
  Atomics.wait(rest, 0, 0, performance.now() - started);
});
