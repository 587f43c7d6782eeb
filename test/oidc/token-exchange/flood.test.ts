/** Keys that open nothing, by the hundred: what they cost, and what the others notice. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createSecretText } from '../../../src/domain/secret-text.ts';
import { countStatuses, inParallel } from '../../support/parallel.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { createExchange } from './exchange.ts';

let server: TestServer;
let exchange: ReturnType<typeof createExchange>;
let person: Awaited<ReturnType<typeof exchange.person>>;

beforeAll(async () => {
  server = await startTestServer();
  exchange = createExchange(server);
  person = await exchange.person();
});
afterAll(() => server.close());

const guess = () => exchange.key(createSecretText('lkp_').text);

const LOOK = 'WHERE digest = $1 OR previous_digest = $1';

/** What the server asks the database while `work` runs; looks for keys take a few milliseconds more. */
async function queriesOf<T>(work: () => Promise<T>, delay = 0): Promise<{ answer: T; queries: string[] }> {
  const { query } = server.db;
  const queries: string[] = [];
  server.db.query = async (text, values) => {
    queries.push(text);
    if (delay > 0 && text.includes(LOOK)) await sleep(delay);
    return query(text, values);
  };
  try {
    return { answer: await work(), queries };
  } finally {
    server.db.query = query;
  }
}

test('a wrong key costs one look by its digest, a damaged one none', async () => {
  await guess();
  const isLook = (text: string) => !text.includes('audit_events') && !text.includes('credential_uses');
  const wrong = await queriesOf(guess);
  expect([wrong.answer.status, wrong.answer.body.error]).toEqual([400, 'invalid_grant']);
  expect(wrong.queries.filter(isLook)).toEqual([expect.stringContaining(LOOK)]);
  const { text } = createSecretText('lkt_');
  const damaged = await queriesOf(() => exchange.key(`${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`));
  expect(damaged.answer.body).toEqual(wrong.answer.body);
  expect(damaged.queries.filter(isLook)).toEqual([]);
});

test('a flood from one network: most are told to come back, good keys of that network get through, the trail stays short', async () => {
  const [used, fresh] = [await exchange.personalKey(person), await exchange.personalKey(person)];
  const client = await exchange.client(person.teamId);
  expect((await exchange.key(used.text)).status).toBe(200);
  const { answer: answers, queries } = await queriesOf(async () => {
    const flood = inParallel(250, guess);
    const during = await Promise.all([exchange.key(used.text), exchange.key(fresh.text, {}, client)]);
    expect(during.map(({ status }) => status)).toEqual([200, 200]);
    // A client that has said who it is waits for nobody.
    const byClient = await inParallel(60, () => exchange.key(createSecretText('lkp_').text, {}, client));
    expect(countStatuses(byClient)).toEqual({ 400: 60 });
    return flood;
  }, 10);
  const counts = countStatuses(answers);
  expect(Object.keys(counts).sort()).toEqual(['400', '429']);
  expect(counts[429]).toBeGreaterThan(50);
  expect(queries.filter((text) => text.includes(LOOK)).length).toBeLessThanOrEqual(counts[400]! + 2 + 60);
  const { headers, body } = answers.find(({ status }) => status === 429)!;
  expect(headers.get('retry-after')).toBe('1');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(body).toEqual({ error: 'temporarily_unavailable', error_description: expect.stringMatching(/Try again/) });
  const noted = (await server.auditEvents()).filter(
    ({ action, actor_kind: kind }) => action === 'token.refused' && kind === 'anonymous',
  );
  expect(noted.length).toBeLessThanOrEqual(61);

  // One nobody has seen yet, while guesses go on.
  const second = inParallel(40, guess);
  const asked = await exchange.key((await exchange.personalKey(person)).text);
  expect(asked.status).toBe(200);
  await second;
});
