import './global-setup.ts'; // declares the function

/** Stops what `global-setup.ts` started. */
export default async function globalTeardown(): Promise<void> {
  await globalThis.stopTestCluster?.();
}
