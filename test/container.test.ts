/** What can be checked of the container files without an engine to build them. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { describeVariables } from '../src/config.ts';

const dockerfile = readFileSync('Dockerfile', 'utf8');
const compose = readFileSync('docker-compose.yml', 'utf8');
const { dependencies, engines } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  dependencies: Record<string, string>;
  engines: { node: string };
};

test('everything the image copies from the checkout is let in by .dockerignore, and nothing else is', () => {
  const copied = dockerfile
    .split('\n')
    .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
    .flatMap((line) => line.split(/\s+/).slice(1, -1))
    .map((name) => name.replace(/^\.\//, ''));
  const letIn = readFileSync('.dockerignore', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'));
  expect([...new Set(copied)].sort()).toEqual(letIn.map((line) => line.slice(1)).sort());
  for (const name of copied) expect(readdirSync('.')).toContain(name);
});

test('the image has the Node the project asks for, no development or optional package, and no root', () => {
  const [major] = /\d+/.exec(engines.node)!;
  expect([...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)).toEqual(
    Array(2).fill(`node:${major}-slim`),
  );
  expect(dockerfile).toContain('npm ci --omit=dev --omit=optional');
  expect(dockerfile.lastIndexOf('\nUSER node')).toBeGreaterThan(dockerfile.lastIndexOf('\nFROM '));
  expect(dockerfile).toMatch(/^HEALTHCHECK .*\n.*\/readyz/m);
});

test('what the server imports is a dependency, but for the embedded database', () => {
  const missing = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const text = readFileSync(`src/${file}`, 'utf8');
      // Types leave no trace when the sources run.
      const values = text.matchAll(/^(?:import (?!type)|export \{?(?! type)).*?from '([^.][^']*)';$/gms);
      return [...values].map(([, name = '']) =>
        name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/'),
      );
    })
    .filter((name) => !name.startsWith('node:') && !Object.hasOwn(dependencies, name));
  expect(missing).toEqual([]);
});

test('docker-compose sets only variables the server knows, and asks for the secrets it cannot make up', () => {
  const known = describeVariables().flatMap(({ name }) => name.split(', '));
  const service = compose.slice(compose.indexOf('\n  latchkey:\n'), compose.indexOf('\n  postgres:\n'));
  const set = [...service.matchAll(/^ {6}([A-Z_]+):/gm)].map(([, name]) => name!);
  expect(set.length).toBeGreaterThan(2);
  expect(set.filter((name) => !known.includes(name))).toEqual([]);
  for (const secret of ['SECRET', 'POSTGRES_PASSWORD']) expect(service).toContain(`\${${secret}:?`);
  expect(service).not.toMatch(/"0\.0\.0\.0|^ {4}ports: \["\d+:/m);
});
