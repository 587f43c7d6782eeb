/** Where a Chromium is on this machine; the continuous integration asks it too, before it installs one. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome'];

/** The path of CHROMIUM_PATH, or of the first that is installed; undefined when there is none. */
export function findChromium(): string | undefined {
  const { CHROMIUM_PATH: given, PATH = '' } = process.env;
  if (given) return given;
  const folders = new Set([...PATH.split(path.delimiter), '/usr/bin', '/usr/local/bin', '/snap/bin']);
  return NAMES.flatMap((name) => [...folders].map((folder) => path.join(folder, name))).find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
