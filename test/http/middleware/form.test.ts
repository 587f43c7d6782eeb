import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readForm } from '../../../src/http/middleware/form.ts';
import { listen } from './listen.ts';

let server: Awaited<ReturnType<typeof listen>>;

beforeAll(async () => {
  server = await listen(async (ctx) => {
    ctx.body = JSON.stringify([...(await readForm(ctx))]);
  });
});
afterAll(() => server.close());

async function post(body: string | Uint8Array, headers: Record<string, string> = {}) {
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  const response = await fetch(server.origin, {
    method: 'POST',
    body: body as string,
    headers: { ...type, ...headers },
  });
  return { status: response.status, text: await response.text() };
}

describe('a form of ours', () => {
  test('is read as browsers send it', async () => {
    const sent = new URLSearchParams([
      ['email', 'ada+x@example.com'],
      ['name', 'Ada & "Łucja" = 🗝️'],
      ['empty', ''],
    ]);
    const { text } = await post(sent.toString());
    expect(JSON.parse(text)).toEqual([...sent]);
  });

  test('with parts missing is read for what it has', async () => {
    expect(JSON.parse((await post('&&a=1&b&c=')).text)).toEqual([
      ['a', '1'],
      ['b', ''],
      ['c', ''],
    ]);
    expect(JSON.parse((await post('')).text)).toEqual([]);
  });

  test('row 120: a field sent twice is refused, not chosen from', async () => {
    const { status, text } = await post('team_id=a&csrf=x&team_id=b');
    expect([status, text]).toEqual([400, 'team_id: is there more than once']);
    expect((await post('team%5Fid=a&team_id=b')).status).toBe(400);
  });

  test('of more than 16 KB is refused, with its length told or not', async () => {
    expect((await post(`a=${'x'.repeat(16_382)}`)).status).toBe(200);
    expect((await post(`a=${'x'.repeat(16_383)}`)).status).toBe(413);
    const stream = new Response('a='.padEnd(70_000, 'x')).body!;
    const init = {
      method: 'POST',
      body: stream,
      duplex: 'half',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    };
    expect((await fetch(server.origin, init as RequestInit)).status).toBe(413);
  });

  test.each(['application/json', 'multipart/form-data; boundary=x', 'text/plain'])(
    'sent as %s is refused',
    async (type) => {
      expect((await post('a=1', { 'content-type': type })).status).toBe(415);
    },
  );

  test('sent compressed is refused', async () => {
    expect((await post('a=1', { 'content-encoding': 'gzip' })).status).toBe(415);
  });

  test.each([
    ['NUL', 'a=%00'],
    ['NUL in a name', 'a%00=1'],
    ['half a surrogate pair', 'a=%ED%A0%80'],
    ['broken UTF-8', 'a=%C3'],
    ['a broken escape', 'a=%zz'],
    ['raw bytes', new Uint8Array([0x61, 0x3d, 0xff, 0xfe])],
  ])('with %s is refused', async (_, body) => {
    expect((await post(body)).status).toBe(400);
  });

  test('cut off on the way harms nobody', async () => {
    const { port, hostname } = new URL(server.origin);
    const socket = connect(Number(port), hostname);
    socket.write(
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=',
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    expect((await post('a=1')).status).toBe(200);
  });
});
