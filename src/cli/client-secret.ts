/** `latchkey client secret …` and `latchkey app secret …` */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import type { ClientSecret } from '../domain/client-secrets.ts';
import { AppError } from '../errors.ts';
import { seconds, time } from './arguments.ts';
import type { Deps } from './deps.ts';
import { fields, table, wire } from './output.ts';
import type { Session } from './session.ts';

/** An app or client with those of its secrets that live. */
export type WithSecrets<Owner> = Owner & { secrets: ClientSecret[] };

/** @param noun the command of clients or of apps; either finds both */
export function addClientSecretCommands(noun: Command, deps: Deps): void {
  const secret = noun.command('secret').description('secrets of clients and apps');
  const owner = `<${noun.name()}>`;
  addAdd(secret, owner, deps);
  addList(secret, owner, deps);
  addDelete(secret, owner, deps);
}

function addAdd(secret: Command, owner: string, { output, withSession }: Deps): void {
  secret
    .command('add')
    .description('add a secret; the ones before it live on unless an overlap is given')
    .argument(owner, 'id or client_id of a client or app')
    .option('--overlap <seconds>', 'end the secrets before it after this time', seconds)
    .option('--expires <time>', 'when the new one ends: a time, or 90d', time)
    .action(async (reference: string, options: { overlap?: number; expires?: Date }) => {
      const { clientId, made } = await withSession(async (session) => {
        const owner = await findOwner(session, reference);
        const choices = { overlapSeconds: options.overlap, expiresAt: options.expires };
        return { clientId: owner.clientId, made: await session.domain.clientSecrets.add(owner, choices, OPERATOR) };
      });
      const { id, expiresAt } = made.secret;
      output.print(
        { ...toWire(made.secret), client_id: clientId, client_secret: made.text },
        fields({ id, client_id: clientId, client_secret: made.text, expires: expiresAt }),
        'The secret is not shown again.',
      );
    });
}

function addList(secret: Command, owner: string, { output, withSession }: Deps): void {
  secret
    .command('list')
    .description('list the secrets that live; never their text')
    .argument(owner, 'id or client_id of a client or app')
    .action(async (reference: string) => {
      const secrets = await withSession(async (session) =>
        session.domain.clientSecrets.list(await findOwner(session, reference)),
      );
      const rows = secrets.map((one) => [one.id, one.prefix, one.createdAt, one.expiresAt, one.lastUsedAt ?? 'never']);
      output.print(
        secrets.map(toWire),
        secrets.length === 0 ? 'It has no secret.' : table(['ID', 'SECRET', 'CREATED', 'EXPIRES', 'LAST USED'], rows),
      );
    });
}

function addDelete(secret: Command, owner: string, { output, withSession }: Deps): void {
  secret
    .command('delete')
    .description('end a secret at once')
    .argument(owner, 'id or client_id of a client or app')
    .argument('<secret>', 'id of the secret, as `secret list` shows it')
    .option('--force', 'even the last one')
    .action(async (reference: string, id: string, { force = false }: { force?: boolean }) => {
      await withSession(async (session) => {
        const owner = await findOwner(session, reference);
        await session.domain.clientSecrets.end(owner, id, { force }, OPERATOR);
      });
      output.print({}, 'The secret is ended.');
    });
}

async function findOwner({ domain }: Session, reference: string) {
  const client = await domain.oauthClients.find(reference);
  if (client) return { kind: 'client' as const, id: client.id, clientId: client.clientId };
  const app = await domain.oauthApps.find(reference);
  if (app) return { kind: 'app' as const, id: app.id, clientId: app.clientId };
  throw new AppError('not_found', 'There is no such client or app.');
}

/** An app or client as the management API shows it: the named fields are left out when they are null. */
export function withoutNulls(
  owner: WithSecrets<{ version: string; sortKey?: string }>,
  optional: readonly string[],
): Record<string, unknown> {
  const { version: _version, sortKey: _sortKey, secrets, ...record } = owner;
  const kept = Object.entries(wire(record)).filter(([name, value]) => value !== null || !optional.includes(name));
  return { ...Object.fromEntries(kept), secrets: secrets.map(toWire) };
}

/** The secrets in one line for people. */
export function describeSecrets({ secrets }: WithSecrets<object>): string {
  return secrets
    .map(({ prefix, expiresAt }) => `${prefix}…${expiresAt ? ` (until ${expiresAt.toISOString()})` : ''}`)
    .join(', ');
}

function toWire({ id, prefix, createdAt, expiresAt, lastUsedAt }: ClientSecret): Record<string, unknown> {
  return wire({ id, prefix, createdAt, expiresAt, lastUsedAt });
}
