/** Ending many credentials at once: what would end is shown and asked about first, and what came of each is told. */
import type { CredentialReference, EndedCredential } from '../../../domain/bulk-revoke.ts';
import { CREDENTIAL_KINDS, type Credential } from '../../../domain/credentials.ts';
import { AppError } from '../../../errors.ts';
import type { Form } from '../../middleware/form.ts';
import type { Kit } from '../index.ts';
import { noticed } from '../notices.ts';
import { redirect } from '../routes.ts';
import { checkedIn } from '../show.ts';
import { type Cell, cell } from '../view.ts';
import { KIND, namesOf, CREDENTIALS as PATH, statusCell } from './cells.ts';

const BACK = { text: 'Credentials', href: PATH };

export function addBulkRevoke({ domain, routes, show }: Kit): void {
  // Whoever had to log in again first, or asks for the address of the answer.
  for (const path of [`${PATH}/revoke`, `${PATH}/revoked`]) {
    routes.get(path, 'credentials.list', (ctx) => redirect(ctx, PATH));
  }

  routes.post(`${PATH}/revoke`, 'credentials.list', async (ctx, visitor, form) => {
    const chosen = chosenIn(form);
    if (chosen.length === 0) return noticed(PATH, 'none-chosen');
    const found = await domain.bulkRevoke.find(chosen, visitor.caller);
    const ending = found.filter(({ mayEnd }) => mayEnd);
    const others = found.filter(({ mayEnd }) => !mayEnd);
    if (ending.length === 0) {
      show.detail(ctx, visitor, {
        title: 'Nothing here is yours to revoke',
        back: BACK,
        lead: WHO,
        facts: [],
        sections: [tableOf('Stays as it is', others)],
      });
      return undefined;
    }
    show.form(ctx, visitor, {
      title: ending.length === 1 ? 'Revoke 1 credential' : `Revoke ${ending.length} credentials`,
      back: BACK,
      ends: endsOf(ending),
      sections: [
        tableOf('Ends', ending),
        ...(others.length === 0 ? [] : [{ ...tableOf('Stays as it is', others), lead: WHO }]),
      ],
      action: `${PATH}/revoked`,
      fields: [],
      hidden: Object.fromEntries(ending.map(({ kind, id }) => [`pick:${kind}.${id}`, 'on'])),
      submit: 'Revoke them',
      danger: true,
    });
    return undefined;
  });

  routes.post(`${PATH}/revoked`, 'credentials.list', async (ctx, visitor, form) => {
    const chosen = chosenIn(form);
    if (chosen.length === 0) return noticed(PATH, 'none-chosen');
    const results = await domain.bulkRevoke.end(chosen, visitor.caller);
    const ended = results.filter(({ outcome }) => outcome === 'ended').length;
    show.detail(ctx, visitor, {
      title: ended === results.length ? 'All of them have ended' : `${ended} of ${results.length} have ended`,
      back: BACK,
      lead: ended === 0 ? 'Nothing was changed.' : 'Nothing is let in with what ended any more.',
      facts: [],
      sections: [
        {
          title: 'What came of it',
          table: { columns: ['Name', 'Kind', 'Acts for', 'Result'], rows: results.map(resultRow), none: '' },
        },
      ],
    });
    return undefined;
  });
}

const WHO =
  'A key or consent of somebody else is ended by that person, or from the root team by whoever may change users. Team keys and clients need their own permission.';

/** @throws AppError `invalid_argument` for what no page of ours sends */
function chosenIn(form: Form): CredentialReference[] {
  return checkedIn(form, 'pick').map((pick) => {
    const [name, id = ''] = pick.split('.', 2);
    const kind = CREDENTIAL_KINDS.find((one) => one === name);
    if (kind === undefined) throw new AppError('invalid_argument', 'This form is not one of ours.');
    return { kind, id };
  });
}

function endsOf(ending: readonly Credential[]): string[] {
  const has = (...kinds: Credential['kind'][]) => ending.some(({ kind }) => kinds.includes(kind));
  return [
    ...(has('personal_key', 'team_key') ? ['Keys are refused from now on. They can be reinstated.'] : []),
    ...(has('oauth2_client') ? ['Clients are disabled, and their tokens end. They can be enabled again.'] : []),
    ...(has('oauth2_app')
      ? [
          'Apps are disconnected from the user in that team, with all the user allowed them there: consents and tokens end for good, and the user would be asked again.',
        ]
      : []),
  ];
}

function tableOf(title: string, credentials: readonly Credential[]) {
  return {
    title,
    table: {
      columns: ['Name', 'Kind', 'Acts for', 'Status', 'Last used'],
      rows: credentials.map((one) => [...namesOf(one), statusCell(one), cell.date(one.lastUsedAt, 'Never')]),
      none: '',
    },
  };
}

const OUTCOMES: Record<EndedCredential['outcome'], Cell> = {
  ended: cell.badge('Ended', 'good'),
  not_permitted: cell.badge('Not permitted', 'bad'),
  gone: cell.badge('Gone', 'quiet', 'There is none any more'),
  failed: cell.badge('Not done', 'bad', 'Try this one again'),
};

function resultRow({ credential, kind, id, outcome }: EndedCredential): Cell[] {
  const names = credential === undefined ? [cell.code(id), cell.text(KIND[kind]), cell.text('')] : namesOf(credential);
  return [...names, OUTCOMES[outcome]];
}
