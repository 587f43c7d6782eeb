/**
 * The last step of the build: makes the middleware in dist/ small, since other services load it. Its types keep their
 * comments. Names of properties and exports stay, so that files which were not touched can use it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { minifySync } from '@swc/core';

const room = 'dist/resource';
const files = readdirSync(room).filter((name) => name.endsWith('.js'));
for (const file of ['dist/errors.js', ...files.map((name) => path.join(room, name))]) {
  writeFileSync(file, minifySync(readFileSync(file, 'utf8'), { module: true, compress: true, mangle: true }).code);
}
