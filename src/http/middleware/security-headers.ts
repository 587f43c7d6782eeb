/** What browsers must never do with our answers. */
import type { Context, Middleware } from 'koa';

// `script-src` without a source allows no script, like 'none'; but the engine adds the hash of the one script in its own
// auto-submitting pages (form_post, logout without a session) to a directive that is there, and 'none' may not have company.
const policy = (scripts: string) =>
  `default-src 'none'; ${scripts}; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'`;
const NOTHING = policy('script-src');
// The one script of the console, and what it asks this server.
const SCRIPTED = policy("script-src 'self'; connect-src 'self'");
const TWO_YEARS = 63_072_000;
const UNUSED_FEATURES = ['camera', 'display-capture', 'geolocation', 'microphone', 'payment', 'usb'];

/**
 * Sets the headers every answer carries. Mount it outside everything else.
 * @param options.https whether the issuer is https: then browsers are told to use nothing else (RFC 6797)
 */
export function securityHeaders({ https }: { https: boolean }): Middleware {
  const headers: Record<string, string> = {
    'Content-Security-Policy': NOTHING,
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    // Not `no-referrer`: with that browsers send `Origin: null` when our own forms are posted, and the CSRF check needs
    // the origin. Other sites see neither.
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': UNUSED_FEATURES.map((feature) => `${feature}=()`).join(', '),
    ...(https && { 'Strict-Transport-Security': `max-age=${TWO_YEARS}` }),
  };
  return (ctx, next) => {
    ctx.set(headers);
    return next();
  };
}

export interface PagePolicy {
  leadsToClient?: boolean;
  scripted?: boolean;
}

/**
 * What our own pages carry on top.
 * @param scripted whether our script runs on the page; everything works without it
 * @param leadsToClient whether a form on the page, or what follows it, ends at the client's redirect URI. Chromium holds
 *   `form-action` against every redirect after a form, also those the client makes, so these pages go without. They also
 *   keep their opener, because apps may open them in a popup that reports back to it.
 */
export function setPageHeaders(ctx: Context, { leadsToClient = false, scripted = false }: PagePolicy): void {
  ctx.set('Cache-Control', 'no-store');
  if (leadsToClient) return;
  ctx.set('Content-Security-Policy', `${scripted ? SCRIPTED : NOTHING}; form-action 'self'`);
  ctx.set('Cross-Origin-Opener-Policy', 'same-origin');
}
