/** `latchkey check-api …` */
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { AppError } from '../errors.ts';
import { several } from './arguments.ts';
import type { Result } from './check-api/run.ts';
import type { Deps } from './deps.ts';
import { table } from './output.ts';

interface Given {
  token?: string;
  key?: string;
  otherAudienceToken?: string;
  expiredToken?: string;
  revokedToken?: string;
  idToken?: string;
  revokedKey?: string;
  otherTeamKey?: string;
}

interface Options extends Given {
  issuer: string;
  audience?: string;
  clientId?: string;
  clientSecretStdin?: true;
  scope?: string;
  header?: string[];
}

const CREDENTIALS: [option: string, name: keyof Given, description: string][] = [
  ['--token <token>', 'token', 'an access token the API takes'],
  ['--key <key>', 'key', 'an API key the API takes'],
  ['--other-audience-token <token>', 'otherAudienceToken', "the issuer's token for another API"],
  ['--expired-token <token>', 'expiredToken', "the issuer's token for this API, expired"],
  ['--revoked-token <token>', 'revokedToken', "the issuer's token for this API, revoked and not yet expired"],
  ['--id-token <token>', 'idToken', "the issuer's ID token"],
  ['--revoked-key <key>', 'revokedKey', 'an API key that was revoked'],
  ['--other-team-key <key>', 'otherTeamKey', 'a good API key of a team that has no business at the URL'],
];

export function addCheckApiCommand(program: Command, { output }: Deps): void {
  const command = program
    .command('check-api')
    .description('try wrong credentials on an API of yours and see whether it refuses them')
    .argument('<url>', 'answers GET with 2xx to a good credential')
    .requiredOption('--issuer <url>', 'the issuer whose tokens the API takes')
    .option('--audience <uri>', 'the API, as tokens name it; default: what the good token says')
    .option('--client-id <id>', 'fetch the good token by client credentials')
    .option('--client-secret-stdin', 'read the secret of that client from standard input')
    .option('--scope <scope>', 'ask for these scopes then')
    .option('--header <header>', '"Name: value" to send with every request (repeatable)', several);
  for (const [option, , description] of CREDENTIALS) command.option(option, description);
  command
    .addHelpText('after', '\nA credential may be @FILE, which keeps it out of process lists and the history.')
    .action(async (word: string, options: Options) => {
      const misuse = (message: string) => command.error(message, { exitCode: 2 });
      const url = httpUrl(word) ?? misuse('The URL must be http or https, without a user name in it.');
      if (!httpUrl(options.issuer)) misuse('--issuer must be an http or https URL.');
      const headers = headersOf(options.header ?? []) ?? misuse('--header must be "Name: value"; not Authorization.');
      const given: Given = {};
      for (const [option, name] of CREDENTIALS) {
        if (options[name] === undefined) continue;
        // Not by commander, whose message would repeat the value.
        given[name] = credential(options[name]) ?? misuse(`${option} must be a credential, or @ and a file with one.`);
      }
      if ((options.clientId !== undefined) !== (options.clientSecretStdin ?? false)) {
        misuse('--client-id and --client-secret-stdin belong together.');
      }
      if (options.clientId !== undefined && given.token !== undefined) misuse('Give --token or --client-id, not both.');
      if (options.clientId === undefined && given.token === undefined && given.key === undefined) {
        misuse('Give --token, --client-id or --key: unless something is taken, refusals say nothing.');
      }
      const results = await check({ url, headers }, options, given);
      report(output, url, results);
    });
}

async function check(target: { url: URL; headers: Record<string, string> }, options: Options, given: Given) {
  const [{ checkApi }, { decodeToken }, { readIssuer, fetchToken }] = await Promise.all([
    import('./check-api/index.ts'),
    import('./check-api/forger.ts'),
    import('./check-api/issuer.ts'),
  ]);
  const { clientId, scope } = options;
  const issuer = await readIssuer(options.issuer);
  const token =
    clientId === undefined
      ? given.token
      : await fetchToken(issuer, {
          clientId,
          clientSecret: (await text(process.stdin)).trim(),
          audience: options.audience,
          scope,
        });
  const decoded = token === undefined ? undefined : decodeToken(token);
  if (token !== undefined) {
    if (!decoded) throw unusable('is no JWT; an API key goes into --key');
    if (decoded.claims.iss !== options.issuer) throw unusable('is from another issuer');
    if (decoded.claims.cnf !== undefined) throw unusable('is bound to a key (RFC 9449), and can only be sent with it');
    const named = [decoded.claims.aud].flat();
    if (options.audience !== undefined && !named.includes(options.audience)) throw unusable('is for another audience');
  }
  const audience = options.audience ?? [decoded?.claims.aud].flat().find((aud) => typeof aud === 'string');
  return checkApi({ target, issuer, token, decoded, audience: (audience as string) ?? target.url.origin, ...given });
}

function unusable(why: string): AppError {
  return new AppError('failed_precondition', `The good token ${why}.`);
}

/** Prints what came out. @throws AppError `failed_precondition` when a case failed, for the exit code */
function report(output: Deps['output'], url: URL, results: Result[]): void {
  const count = (which: Result['result']) => results.filter(({ result }) => result === which).length;
  const [passed, failed, skipped] = [count('pass'), count('fail'), count('skipped')];
  output.print(
    // Without the query, which may hold what is nobody's business.
    { url: url.origin + url.pathname, ok: failed === 0, passed, failed, skipped, cases: results },
    table(
      ['RESULT', 'ANSWER', 'CASE'],
      results.map(({ result, status, name, reason }) => [
        result === 'fail' ? 'FAIL' : result,
        status,
        reason === null ? name : `${name}: ${reason}`,
      ]),
    ),
    `${passed} passed, ${failed} failed, ${skipped} skipped.`,
  );
  if (failed > 0) throw new AppError('failed_precondition', `${failed} of ${passed + failed} cases failed.`);
}

function httpUrl(word: string): URL | undefined {
  if (!URL.canParse(word)) return undefined;
  const url = new URL(word);
  return /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : undefined;
}

function headersOf(words: string[]): Record<string, string> | undefined {
  const pairs = words.map((word) => /^([\w!#$%&'*+.^`|~-]+):[ \t]*([\x20-\x7e]*)$/.exec(word)?.slice(1));
  const wrong = pairs.some((pair) => pair === undefined || pair[0]?.toLowerCase() === 'authorization');
  return wrong ? undefined : Object.fromEntries(pairs as [string, string][]);
}

/** What can stand in a header; from a file when it begins with @. */
function credential(word: string): string | undefined {
  let value = word;
  if (word.startsWith('@')) {
    try {
      value = readFileSync(word.slice(1), 'utf8').trim();
    } catch {
      return undefined;
    }
  }
  return /^[\x21-\x7e]{1,16384}$/.test(value) ? value : undefined;
}
