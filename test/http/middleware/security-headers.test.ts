import { afterEach, describe, expect, test } from '@jest/globals';
import { createAssets } from '../../../src/http/assets.ts';
import { createLogoutPages } from '../../../src/http/interaction/logout.ts';
import { securityHeaders } from '../../../src/http/middleware/security-headers.ts';
import { createPages } from '../../../src/http/pages.ts';
import { listen } from './listen.ts';

const pages = createPages({ issuer: 'https://auth.example.com', assets: createAssets() });
let server: Awaited<ReturnType<typeof listen>>;
afterEach(() => server.close());

async function headersOf(render: (ctx: Parameters<typeof pages.renderError>[0]) => void, https = false) {
  server = await listen(securityHeaders({ https }), (ctx) => render(ctx));
  const { headers } = await fetch(server.origin);
  const policy = headers.get('content-security-policy') ?? '';
  const directives = policy.split(';').map((one) => one.trim().split(/\s+/));
  return { headers, csp: Object.fromEntries(directives.map(([name, ...values]) => [name, values.join(' ')])) };
}

const error = { status: 404, message: 'Nothing.', requestId: 'r' };

describe('every answer', () => {
  test('rows 37, 125: cannot be framed, sniffed or made to load anything from elsewhere', async () => {
    const { headers, csp } = await headersOf((ctx) => {
      ctx.body = 'x';
    });
    expect(csp).toEqual({
      'default-src': "'none'",
      'script-src': '',
      'style-src': "'self'",
      'img-src': "'self'",
      'base-uri': "'none'",
      'frame-ancestors': "'none'",
    });
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('same-origin');
    expect(headers.get('permissions-policy')).toContain('camera=()');
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
  });

  test('row 125: demands https from then on when the issuer has it, and only then', async () => {
    const render = () => undefined;
    expect((await headersOf(render, true)).headers.get('strict-transport-security')).toBe('max-age=63072000');
    await server.close();
    expect((await headersOf(render)).headers.get('strict-transport-security')).toBeNull();
  });
});

describe('a page', () => {
  test('row 37: that leads nowhere else keeps its forms here, is not stored and has no opener', async () => {
    const { headers, csp } = await headersOf((ctx) => pages.renderError(ctx, error));
    expect(csp).toMatchObject({ 'form-action': "'self'", 'frame-ancestors': "'none'", 'default-src': "'none'" });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
  });

  test('whose form ends at the client does not stop the browser on the way', async () => {
    const { headers, csp } = await headersOf((ctx) => createLogoutPages(pages).renderLogout(ctx, '<form></form>'));
    expect(csp).not.toHaveProperty('form-action');
    expect(csp).toMatchObject({ 'frame-ancestors': "'none'", 'default-src': "'none'" });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('cross-origin-opener-policy')).toBeNull();
  });
});
