/**
 * One Chromium for a test file, and pages in it. A test fails when one of its pages broke its Content Security Policy,
 * wrote an error to the console, asked for something that did not come, or asked somebody else.
 */
import { afterAll, afterEach, describe, expect } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { findChromium } from './find-chromium.ts';
import { type Look, launch, newContext } from './launch.ts';
import { watch } from './watch.ts';

export interface PageOptions extends Look {
  /** Who may be asked for anything at all. */
  origins: readonly string[];
  isKept?: boolean;
}

/** `describe`; where there is no Chromium its tests are reported as skipped. */
export const describeInBrowser = findChromium() === undefined ? describe.skip : describe;

/** For `describe.each`: a name and whether scripts run. */
export const WITH_AND_WITHOUT = [
  { scripts: 'with JavaScript', javaScript: true },
  { scripts: 'without JavaScript', javaScript: false },
] as const;

let browser: Promise<Browser> | undefined;
const contexts = new Set<BrowserContext>();
const complaints: string[] = [];

/** The browser of this test file. */
export function chromiumOf(): Promise<Browser> {
  browser ??= launch();
  return browser;
}

/** A page of its own, sharing cookies with no other. It is closed after the test, or kept until the last one. */
export async function openPage({ origins, isKept = false, ...look }: PageOptions): Promise<Page> {
  const context = await newContext(await chromiumOf(), look);
  if (!isKept) contexts.add(context);
  watch(context, origins, (complaint) => complaints.push(complaint));
  return context.newPage();
}

afterEach(async () => {
  await Promise.all([...contexts].map((context) => context.close()));
  contexts.clear();
  expect(complaints.splice(0)).toEqual([]);
});

afterAll(async () => (await browser)?.close());
