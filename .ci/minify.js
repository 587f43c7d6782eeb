/**
 * The last step of the build: makes the middleware in dist/ small, since other services load it. Its types keep their
 * comments. Names of properties and exports stay, so that files which were not touched can use it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { minifySync } from '@swc/core';

// Arrows look otherwise than functions to nobody but `new` and `this`, and neither is used with them here.
const compress = { ecma: 2022, passes: 4, unsafe_arrows: true };
const OPTIONS = { module: true, ecma: 2022, compress, mangle: true };

const room = 'dist/resource';
const files = readdirSync(room).filter((name) => name.endsWith('.js'));
for (const file of ['dist/errors.js', ...files.map((name) => path.join(room, name))]) {
  writeFileSync(file, minifySync(readFileSync(file, 'utf8'), OPTIONS).code);
}
