/** Signing keys: which there are, what each does now, their rotation, and what is done when one leaked. */
import type { Context } from 'koa';
import {
  JWKS_MAX_AGE,
  SIGNING_ALGS,
  SIGNS_AFTER,
  type SigningAlg,
  type SigningKey,
} from '../../domain/signing-keys.ts';
import { invalidField } from '../../errors.ts';
import { found } from '../found.ts';
import { inWords } from './durations.ts';
import type { Kit } from './index.ts';
import { mayUse } from './navigation.ts';
import { noticed } from './notices.ts';
import type { FormValues } from './registrations/index.ts';
import { redirect } from './routes.ts';
import { type Cell, cell, type Field, type Section } from './view.ts';

const PATH = '/console/signing-keys';
const ROTATE = `${PATH}/rotate`;
const BACK = { text: 'Signing keys', href: PATH };

const FIELDS: readonly Field[] = [
  {
    type: 'radio',
    name: 'alg',
    label: 'Which keys',
    required: true,
    options: [{ value: '', text: 'All of them' }, ...SIGNING_ALGS.map((alg) => ({ value: alg, text: `${alg} only` }))],
  },
  {
    type: 'radio',
    name: 'when',
    label: 'The new ones sign',
    required: true,
    options: [
      {
        value: 'later',
        text: `In ${inWords(SIGNS_AFTER)}`,
        hint: 'By then every API has them. No token is refused.',
      },
      {
        value: 'now',
        text: 'Now',
        warning:
          'APIs that keep the key set refuse new tokens until they read it again. A key that leaked is deleted in the list instead: that replaces it, too.',
      },
    ],
  },
];

const STATES: Section = {
  title: 'What the states mean',
  table: {
    columns: ['State', 'What the key does'],
    rows: [
      [cell.text('Waiting'), cell.text('It is in the key set, so that every API has it before it signs.')],
      [cell.text('Signing'), cell.text('New tokens are signed with it.')],
      [
        cell.text('Published'),
        cell.text('It does not sign any more. It is in the key set until the last token it signed has expired.'),
      ],
    ],
    none: '',
  },
};

const NOW = [
  'The new keys sign from this moment on, and the former ones no more.',
  `APIs that keep the key set do not know the new keys yet. Until they read it again, within ${inWords(JWKS_MAX_AGE)}, they may refuse new tokens.`,
  'The former keys stay in the key set until the last token they signed has expired. If one leaked, delete it: until then an API also takes what somebody else signed with it.',
];

export function addSigningKeys(kit: Kit): void {
  const { domain, issuer, routes, show, once, defineList } = kit;
  const { signingKeys } = domain;

  const list = defineList<SigningKey>({
    columns: [
      { label: 'Algorithm', sort: 'alg', cell: ({ alg }) => cell.text(alg) },
      { label: 'State', cell: stateCell },
      { label: 'Key id', cell: ({ kid }) => cell.code(kid) },
      { label: 'Signs from', sort: 'signs_from', cell: ({ signsFrom }) => cell.date(signsFrom, '') },
      { label: 'Leaves the key set', cell: ({ expiresAt }) => cell.date(expiresAt, 'When it is replaced') },
      {
        label: '',
        cell: ({ kid }, visitor) =>
          mayUse(visitor, 'signing_keys.delete')
            ? cell.actions({ text: 'Delete', href: `${PATH}/${kid}/delete`, danger: true })
            : cell.text(''),
      },
    ],
    filters: () => [
      { name: 'alg', label: 'Algorithm', options: SIGNING_ALGS.map((alg) => ({ value: alg, text: alg })) },
    ],
    order: { field: 'signs_from', descending: true },
    empty: { title: 'There are no keys', text: 'The server makes them when it starts.' },
    rows: ({ limit, order, after }, { filters: { alg } }) =>
      signingKeys.list({
        ...{ limit, order, after },
        conditions: alg === undefined ? [] : [{ field: 'alg', operator: 'eq', value: alg }],
      }),
  });

  routes.get(PATH, 'signing_keys.list', async (ctx, visitor) => {
    show.list(ctx, visitor, {
      title: 'Signing keys',
      lead: `Tokens are signed with them. APIs check the signatures with their public parts, which anybody may read at ${issuer}/oauth2/jwks.`,
      ...(mayUse(visitor, 'signing_keys.rotate') && { actions: [{ text: 'Rotate', href: ROTATE, primary: true }] }),
      guide: STATES,
      list: await list(ctx, visitor, undefined),
    });
  });

  const rotateForm = () => ({
    title: 'Rotate signing keys',
    lead: 'New keys are published at once. Tokens signed with the former ones stay good until they expire.',
    back: BACK,
    action: ROTATE,
    fields: FIELDS,
    hidden: once.fields(),
    submit: 'Rotate',
  });

  routes.get(ROTATE, 'signing_keys.rotate', (ctx, visitor) => {
    show.form(ctx, visitor, { ...rotateForm(), values: USUAL });
  });

  routes.post(ROTATE, 'signing_keys.rotate', (ctx, visitor, form) =>
    routes.attempt(
      ctx,
      visitor,
      async () => {
        const asked = askedFor(form);
        if (asked.now && form.get('sure') !== 'yes') {
          show.form(ctx, visitor, {
            ...sureForm(asked.alg),
            hidden: { ...once.fields(), ...SURE, alg: asked.alg ?? '' },
          });
          return undefined;
        }
        const done = noticed(PATH, 'rotated');
        const again = await once.run(ctx, visitor, form, async () => {
          await signingKeys.rotate(asked, visitor.caller.actor);
          return { href: PATH, show: () => redirect(ctx, done) };
        });
        return again && done;
      },
      (problems, status) => show.form(ctx, visitor, { ...rotateForm(), values: form, problems }, status),
    ),
  );
  addDeletion(kit);
}

/** Of what leaves the key set at once. */
function addDeletion({ domain, routes, show }: Kit): void {
  const { signingKeys } = domain;
  const keyOf = async (ctx: Context) => found(await signingKeys.find(String(ctx.params.id)), 'signing key');
  const form = ({ kid, alg, state }: SigningKey) => ({
    title: `Delete the ${alg} key`,
    lead: `For a key that somebody else may have. Key id: ${kid}`,
    back: BACK,
    ends: [
      'Whatever was signed with it is refused: here at once, by APIs with the middleware within five seconds.',
      `Other APIs refuse it when they read the key set again, which they should within ${inWords(JWKS_MAX_AGE)}.`,
      ...(state === 'signing' ? ['A new key is made in its place and signs at once.'] : []),
      'Apps and clients have to get new access tokens. What they get them with stays good: refresh tokens, secrets, API keys.',
    ],
    action: `${PATH}/${kid}/delete`,
    fields: [],
    submit: 'Delete this key',
    danger: true,
  });

  routes.get(`${PATH}/:id/delete`, 'signing_keys.delete', async (ctx, visitor) => {
    show.form(ctx, visitor, form(await keyOf(ctx)));
  });
  routes.post(`${PATH}/:id/delete`, 'signing_keys.delete', async (ctx, visitor) => {
    await signingKeys.delete(String(ctx.params.id), visitor.caller.actor);
    return noticed(PATH, 'deleted');
  });
}

const USUAL = new Map([
  ['alg', ''],
  ['when', 'later'],
]);
const SURE = { when: 'now', sure: 'yes' };

function sureForm(alg: SigningAlg | undefined) {
  return {
    title: alg === undefined ? 'Replace all signing keys now' : `Replace the ${alg} signing key now`,
    back: { text: 'Rotate signing keys', href: ROTATE },
    ends: NOW,
    action: ROTATE,
    fields: [],
    submit: alg === undefined ? 'Replace them now' : 'Replace it now',
    danger: true,
  };
}

/** @throws AppError `invalid_argument` for what the form does not offer */
function askedFor(form: FormValues): { alg: SigningAlg | undefined; now: boolean } {
  const [chosen, when] = [form.get('alg'), form.get('when')];
  const alg = SIGNING_ALGS.find((one) => one === chosen);
  if (alg === undefined && chosen !== '') throw invalidField('alg', 'must be one of these');
  if (when !== 'later' && when !== 'now') throw invalidField('when', 'must be one of these');
  return { alg, now: when === 'now' };
}

function stateCell({ state, signsFrom }: SigningKey): Cell {
  if (state === 'signing') return cell.badge('Signing', 'good');
  if (state === 'waiting') {
    const minutes = Math.max(1, Math.ceil((signsFrom.getTime() - Date.now()) / 60_000));
    return cell.badge('Waiting', 'warn', `signs in ${inWords(minutes * 60)}`);
  }
  return cell.badge('Published', 'quiet');
}
