/** `latchkey settings …` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { SignInSettings } from '../domain/settings.ts';
import type { Deps } from './deps.ts';
import { fields, wire } from './output.ts';

export function addSettingsCommands(program: Command, { output, withSession }: Deps): void {
  const settings = program.command('settings').description('what can be switched while the server runs');
  const print = ({ values, updatedAt }: SignInSettings) =>
    output.print({ ...values, ...wire({ updatedAt }) }, fields({ ...values, updated_at: updatedAt }));

  settings
    .command('show')
    .description('show the sign-in settings')
    .action(async () => print(await withSession(({ domain }) => domain.settings.read())));
  settings
    .command('set')
    .description('change a sign-in setting, on every instance and without a restart')
    .argument('<name>', 'for example oauth2_authorization_server_enabled')
    .argument('<value>', 'true or false, or a number of seconds')
    .action(async (name: string, word: string) => {
      const changes = Object.fromEntries([[name, parsed(word)]]);
      print(await withSession(({ domain }) => domain.settings.update(changes, {}, OPERATOR)));
    });
}

/** What is neither stays text, which is no setting's value: the domain says what would be. */
function parsed(word: string): boolean | number | string {
  if (word === 'true' || word === 'false') return word === 'true';
  return /^\d{1,9}$/.test(word) ? Number(word) : word;
}
