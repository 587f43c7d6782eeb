/** A person at the pages behind a login, as far as tests of HTTP go: what is on a page, and its forms sent back. */
import { type Browser, createBrowser, formOn, unescaped, type Visit } from './browser.ts';
import { PASSWORD } from './flows.ts';
import type { TestServer } from './server.ts';

/** A browser in which this person is logged in. */
export async function logInAt(server: TestServer, { email }: { email: string }, password = PASSWORD): Promise<Browser> {
  const browser = createBrowser();
  const form = formOn(await browser.get(`${server.origin}/login`), '/login');
  const answer = await browser.post(form.url, { ...form.fields, email, password });
  if (answer.status !== 303) throw new Error(`not logged in: ${answer.status}\n${answer.text.slice(0, 2_000)}`);
  return browser;
}

/**
 * Opens a page and sends the form on it, with these fields changed; follows where it leads.
 * @param changes undefined takes a field away (a box that is not checked)
 */
export async function fillIn(
  server: TestServer,
  browser: Browser,
  page: string | Visit,
  changes: Record<string, string | undefined> = {},
  action?: string,
): Promise<Visit> {
  const visit = typeof page === 'string' ? await browser.get(`${server.origin}${page}`) : page;
  const form = formOn(visit, action ?? new URL(visit.url).pathname);
  const fields = Object.entries({ ...form.fields, ...changes }).filter(
    (one): one is [string, string] => one[1] !== undefined,
  );
  return browser.follow(await browser.post(form.url, Object.fromEntries(fields)), server.origin);
}

/** The text of a page as a person reads it: no tags, one space between words. */
export function wordsOf({ text }: Pick<Visit, 'text'>): string {
  const main = /<main[\s\S]*<\/main>/.exec(text)?.[0] ?? text;
  return unescaped(main.replace(/<[^>]*>/g, ' '))
    .replace(/\s+/g, ' ')
    .trim();
}

/** What a page shows to be copied, by the name of its box. */
export function copiedFrom({ text }: Pick<Visit, 'text'>): Record<string, string> {
  const boxes = text.matchAll(/<pre[^>]*aria-label="([^"]*)" data-copy>([\s\S]*?)<\/pre>/g);
  return Object.fromEntries([...boxes].map(([, label, content]) => [unescaped(label!), unescaped(content!)]));
}
