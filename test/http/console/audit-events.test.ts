import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import type { AuditEvents } from '../../../src/domain/audit-events.ts';
import { ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { csvLine } from '../../../src/http/console/audit-events/csv.ts';
import { auditCsv } from '../../../src/http/console/audit-events/export.ts';
import { type Browser, createBrowser, type Visit } from '../../support/browser.ts';
import { logInAt, wordsOf } from '../../support/console.ts';
import { createPerson } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const PATH = '/console/audit';

let server: TestServer;
let root: Browser;
let rootId: string;
beforeAll(async () => {
  server = await startTestServer();
  const person = await createPerson(server, { teamId: ROOT_TEAM_ID });
  rootId = person.userId;
  root = await logInAt(server, person);
});
afterAll(() => server.close());

const open = (browser: Browser, rest = '') => browser.get(`${server.origin}${PATH}${rest}`);
const actionsIn = ({ text }: Visit) =>
  [...text.matchAll(/data-label="What"><a [^>]*><bdi>([^<]*)/g)].map(([, action]) => action!);

interface Happening {
  action: string;
  teamId: string | null;
  outcome?: string;
  actorKind?: string;
  actorId?: string;
  targetKind?: string;
  targetId?: string;
  ip?: string;
  details?: object;
  at?: string;
}

/** Writes an event as it is; its id. */
async function happen(one: Happening): Promise<string> {
  const { rows } = await server.db.query<{ id: string }>(
    `INSERT INTO audit_events (action, team_id, outcome, actor_kind, actor_id, target_kind, target_id, ip, details, occurred_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, now())) RETURNING id`,
    [
      ...[one.action, one.teamId, one.outcome ?? 'success', one.actorKind ?? 'system', one.actorId ?? ''],
      ...[one.targetKind ?? '', one.targetId ?? '', one.ip ?? '', JSON.stringify(one.details ?? {}), one.at ?? null],
    ],
  );
  return rows[0]!.id;
}

/** A team with an administrator at the console, whose trail is empty but for what `happen` writes. */
async function teamWithAdmin() {
  const person = await createPerson(server);
  const browser = await logInAt(server, person);
  await server.domain.audit.flush();
  await server.db.query('DELETE FROM audit_events WHERE team_id = $1', [person.teamId]);
  return { ...person, browser };
}

/** RFC 4180, read back. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    if (quoted === undefined && plain === '' && end === '') break;
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain!);
    if (end === '\r\n') rows.push([]);
  }
  return rows.filter((row) => row.length > 0);
}

describe('the list', () => {
  test('is narrowed by action, outcome, who, whom and days, the newest first', async () => {
    const { teamId, userId, email, browser } = await teamWithAdmin();
    const target = randomUUID();
    await happen({ action: 'one.made', teamId, actorKind: 'user', actorId: userId, at: '2026-01-10T23:59:59Z' });
    await happen({ action: 'two.made', teamId, outcome: 'refused', at: '2026-01-11T00:00:00Z' });
    await happen({ action: 'three.made', teamId, targetKind: 'user', targetId: target, at: '2026-01-11T23:59:59.9Z' });
    await happen({ action: 'four.made', teamId, at: '2026-01-12T00:00:00Z' });
    const found = async (query: string) => actionsIn(await open(browser, query));
    expect(await found('')).toEqual(['four.made', 'three.made', 'two.made', 'one.made']);
    expect(await found('?sort=occurred_at')).toEqual(['one.made', 'two.made', 'three.made', 'four.made']);
    expect(await found('?action=two.made')).toEqual(['two.made']);
    const { text } = await open(browser, '?action=two.made');
    const offered = [.../<datalist[\s\S]*<\/datalist>/.exec(text)![0].matchAll(/<option value="([^"]*)"/g)].map(
      ([, action]) => action!,
    );
    expect(offered).toEqual([...new Set(offered)].sort());
    expect(offered).toEqual(expect.arrayContaining(['one.made', 'two.made', 'user.created']));
    expect(await found('?outcome=refused')).toEqual(['two.made']);
    expect(await found(`?actor=${userId}`)).toEqual(['one.made']);
    expect(await found(`?actor=${encodeURIComponent(email.toUpperCase())}`)).toEqual(['one.made']);
    expect(await found(`?target=${target}`)).toEqual(['three.made']);
    expect(await found('?from=2026-01-11&to=2026-01-11')).toEqual(['three.made', 'two.made']);
    expect(await found('?from=no-day&outcome=success&to=')).toEqual(['four.made', 'three.made', 'one.made']);
    expect(wordsOf(await open(browser, '?action=nothing.like.it'))).toContain('Nothing here matches.');
  });

  test('names who is within reach, and keeps the addresses of others', async () => {
    const { teamId, userId, email, browser } = await teamWithAdmin();
    await happen({ action: 'a.made', teamId, actorKind: 'user', actorId: userId });
    await happen({ action: 'b.made', teamId, actorKind: 'user', actorId: rootId });
    const { text } = await open(browser);
    expect(text).toContain(`<bdi>${email}</bdi>`);
    expect(text).toContain(rootId);
    const { email: rootEmail } = (await server.domain.users.find(rootId))!;
    expect(text).not.toContain(rootEmail);
    expect((await open(root, `?team=${teamId}`)).text).toContain(`<bdi>${rootEmail}</bdi>`);
  });

  test('goes on page by page, each once', async () => {
    const { teamId, browser } = await teamWithAdmin();
    for (let n = 0; n < 60; n += 1) await happen({ action: `n${n}.made`, teamId, at: '2026-01-01T00:00:00Z' });
    const actions: string[] = [];
    for (let next: string | undefined = PATH; next !== undefined; ) {
      const page: Visit = await browser.get(`${server.origin}${next}`);
      actions.push(...actionsIn(page));
      next = /href="([^"]*)" rel="next"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&');
    }
    expect(new Set(actions).size).toBe(60);
    expect(actions).toHaveLength(60);
  });
});

test('apps, clients and APIs lead to their pages, by what is known of them', async () => {
  const { teamId } = await teamWithAdmin();
  await happen({ action: 'a.made', teamId, actorKind: 'app', actorId: 'app_1', targetKind: 'app', targetId: 'app_2' });
  await happen({ action: 'b.made', teamId, actorKind: 'client', actorId: 'svc_1' });
  await happen({ action: 'c.made', teamId, targetKind: 'resource_server', targetId: 'some-api' });
  const { text } = await open(root, `?team=${teamId}`);
  for (const path of ['api-keys/apps/app_1', 'api-keys/apps/app_2', 'api-keys/clients/svc_1']) {
    expect(text).toContain(`href="/console/${path}"`);
  }
  expect(text).toContain('href="/console/resource-servers/some-api"');
});

test('an event has a page with all that is known of it, as text', async () => {
  const { teamId, browser } = await teamWithAdmin();
  // In the order PostgreSQL keeps them.
  const details = { list: ['a', { b: null }], name: '<script>alert(1)</script>' };
  const id = await happen({
    ...{ action: 'thing.made', teamId, actorKind: 'client', actorId: 'svc_1', ip: '2001:db8::1', details },
    ...{ targetKind: 'api_key', targetId: 'some-id', at: '2026-01-10T12:34:56.789Z' },
  });
  const page = await open(browser, `/${id}`);
  const words = wordsOf(page);
  for (const part of ['thing.made', 'Success', 'An OAuth2 Client svc_1', 'some-id', '2001:db8::1', teamId, id]) {
    expect(words).toContain(part);
  }
  expect(page.text).toContain('2026-01-10T12:34:56.789Z');
  expect(words).toContain(JSON.stringify(details, null, 2).replace(/\s+/g, ' '));
  expect(page.text).not.toContain('<script>alert');
});

test('row 110: events of other teams are not there, in the list, by their id, or in the file', async () => {
  const [mine, other] = [await teamWithAdmin(), await teamWithAdmin()];
  const id = await happen({ action: 'secret.made', teamId: other.teamId });
  const none = await happen({ action: 'nobodys.made', teamId: null });
  for (const query of ['', `?team=${other.teamId}`, '?action=secret.made']) {
    expect(actionsIn(await open(mine.browser, query))).toEqual([]);
    expect((await open(mine.browser, `.csv${query}`)).text).not.toMatch(/secret|nobodys/);
  }
  for (const wrong of [id, none, '0', '99999999999999999999', 'x', `${id}%20`]) {
    expect((await open(mine.browser, `/${wrong}`)).status).toBe(404);
  }
  expect((await open(root, `/${id}`)).status).toBe(200);
  expect(actionsIn(await open(root, `?team=${other.teamId}`))).toEqual(['secret.made']);
});

test('who may not read the audit trail is refused list, page and file', async () => {
  const { teamId } = await teamWithAdmin();
  const id = await happen({ action: 'a.made', teamId });
  const operator = await logInAt(server, await createPerson(server, { role: 'Operator', teamId }));
  for (const rest of ['', `/${id}`, '.csv']) expect((await open(operator, rest)).status).toBe(403);
});

describe('the file', () => {
  test('has every event the filters leave, the newest first, over many batches', async () => {
    const { teamId, browser } = await teamWithAdmin();
    await server.db.query(
      `INSERT INTO audit_events (action, outcome, actor_kind, team_id, occurred_at)
       SELECT 'n' || n, CASE n % 2 WHEN 0 THEN 'refused' ELSE 'success' END, 'system', $1, '2026-01-01'::timestamptz + (n / 3) * interval '1 s'
       FROM generate_series(1, 1203) AS n`,
      [teamId],
    );
    const answer = await open(browser, '.csv');
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename="audit-\d{4}-\d\d-\d\d\.csv"$/);
    const [head, ...rows] = parseCsv(answer.text);
    expect(head!.slice(0, 4)).toEqual(['id', 'occurred_at', 'action', 'outcome']);
    expect(new Set(rows.map((row) => row[2])).size).toBe(1_203);
    expect(rows).toHaveLength(1_203);
    expect(rows[0]!.slice(1, 4)).toEqual(['2026-01-01T00:06:41.000Z', 'n1203', 'success']);
    const refused = parseCsv((await open(browser, '.csv?outcome=refused')).text);
    expect(refused).toHaveLength(1 + 601);
    const link = /href="(\/console\/audit\.csv[^"]*)"/.exec(
      (await open(browser, '?outcome=refused&action=n2')).text,
    )![1]!;
    const linked = await browser.get(`${server.origin}${link.replaceAll('&amp;', '&')}`);
    expect(
      parseCsv(linked.text)
        .slice(1)
        .map((row) => row[2]),
    ).toEqual(['n2']);
  });

  test('is no formula in a spreadsheet, whatever somebody called themselves', async () => {
    const { teamId, browser } = await teamWithAdmin();
    const hostile = [
      ...[
        '=HYPERLINK("https://evil.example")',
        '+1+1',
        '-1+1',
        '@SUM(A1)',
        '\t=1',
        '\r=1',
        '\n=1',
        '  =1',
        '|calc',
        '＝1',
      ],
      ...['a,b', 'say "hi"', 'line\r\nbreak', ' padded ', '\u2028', '👩‍🚀'],
    ];
    for (const [n, actorId] of hostile.entries()) {
      await happen({ action: `h${n}`, teamId, actorId, details: { name: '=1"\n' } });
    }
    const { text } = await open(browser, '.csv?actor=');
    const rows = parseCsv(text).slice(1);
    const read = Object.fromEntries(rows.map((row) => [row[2], row[5]]));
    for (const [n, actorId] of hostile.entries()) expect(read[`h${n}`]).toBe(n < 10 ? `'${actorId}` : actorId);
    for (const row of rows) {
      expect(row).toHaveLength(12);
      expect(JSON.parse(row[11]!)).toEqual({ name: '=1"\n' });
      for (const cell of row) expect(cell).not.toMatch(/^\s*[=+\-@|＝＋－＠]/);
    }
    expect(csvLine(['', 'plain', '-'])).toBe(`,plain,'-\r\n`);
  });

  test('nor where semicolons part cells, whatever somebody nobody knows has sent', async () => {
    const client_id = "x;=cmd|' /C calc'!A0;y";
    const fields = { grant_type: 'client_credentials', client_id, client_secret: 'none' };
    await createBrowser().post(`${server.origin}/oauth2/token`, fields);
    await server.auditEvents();
    const { text } = await open(root, '.csv?action=token.refused');
    expect(text).toContain('/C calc');
    for (const cell of text.split(/[;\r\n]/)) expect(cell).not.toMatch(/^"?\s*[=+\-@|＝＋－＠]/);
    expect(JSON.parse(parseCsv(text)[1]![11]!)).toMatchObject({ client_id });
  });

  test('ends after so many events and says so, and asks no more when nobody reads on', async () => {
    const { teamId } = await teamWithAdmin();
    for (let n = 0; n < 7; n += 1) await happen({ action: `n${n}`, teamId });
    let asked = 0;
    const auditEvents: Pick<AuditEvents, 'list'> = {
      list(scope, page) {
        asked += 1;
        return server.domain.auditEvents.list(scope, page);
      },
    };
    const fileOf = async (most: number) => {
      let text = '';
      for await (const piece of auditCsv({ auditEvents, scope: { teamId }, conditions: [], most })) text += piece;
      return parseCsv(text).slice(1);
    };
    expect((await fileOf(7)).map((row) => row[2])).toEqual(['n6', 'n5', 'n4', 'n3', 'n2', 'n1', 'n0']);
    const cut = await fileOf(5);
    expect(cut).toHaveLength(6);
    expect(cut[5]).toEqual(['There are more events. This file ends after 5: narrow the time and export again.']);
    asked = 0;
    const given = auditCsv({ auditEvents, scope: {}, conditions: [] });
    await given.next();
    await given.next();
    await given.return();
    expect(asked).toBe(1);
  });

  test('stops asking the database when the browser goes away', async () => {
    const { teamId, browser } = await teamWithAdmin();
    await server.db.query(
      `INSERT INTO audit_events (action, outcome, actor_kind, team_id, details)
       SELECT 'big', 'success', 'system', $1, jsonb_build_object('text', repeat('x', 8000)) FROM generate_series(1, 6000)`,
      [teamId],
    );
    const { auditEvents } = server.domain;
    const { list } = auditEvents;
    let asked = 0;
    auditEvents.list = (scope, page) => {
      asked += 1;
      return list(scope, page);
    };
    try {
      const cookie = await browser.jar.getCookieString(server.origin);
      const gone = new AbortController();
      const answer = await fetch(`${server.origin}${PATH}.csv`, { headers: { cookie }, signal: gone.signal });
      const reader = answer.body!.getReader();
      await reader.read();
      gone.abort();
      await reader.read().catch(() => {});
      // Another request is answered after the end of that one was noticed.
      for (let before = -1; before !== asked; ) {
        before = asked;
        await open(browser, '/1');
        await new Promise((resolve) => setImmediate(resolve));
      }
      // All of it would be twelve.
      expect(asked).toBeLessThan(9);
    } finally {
      auditEvents.list = list;
    }
  });
});

test('a refusal and a change made here are in it at once', async () => {
  const { teamId, browser } = await teamWithAdmin();
  const { key } = await server.domain.apiKeys.createTeam({ teamId, name: 'seen' }, OPERATOR);
  const page = await open(browser, `?target=${key.id}`);
  expect(actionsIn(page)).toEqual(['api_key.created']);
  expect(wordsOf(page)).toContain('The command line');
  expect(page.text).toContain(`href="/console/api-keys/team/${key.id}"`);
  // A personal key is nobody's to look at but its owner's, and the root team's.
  const owner = await createPerson(server, { teamId });
  const own = await server.domain.apiKeys.createPersonal({ ...owner, name: 'theirs' }, OPERATOR);
  const link = `href="/console/api-keys/personal/${own.key.id}"`;
  const shown = await Promise.all([browser, root].map((one) => open(one, `?target=${own.key.id}`)));
  expect(shown.map(({ text }) => [text.includes('theirs'), text.includes(link)])).toEqual([
    [true, false],
    [true, true],
  ]);
});
