/** The checks themselves: a page that does everything wrong is found out. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { axeFindings, tooWide } from './checks.ts';
import { chromiumOf, describeInBrowser } from './chromium.ts';
import { newContext } from './launch.ts';
import { watch } from './watch.ts';

const BAD = `<!doctype html><html><title>Bad</title>
<script>window.ran = true</script><script src="/allowed.js"></script>
<img src="/missing.png"><img src="http://127.0.0.1:9/other.png" alt="">
<input name="nameless"><p style="color: #888">pale</p><div class="wide">wide</div></html>`;
const ALLOWED = `console.error('oh'); setTimeout(() => alert('hello'), 0); throw new Error('thrown');`;

describeInBrowser('a page that does everything wrong', () => {
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    server = createServer((req, res) => {
      if (req.url === '/allowed.js') return void res.setHeader('content-type', 'text/javascript').end(ALLOWED);
      if (req.url === '/bad.css') return void res.setHeader('content-type', 'text/css').end('.wide { width: 500px }');
      if (req.url !== '/') return void res.writeHead(404).end();
      res.setHeader('content-security-policy', "script-src 'self'").setHeader('content-type', 'text/html');
      res.end(`${BAD}<link rel="stylesheet" href="/bad.css"><link rel="icon" href="data:,">`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server?.close());

  test('is found out', async () => {
    const context = await newContext(await chromiumOf(), { width: 360 });
    const complaints: string[] = [];
    watch(context, [origin], (complaint) => complaints.push(complaint));
    const page = await context.newPage();
    const asked = context.waitForEvent('dialog');
    await page.goto(origin, { waitUntil: 'load' });
    await asked;
    for (const expected of [
      /^console: .*Content Security Policy/,
      /^console: oh/,
      /^script: thrown/,
      /^dialog: hello/,
      /^asked somebody else: http:\/\/127.0.0.1:9\/other.png/,
      /^did not come: .*missing.png 404/,
      /^did not come: .*other.png net::/,
    ]) {
      expect(complaints).toContainEqual(expect.stringMatching(expected));
    }
    expect(await page.evaluate('window.ran')).toBeUndefined();
    const findings = (await axeFindings(page)).map((finding) => finding.split(':')[0]);
    expect(new Set(findings)).toEqual(new Set(['color-contrast', 'html-has-lang', 'image-alt', 'label']));
    expect(await tooWide(page)).toContainEqual(expect.stringMatching(/class="wide".* 5\d\d$/));
    await context.close();
  });
});
