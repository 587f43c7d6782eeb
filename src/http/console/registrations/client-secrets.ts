/** Secrets of apps and clients: a second one, one for another with both good for a while, and the end of one. */

import type { OperationId } from '../../../domain/authorization.ts';
import type { ClientSecret } from '../../../domain/client-secrets.ts';
import { invalidField } from '../../../errors.ts';
import { found } from '../../found.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { noticed } from '../notices.ts';
import { NO_PROBLEMS, type Problems } from '../problems.ts';
import { type Cell, cell, type Field, type Option, type Section, shortOf } from '../view.ts';
import type { Visitor } from '../visitor.ts';
import type { FormValues } from './index.ts';
import type { Snippet } from './token-commands.ts';

interface Owner {
  id: string;
  name: string;
  clientId: string;
}

/** Whose secrets. */
export interface SecretPages<One extends Owner> {
  kind: 'app' | 'client';
  /** Of the list of its kind; one has its own below that, by its id. */
  path: string;
  operations: { add: OperationId; end: OperationId };
  /** How far the person reaches. */
  reach: (visitor: Visitor) => { teamId?: string };
  /** @throws AppError `not_found` */
  find: (reference: string, visitor: Visitor) => Promise<One>;
  /** What is pasted to use the new one. */
  commands: (owner: One, secret: string) => Promise<Snippet[]>;
}

const HOUR = 3_600;
const DAY = 24 * HOUR;

const ENDS_NOW = {
  value: '0',
  text: 'Ends now',
  hint: 'If somebody else may have it. Whatever uses it stops at once.',
};
const OVERLAPS = [
  { value: '', text: 'Goes on until you end it' },
  { value: String(7 * DAY), text: 'Ends in 7 days' },
  { value: String(DAY), text: 'Ends in 24 hours' },
  { value: String(HOUR), text: 'Ends in an hour' },
  ENDS_NOW,
];
const LIFETIMES = [
  {
    value: '',
    text: 'Never',
    warning: 'If it leaks, it works until somebody notices. Choose a day if you can.',
  },
  { value: '30', text: 'In 30 days' },
  { value: '90', text: 'In 90 days' },
  { value: '365', text: 'In a year' },
];

export function addClientSecretPages<One extends Owner>(kit: Kit, pages: SecretPages<One>): void {
  const { routes, show, once, domain } = kit;
  const { kind, path, operations } = pages;
  const pathOf = (owner: Owner) => `${path}/${owner.id}`;
  const ownerOf = (owner: Owner, visitor: Visitor) => ({ kind, id: owner.id, ...pages.reach(visitor) });

  async function find(reference: string, visitor: Visitor) {
    const owner = await pages.find(reference, visitor);
    return { owner, secrets: await domain.clientSecrets.list(ownerOf(owner, visitor)) };
  }

  function fieldsFor(secrets: readonly ClientSecret[]): Field[] {
    // Two can live at once: with two there, both end when the new one comes.
    const overlaps = secrets.length < 2 ? OVERLAPS : [{ ...ENDS_NOW, text: 'Both end now' }];
    return [
      ...(secrets.length === 0
        ? []
        : [
            {
              type: 'radio' as const,
              name: 'overlap',
              label: secrets.length < 2 ? 'The old secret' : 'The old secrets',
              options: overlaps,
              required: true,
            },
          ]),
      { type: 'radio', name: 'ends', label: 'The new one ends', options: LIFETIMES, required: true },
    ];
  }

  routes.get(`${path}/:id/secrets/new`, operations.add, async (ctx, visitor) => {
    const { owner, secrets } = await find(ctx.params.id, visitor);
    const usual = secrets.length < 2 ? String(DAY) : '0';
    showForm(ctx, visitor, {
      owner,
      secrets,
      values: new Map([
        ['overlap', usual],
        ['ends', ''],
      ]),
    });
  });

  function showForm(
    ctx: Parameters<typeof show.form>[0],
    visitor: Visitor,
    form: { owner: One; secrets: readonly ClientSecret[]; values: FormValues; problems?: Problems },
    status = 200,
  ): void {
    const { owner, secrets, values, problems = NO_PROBLEMS } = form;
    show.form(
      ctx,
      visitor,
      {
        title: `New secret for ${owner.name}`,
        lead:
          secrets.length < 2
            ? 'Two secrets can be good at once: put the new one in place before the old one ends, and nothing stops.'
            : 'It has two secrets, which is the most. A new one ends both; or end one of them first, and keep the other.',
        back: { text: owner.name, href: pathOf(owner) },
        action: `${pathOf(owner)}/secrets/new`,
        fields: fieldsFor(secrets),
        values,
        problems,
        hidden: once.fields(),
        submit: 'Create secret',
      },
      status,
    );
  }

  routes.post(`${path}/:id/secrets/new`, operations.add, async (ctx, visitor, form) => {
    const { owner, secrets } = await find(ctx.params.id, visitor);
    return routes.attempt(
      ctx,
      visitor,
      () =>
        once.run(ctx, visitor, form, async () => {
          const [overlap, days] = [chosen(form, 'overlap', OVERLAPS), chosen(form, 'ends', LIFETIMES)];
          const { text } = await domain.clientSecrets.add(
            ownerOf(owner, visitor),
            {
              ...(overlap !== undefined && { overlapSeconds: overlap }),
              ...(days !== undefined && { expiresAt: new Date(Date.now() + days * DAY * 1_000) }),
            },
            visitor.caller.actor,
          );
          const snippets = await pages.commands(owner, text);
          return { href: pathOf(owner), show: () => shown(text, snippets) };
        }),
      (problems, status) => showForm(ctx, visitor, { owner, secrets, values: form, problems }, status),
    );

    function shown(text: string, snippets: Snippet[]): void {
      show.secret(ctx, visitor, {
        title: `New secret for ${owner.name}`,
        lead: 'Copy it now: it is not shown again.',
        secrets: [{ label: 'Client secret', value: text }],
        snippets,
        next: { text: `Back to ${owner.name}`, href: pathOf(owner) },
      });
    }
  });

  routes.get(`${path}/:id/secrets/:secret/end`, operations.end, async (ctx, visitor) => {
    const { owner, secrets } = await find(ctx.params.id, visitor);
    const secret = found(
      secrets.find(({ id }) => id === ctx.params.secret),
      'client secret',
    );
    const isLast = secrets.length === 1;
    show.form(ctx, visitor, {
      title: `End the secret ${shortOf(secret)}`,
      back: { text: owner.name, href: pathOf(owner) },
      ends: [
        secret.lastUsedAt === null ? 'It was never used.' : 'It has been used: whatever still uses it stops.',
        isLast
          ? `It is the last one: ${owner.name} cannot prove who it is until you make another.`
          : `The other secret of ${owner.name} stays good.`,
      ],
      action: `${pathOf(owner)}/secrets/${secret.id}/end`,
      fields: [],
      hidden: isLast ? { last: 'yes' } : {},
      submit: 'End this secret',
      danger: true,
    });
  });

  routes.post(`${path}/:id/secrets/:secret/end`, operations.end, async (ctx, visitor, form) => {
    const owner = await pages.find(ctx.params.id, visitor);
    // Whoever was told that it is the last one may end it; who was told of another may not.
    const options = { force: form.get('last') === 'yes' };
    await domain.clientSecrets.end(ownerOf(owner, visitor), ctx.params.secret, options, visitor.caller.actor);
    return noticed(pathOf(owner), 'ended');
  });
}

/** The number that was chosen; undefined for the option without one. */
function chosen(form: FormValues, name: string, options: readonly Option[]): number | undefined {
  const value = form.get(name) ?? '';
  if (!options.some((option) => option.value === value)) throw invalidField(name, 'must be one of those above');
  return value === '' ? undefined : Number(value);
}

/** @param path of the app or client */
export function secretsSection(
  visitor: Visitor,
  path: string,
  secrets: readonly ClientSecret[],
  operations: SecretPages<Owner>['operations'],
): Section {
  const mayEnd = mayUse(visitor, operations.end);
  return {
    title: 'Secrets',
    table: {
      columns: ['Secret', 'Created', 'Last used', 'Ends', ...(mayEnd ? [''] : [])],
      rows: secrets.map((secret) => [
        cell.code(shortOf(secret)),
        cell.date(secret.createdAt, ''),
        cell.date(secret.lastUsedAt, 'Never'),
        cell.date(secret.expiresAt, 'Never'),
        ...(mayEnd ? [cell.actions({ text: 'End', href: `${path}/secrets/${secret.id}/end`, danger: true })] : []),
      ]),
      none: 'It has no secret: it cannot prove who it is until you make one.',
    },
    ...(mayUse(visitor, operations.add) && { actions: [{ text: 'New secret', href: `${path}/secrets/new` }] }),
  };
}

/** The newest one: it is what is in use, or about to be. */
export function secretCell({
  secrets,
  tokenEndpointAuthMethod,
}: {
  secrets: readonly ClientSecret[];
  tokenEndpointAuthMethod: string;
}): Cell {
  const newest = secrets.at(-1);
  if (newest !== undefined) return cell.code(shortOf(newest), secrets.length > 1 ? 'and one before it' : undefined);
  if (tokenEndpointAuthMethod === 'none') return cell.text('Has none');
  return tokenEndpointAuthMethod === 'private_key_jwt' ? cell.text('Its own keys') : cell.badge('Missing', 'warn');
}
