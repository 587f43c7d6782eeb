/** What must not happen in any page, whatever a test is about. */
import type { BrowserContext } from 'playwright-core';

/** Told of each thing that should not have happened in a page of this context. */
export function watch(context: BrowserContext, origins: readonly string[], complain: (text: string) => void): void {
  context.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    // Chromium mentions the status of every page that is not a success; a test that provokes one expects its words.
    if (/^Failed to load resource: the server responded with a status of 4\d\d/.test(message.text())) return;
    complain(`console: ${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (error) => complain(`script: ${error.error().message}`));
  context.on('dialog', (dialog) => {
    complain(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol === 'data:' || origins.includes(origin)) return;
    complain(`asked somebody else: ${request.url()}`);
  });
  context.on('requestfailed', (request) => {
    const reason = request.failure()?.errorText ?? '';
    // Left before it came: the next page was asked for.
    if (reason === 'net::ERR_ABORTED') return;
    complain(`did not come: ${request.url()} ${reason}`);
  });
  context.on('response', (response) => {
    const asked = response.request();
    if (response.status() >= 400 && !asked.isNavigationRequest()) {
      complain(`did not come: ${response.url()} ${response.status()}`);
    }
    if (response.status() >= 500) complain(`failed: ${response.url()} ${response.status()}`);
  });
}
