/** `latchkey signing-key …` */
import { type Command, Option } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { Deps } from './deps.ts';
import { table, wire } from './output.ts';

interface RotateOptions {
  alg?: 'ES256' | 'RS256' | 'EdDSA';
  now?: boolean;
}

export function addSigningKeyCommands(program: Command, { output, withSession }: Deps): void {
  const signingKey = program.command('signing-key').description('keys that tokens are signed with');
  signingKey
    .command('list')
    .description('list the keys that are published, and what each does now')
    .action(async () => {
      const keys = await withSession(({ domain }) => domain.signingKeys.list());
      const rows = keys.map((key) => [key.alg, key.kid, key.state, key.createdAt, key.signsFrom, key.expiresAt]);
      output.print(
        keys.map(({ sortKey: _, id: __, ...key }) => wire(key)),
        table(['ALG', 'KID', 'STATE', 'CREATED', 'SIGNS FROM', 'EXPIRES'], rows),
        'waiting: signs later. signing: signs now. published: until the last token it signed has expired.',
      );
    });
  signingKey
    .command('rotate')
    .description('publish new keys; they sign a while later, and the old ones stay valid for what they signed')
    .addOption(new Option('--alg <alg>', 'only for this algorithm').choices(['ES256', 'RS256', 'EdDSA']))
    .option('--now', 'sign with the new key at once (the old one leaked)')
    .action(async (options: RotateOptions) => {
      const made = await withSession(async ({ domain: { signingKeys } }) => {
        // In a database no server has used yet: a key that signs later would keep the server from making one for now.
        await signingKeys.ensure();
        return signingKeys.rotate(options, OPERATOR);
      });
      const rows = made.map(({ kid, alg, signsFrom }) => [alg, kid, signsFrom]);
      output.print(made.map(wire), table(['ALG', 'KID', 'SIGNS FROM'], rows));
    });
  signingKey
    .command('delete')
    .description('take one that leaked out of the key set: whatever was signed with it is refused at once')
    .argument('<kid>', 'as `signing-key list` shows it')
    .action(async (kid: string) => {
      const { deleted, made } = await withSession(({ domain }) => domain.signingKeys.delete(kid, OPERATOR));
      const rows = [deleted, ...(made ? [made] : [])].map(({ alg, kid: id }, index) => [
        index === 0 ? 'deleted' : 'made in its place',
        alg,
        id,
      ]);
      output.print({ ...wire(deleted), replaced_by: made ? wire(made) : null }, table(['', 'ALG', 'KID'], rows));
    });
}
