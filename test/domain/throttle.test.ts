import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { createThrottle, networkOf } from '../../src/domain/throttle.ts';

test('allows tries up to the limit, says once that it is over, and starts again in the next window', async () => {
  const throttle = createThrottle({ windowMs: 500 });
  expect([1, 2, 3, 4].map(() => throttle.take('a', 2))).toEqual(['allowed', 'allowed', 'over', 'still_over']);
  expect(throttle.take('b', 2)).toBe('allowed');
  await sleep(550);
  expect(throttle.take('a', 2)).toBe('allowed');
});

test('a try that is given back does not count', () => {
  const throttle = createThrottle({ windowMs: 60_000 });
  for (let round = 0; round < 5; round += 1) {
    expect(throttle.take('a', 1)).toBe('allowed');
    throttle.giveBack('a');
  }
  expect(throttle.count('a')).toBe(0);
});

test('keeps no more counters than it may', () => {
  const throttle = createThrottle({ windowMs: 60_000, max: 10 });
  for (let key = 0; key < 1_000; key += 1) throttle.take(String(key), 1);
  expect(throttle.count('989')).toBe(0);
  expect(throttle.count('990')).toBe(1);
});

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::FFFF:c000:0207', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:0001:0002::ffff', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['nonsense', 'unknown'],
  [undefined, 'unknown'],
])('row 105: the network of %s is %s', (ip, network) => {
  expect(networkOf(ip)).toBe(network);
});
