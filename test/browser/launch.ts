/** Starting the Chromium that is there, and windows in it as people have them. */
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium } from 'playwright-core';
import { findChromium } from './find-chromium.ts';

export interface Look {
  /** Default true. */
  javaScript?: boolean;
  /** Default 'light'. */
  scheme?: 'light' | 'dark';
  /** In CSS pixels; default 1280. */
  width?: number;
  /** Of somebody who is logged in: what `context.storageState()` gave. */
  state?: BrowserContextOptions['storageState'];
}

/** @throws Error when there is none */
export function launch(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error('no Chromium found: install one, or name it in CHROMIUM_PATH');
  // Without its sandbox, which root and most containers cannot have: it sees no pages but our own.
  return chromium.launch({ executablePath, chromiumSandbox: false, args: ['--disable-gpu'] });
}

/** A window of its own: its pages share cookies with no other. */
export async function newContext(
  browser: Browser,
  { javaScript, scheme, width, state }: Look,
): Promise<BrowserContext> {
  const context = await browser.newContext({
    javaScriptEnabled: javaScript ?? true,
    colorScheme: scheme ?? 'light',
    reducedMotion: 'reduce',
    viewport: { width: width ?? 1280, height: 800 },
    timezoneId: 'Europe/Berlin',
    permissions: ['clipboard-read', 'clipboard-write'],
    ...(state && { storageState: state }),
  });
  context.setDefaultTimeout(8_000);
  return context;
}
