/** Import of API keys that exist already, by their digests; the file of `latchkey key import`, a thousand lines at a time. */
import { z } from 'zod';
import { IMPORT_BATCH, type KeyImport } from '../../domain/key-import.ts';
import { checkName } from '../../domain/names.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';

const text = z.string().nullable().optional();

const IMPORTED_KEY = z
  .strictObject({
    digest: z.string().meta({ description: 'Hexadecimal, base64 or base64url; for bcrypt the hash as it is' }),
    algorithm: z.string().meta({ description: 'sha256, sha512, hmac-sha256 or bcrypt' }),
    pepper: text.meta({ description: 'For hmac-sha256: the name of a secret in IMPORT_PEPPERS' }),
    prefix: text.meta({ description: 'How the key begins, as everybody may see it; for bcrypt at least 6 characters' }),
    last_four: text,
    owner: text.meta({ description: "Id or email of the user whose personal key it is; left out for a team's key" }),
    team: text.meta({ description: 'Id or name; may be left out for a user who is in one team only' }),
    name: z.string(),
    scopes: z.array(z.string()).max(100).nullable().optional(),
    expires_at: text,
    created_at: text,
    last_used_at: text,
    external_id: text,
  })
  .meta({ id: 'KeyToImport' });

const KEY_IMPORT = z
  .object({
    imported: z.number(),
    skipped: z.number().meta({ description: 'Digests that were imported before, or came twice' }),
    failed: z.number(),
    problems: z.array(
      z.object({
        index: z.number().meta({ description: 'Which of the keys, from 0' }),
        field: z.string(),
        description: z.string(),
      }),
    ),
  })
  .meta({ id: 'KeyImport' });

export function createKeyImportOperations({ keyImport }: { keyImport: KeyImport }): Noun {
  return [
    operation({
      id: 'api_keys.import',
      method: 'POST',
      path: '/api/v1/apikeys:import',
      tag: 'Personal API keys',
      summary: 'Import personal and team keys that exist already, by their digests',
      description:
        'Whoever holds such a key goes on using it. What is wrong with one key keeps no other back; what was imported once is ' +
        'passed over. Only for root administrators, and only for keys they could make by hand.',
      body: z.strictObject({
        keys: z.array(IMPORTED_KEY).min(1).max(IMPORT_BATCH),
        source: z.string().optional().meta({ description: 'What the audit trail calls the import: a file name' }),
        dry_run: z.boolean().optional().meta({ description: 'Say what would happen and change nothing' }),
      }),
      answer: z.object({ value: KEY_IMPORT }),
      errors: ['failed_precondition'],
      async handle({ body, caller }) {
        const source = body.source === undefined ? 'management API' : checkName('source', body.source);
        const lines = body.keys.map((fields, line) => ({ line, fields }));
        const report = await keyImport.run(lines, { source, dryRun: body.dry_run }, caller.actor);
        const problems = report.problems.map(({ line, ...problem }) => ({ index: line, ...problem }));
        return { body: { value: { ...report, problems } } };
      },
    }),
  ];
}
