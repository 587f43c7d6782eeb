import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type CommandLine, openCommandLine } from '../support/command-line.ts';
import { soon } from '../support/soon.ts';

let all: CommandLine;
let folder: string;
let team: { id: string; name: string };
beforeAll(async () => {
  all = await openCommandLine();
  folder = await mkdtemp(join(tmpdir(), 'latchkey-import-'));
  team = await all.makeTeam('Sales, "North"');
});
afterAll(async () => {
  await all?.close();
  await rm(folder, { recursive: true, force: true });
});

const newText = () => `acme_${randomBytes(12).toString('hex')}`;
const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');
const opens = (text: string) => soon(async () => (await all.apiKeys.verify(text)) !== undefined);

async function file(name: string, ...lines: string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines.join('\n'));
  return path;
}

const jsonLine = (text: string, more: object = {}) =>
  JSON.stringify({ digest: digestOf(text), algorithm: 'sha256', name: 'Old', team: team.id, ...more });

test('CSV with quotes, a byte order mark and Windows line ends is tried out, imported, and found again', async () => {
  const [one, two] = [newText(), newText()];
  const row = (text: string, name: string) => `${digestOf(text)},sha256,${name},"Sales, ""North""",acme_,,"x-1"\r`;
  const path = await file(
    'keys.csv',
    '\uFEFFDigest,algorithm,name,team,prefix,scopes,external_id\r',
    row(one, 'One'),
    '\r',
    row(two, '"Two, ""too"""'),
  );
  expect(await all.json('key', 'import', path, '--dry-run')).toEqual({
    imported: 2,
    skipped: 0,
    failed: 0,
    problems: [],
    is_complete: true,
    dry_run: true,
  });
  expect(await all.apiKeys.verify(one)).toBeUndefined();
  const said = await all.run('key', 'import', path);
  expect(said).toEqual({ code: 0, err: '', out: 'imported       2\nknown already  0\nfailed         0\n' });
  expect(await opens(two)).toBe(true);
  const [shown] = await all.json('key', 'list', '--name', 'Two, "too"');
  expect(shown).toMatchObject({ team_name: team.name, prefix: 'acme_', external_id: 'x-1', kind: 'team' });
  expect((await all.run('key', 'show', shown.id)).out).toContain('external_id  x-1');
  const again = await all.json('key', 'import', path);
  expect(again).toMatchObject({ imported: 0, skipped: 2 });
  const [event] = await all.events('api_key.imported');
  expect(event).toMatchObject({ actor_kind: 'operator', details: { file: 'keys.csv', imported: 2, complete: true } });
});

test('each line that is wrong is told with its number, never with what it holds, and the others are imported', async () => {
  const [good, bad] = [newText(), digestOf('x')];
  const path = await file(
    'keys.jsonl',
    jsonLine(good),
    // One ends in the chunk of the file it was found too long in, one in a later chunk.
    'x'.repeat(66_000),
    `{"digest": "${bad}`,
    '[]',
    jsonLine('x', { team: 'Nowhere' }),
    'x'.repeat(200_000),
    jsonLine('y', { algorithm: 'md5' }),
  );
  const said = await all.run('key', 'import', path);
  expect(said.err.split('\n')).toEqual([
    `${path}:2: is longer than 64 KB`,
    `${path}:3: is not a JSON object`,
    `${path}:4: is not a JSON object`,
    `${path}:5: team: there is no such team`,
    `${path}:6: is longer than 64 KB`,
    `${path}:7: algorithm: must be one of sha256, sha512, hmac-sha256, bcrypt`,
    'error: Some keys were not imported.',
    '',
  ]);
  expect([said.code, said.out]).toEqual([1, 'imported       1\nknown already  0\nfailed         6\n']);
  expect(said.err).not.toContain(bad.slice(0, 12));
  expect(await opens(good)).toBe(true);
});

test('a CSV file whose columns or quotes are not sound is refused without repeating them', async () => {
  const secret = digestOf('x');
  const none = await file('none.csv', `${secret},sha256`, `${secret},sha256`);
  expect(await all.run('key', 'import', none)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^error: Line 1 must name the columns: column 1 is not known\. /),
  });
  const twice = await file('twice.csv', 'digest,digest', 'x,y');
  expect((await all.run('key', 'import', twice)).err).toContain('a column is there twice');
  const broken = await file(
    'broken.csv',
    'digest,algorithm,name',
    `${secret},"sha256,x`,
    `${secret},sha256`,
    `"a"b,c,d`,
  );
  const said = await all.run('key', 'import', broken);
  expect(said.err).toContain(':2: has a quote that is not closed');
  expect(said.err).toContain(':3: has 2 fields where the first line names 3');
  expect(said.err).toContain(':4: has a quote that is not closed or not at the end of its field');
  expect(said.err).not.toContain(secret);
  for (const path of [folder, join(folder, 'missing.csv')]) {
    expect(await all.run('key', 'import', path)).toMatchObject({
      code: 1,
      err: expect.stringContaining('no readable'),
    });
  }
});
