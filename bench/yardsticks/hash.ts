/**
 * Yardstick "hash": the password check and nothing else, as many at once as the server does. No login with a password
 * can be faster. Writes how many a second for `SECONDS`.
 */
import { createPasswords } from '../../src/domain/passwords.ts';

const passwords = createPasswords();
const kept = await passwords.hash('password', 'correct horse battery staple');
const until = performance.now() + Number(process.env.SECONDS ?? 5) * 1000;
const cpuBefore = process.cpuUsage();
const began = performance.now();
let checks = 0;
await Promise.all(
  Array.from({ length: 8 }, async () => {
    while (performance.now() < until) {
      if (!(await passwords.verify(kept, 'correct horse battery staple')))
        throw new Error('the right password was refused');
      checks += 1;
    }
  }),
);
const { user, system } = process.cpuUsage(cpuBefore);
const seconds = (performance.now() - began) / 1000;
process.stdout.write(JSON.stringify({ checks, seconds, cpuSeconds: (user + system) / 1e6 }));
