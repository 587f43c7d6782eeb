/** `latchkey client secret …`, for clients and apps */
import type { Command } from 'commander';
import { OPERATOR } from '../domain/audit.ts';
import { AppError } from '../errors.ts';
import { seconds, time } from './arguments.ts';
import type { Deps } from './deps.ts';
import { fields, wire } from './output.ts';
import type { Session } from './session.ts';

export function addClientSecretCommands(client: Command, { output, withSession }: Deps): void {
  const secret = client.command('secret').description('secrets of clients and apps');
  secret
    .command('add')
    .description('add a secret; the ones before it live on unless an overlap is given')
    .argument('<client>', 'id or client_id of a client or app')
    .option('--overlap <seconds>', 'end the secrets before it after this time', seconds)
    .option('--expires <time>', 'when the new one ends: a time, or 90d', time)
    .action(async (reference: string, options: { overlap?: number; expires?: Date }) => {
      const { clientId, made } = await withSession(async (session) => {
        const owner = await findOwner(session, reference);
        const choices = { overlapSeconds: options.overlap, expiresAt: options.expires };
        return { clientId: owner.clientId, made: await session.domain.clientSecrets.add(owner, choices, OPERATOR) };
      });
      const { id, prefix, lastFour, createdAt, expiresAt } = made.secret;
      output.print(
        { ...wire({ id, clientId, prefix, lastFour, createdAt, expiresAt }), client_secret: made.text },
        fields({ id, client_id: clientId, client_secret: made.text, expires: expiresAt }),
        'The secret is not shown again.',
      );
    });
}

async function findOwner({ domain }: Session, reference: string) {
  const client = await domain.oauthClients.find(reference);
  if (client) return { kind: 'client' as const, id: client.id, clientId: client.clientId };
  const app = await domain.oauthApps.find(reference);
  if (app) return { kind: 'app' as const, id: app.id, clientId: app.clientId };
  throw new AppError('not_found', 'There is no such client or app.');
}
