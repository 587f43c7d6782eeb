/** What holds for every page: it can be used with a keyboard and a screen reader, and on a narrow screen. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Serious and critical findings of axe-core in the page as it is now, each with the elements it concerns. */
export async function axeFindings(page: Page): Promise<string[]> {
  // Evaluated through the debugger, which the page's Content Security Policy does not concern.
  await page.evaluate(AXE);
  const { violations } = (await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'], reporter: 'v1' })",
  )) as AxeResults;
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, html }) => `${id}: ${help}: ${target} ${html.slice(0, 200)}`),
    );
}

/** Elements that reach beyond the right edge; empty when the page needs no scrolling sideways. */
export async function tooWide(page: Page): Promise<string[]> {
  return (await page.evaluate(`(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) return [];
    return [...document.body.querySelectorAll('*')]
      .filter((element) => element.getBoundingClientRect().right > clientWidth + 0.5)
      .map((element) => element.outerHTML.slice(0, 120) + ' ' + Math.round(element.getBoundingClientRect().right))
      .slice(0, 5).concat('the page is ' + scrollWidth + ' wide');
  })()`)) as string[];
}
