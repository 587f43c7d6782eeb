import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createAssets } from '../../src/http/assets.ts';
import { createEnginePages } from '../../src/http/interaction/index.ts';
import { createPages } from '../../src/http/pages.ts';
import { listen } from './middleware/listen.ts';

const assets = createAssets();
const pages = createPages({ issuer: 'https://auth.example.com', assets });
let server: Awaited<ReturnType<typeof listen>> | undefined;
afterEach(() => server?.close());

async function visit(
  render: (ctx: Parameters<typeof pages.renderError>[0]) => void,
  headers: Record<string, string> = {},
) {
  server = await listen(assets.routes.routes() as never, (ctx) => render(ctx));
  const response = await fetch(server.origin, { headers });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

describe('templates', () => {
  test('that are missing stop the start', () => {
    expect(() => pages.declare('interaction/missing', [])).toThrow('views/interaction/missing.eta is missing');
  });

  test('that show other values than their page declares stop the start', () => {
    expect(() => pages.declare<{ appName: string }>('interaction/logged-out', [])).toThrow('appName');
    expect(() =>
      pages.declare<{ appName: string; more: string }>('interaction/logged-out', ['appName', 'more']),
    ).toThrow('more');
  });

  test('never say undefined', async () => {
    const page = pages.declare<{ appName: string }>('interaction/logged-out', ['appName']);
    expect(() => page({ set() {} } as never, { appName: null } as never)).not.toThrow();
    const error = pages.declare<{ title: string; message: string; requestId: string; detail: string }>('error', [
      'title',
      'message',
      'requestId',
      'detail',
    ]);
    expect(() => error({ set() {} } as never, { title: 'x', requestId: '', detail: '' } as never)).toThrow('not there');
  });

  test('row 125: have no script but our own file, no inline style and load nothing from elsewhere', () => {
    const views = readdirSync('views', { recursive: true, encoding: 'utf8' }).filter((file) =>
      /\.(eta|svg|css)$/.test(file),
    );
    expect(views.length).toBeGreaterThan(10);
    for (const view of views) {
      const text = readFileSync(`views/${view}`, 'utf8')
        .replace('http://www.w3.org/2000/svg', '')
        .replace('<script src="<%= it.shell.consoleScript %>" defer></script>', '');
      expect([view, text]).toEqual([
        view,
        expect.not.stringMatching(/<script|<style|\sstyle=|\son[a-z]+=|javascript:|https?:\/\/|url\((?!#)|@import/i),
      ]);
    }
  });
});

describe('row 38: what others named is text', () => {
  const hostile = `"><img src=x onerror=alert(1)><script>alert('1')</script>&amp;`;
  const inPage = '&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;';

  test('on the logout page', async () => {
    const { text } = await visit((ctx) => {
      Object.assign(ctx, { oidc: { client: { clientName: hostile } } });
      createEnginePages(pages).renderLogout(ctx, '<form id="op.logoutForm"></form>');
    });
    expect(text).toContain(inPage);
    expect(text).toContain('<form id="op.logoutForm"></form>');
    expect(text).not.toContain('<script');
  });

  test('on the error page, which keeps the status and says what to do', async () => {
    const { status, type, text } = await visit((ctx) => {
      ctx.status = 400;
      createEnginePages(pages).renderEngineError(ctx, { error: 'invalid_redirect_uri', error_description: hostile });
    });
    expect([status, type]).toEqual([400, 'text/html; charset=utf-8']);
    expect(text).toContain(`invalid_redirect_uri: ${inPage}`);
    expect(text).toContain('tell its developer');
    expect(text).not.toContain('<script');
  });
});

describe('assets', () => {
  test('are kept by browsers for good, under a name that says what is in them', async () => {
    server = await listen(assets.routes.routes() as never);
    for (const path of [assets.stylesheet, assets.logo]) {
      const response = await fetch(server.origin + path);
      expect([response.status, response.headers.get('cache-control')]).toEqual([
        200,
        'public, max-age=31536000, immutable',
      ]);
      const etag = response.headers.get('etag') ?? '';
      expect(path).toContain(etag.replaceAll('"', ''));
      const again = await fetch(server.origin + path, {
        headers: { 'if-none-match': etag, 'cache-control': 'max-age=0' },
      });
      expect([again.status, await again.text()]).toEqual([304, '']);
    }
    expect((await fetch(`${server.origin}/assets/latchkey.0000.css`)).status).toBe(404);
  });

  test('stay small', () => {
    expect(readFileSync('views/assets/latchkey.css').length).toBeLessThan(10_240);
  });
});
