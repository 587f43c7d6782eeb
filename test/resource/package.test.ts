import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AUDIENCE, type Issuer, startIssuer } from './issuer.ts';

const run = promisify(execFile);
const SUBPATHS = ['', '/koa', '/express', '/fastify', '/hono', '/node'];
const MOST_BYTES = 30 * 1024;
let home: string;
let project: string;
let issuer: Issuer;

/** A copy is packed, so that no other test meets a half-written dist/; then a project with nothing but it and `jose`. */
beforeAll(async () => {
  issuer = await startIssuer();
  home = await mkdtemp(path.join(tmpdir(), 'latchkey-package-'));
  const source = path.join(home, 'source');
  project = path.join(home, 'project');
  await mkdir(source);
  for (const name of ['src', '.ci', 'views', 'package.json', 'tsconfig.json', 'README.md', 'LICENSE']) {
    await cp(name, path.join(source, name), { recursive: true });
  }
  await symlink(path.resolve('node_modules'), path.join(source, 'node_modules'));
  // `npm pack` builds first, as before a release.
  await run('npm', ['pack', '--offline', '--silent', '--pack-destination', home], { cwd: source });
  const tarball = (await readdir(home)).find((name) => name.endsWith('.tgz')) as string;
  await mkdir(path.join(project, 'node_modules/latchkey'), { recursive: true });
  await run('tar', ['-xzf', path.join(home, tarball), '--strip-components=1', '-C', 'node_modules/latchkey'], {
    cwd: project,
  });
  await cp('node_modules/jose', path.join(project, 'node_modules/jose'), { recursive: true });
  await writeFile(path.join(project, 'package.json'), '{ "type": "module" }');
});
afterAll(() => Promise.all([issuer.stop(), rm(home, { recursive: true, force: true })]));

test('a packed tarball works in a project with only jose beside it: every subpath loads, a token is checked', async () => {
  const source = `
    import { createServer } from 'node:http';
    const names = {};
    for (const subpath of ${JSON.stringify(SUBPATHS)}) {
      names[subpath] = Object.keys(await import('latchkey/resource' + subpath)).sort().join(' ');
    }
    const { createAuthenticator } = await import('latchkey/resource');
    const { authenticate } = createAuthenticator({ issuer: process.argv[2], audience: '${AUDIENCE}' });
    const send = (token) => authenticate({ method: 'GET', headers: { authorization: 'Bearer ' + token } });
    const good = await send(process.argv[3]);
    const bad = await send(process.argv[3] + 'x');
    console.log(JSON.stringify({ names, subject: good.principal?.subject, status: bad.status }));`;
  await writeFile(path.join(project, 'index.js'), source);
  const { stdout } = await run(process.execPath, ['index.js', issuer.url, await issuer.token()], { cwd: project });
  const adapter = 'authenticate protectedResourceMetadata requireScope';
  expect(JSON.parse(stdout)).toEqual({
    names: {
      '': 'authenticate createAuthenticator protectedResourceMetadata requireScope',
      ...{ '/koa': adapter, '/express': adapter, '/fastify': adapter, '/hono': adapter },
      '/node': 'createGuard protectedResourceMetadata requireScope sendFailure',
    },
    subject: 'svc_reports',
    status: 401,
  });
});

test('its types are whole without any framework, and keep their comments', async () => {
  await writeFile(
    path.join(project, 'index.ts'),
    `import { createServer } from 'node:http';
     import { authenticate, createAuthenticator, type Principal } from 'latchkey/resource';
     import { createGuard } from 'latchkey/resource/node';
     const options = { issuer: 'https://a.example', audience: 'https://b.example' };
     const check = createGuard(options);
     createServer(async (req, res) => {
       const principal: Principal | undefined = await check(req, res);
       res.end(principal?.subject);
     });
     export const { externalUrl } = createAuthenticator(options);
     export const middleware = authenticate(options);
     // @ts-expect-error An option that is no option.
     createGuard({ ...options, issuer: 1 });`,
  );
  await mkdir(path.join(project, 'node_modules/@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types']) {
    await symlink(path.resolve('node_modules', name), path.join(project, 'node_modules', name));
  }
  const tsc = path.resolve('node_modules/.bin/tsc');
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
  const problems = await run(tsc, [...options, 'index.ts'], { cwd: project }).then(
    ({ stdout }) => stdout,
    ({ stdout, message }) => stdout || message,
  );
  expect(problems).toBe('');
  const types = await readFile(path.join(project, 'node_modules/latchkey/dist/resource/node.d.ts'), 'utf8');
  expect(types).toContain('@throws AppError');
});

test('the middleware is at most 30 KB of code, all adapters together', async () => {
  const dist = path.join(project, 'node_modules/latchkey/dist');
  const files = (await readdir(path.join(dist, 'resource'))).filter((name) => name.endsWith('.js'));
  const sizes = await Promise.all(
    ['errors.js', ...files.map((name) => `resource/${name}`)].map(
      async (name) => (await stat(path.join(dist, name))).size,
    ),
  );
  expect(sizes.length).toBeGreaterThan(20);
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(MOST_BYTES);
});
