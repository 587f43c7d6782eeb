/** Signing keys: which there are and what each does now, and their rotation. Their private parts never leave the domain. */
import { z } from 'zod';
import { SIGNING_ALGS, SIGNING_KEY_STATES, type SigningKey, type SigningKeys } from '../../domain/signing-keys.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const ALG = z.enum(SIGNING_ALGS, `must be one of ${SIGNING_ALGS.join(', ')}`);

const SIGNING_KEY = z
  .object({
    kid: z.string().meta({ description: 'As in the header of the tokens it signs, and in the key set' }),
    alg: z.enum(SIGNING_ALGS),
    state: z.enum(SIGNING_KEY_STATES).meta({
      description:
        'waiting: published, and signs from `signs_from`. signing: signs now. published: does not sign any more, and is ' +
        'published until the last token it signed has expired',
    }),
    created_at: time,
    signs_from: time,
    expires_at: time.nullable().meta({ description: 'When it leaves the key set; null while no key replaces it' }),
  })
  .meta({ id: 'SigningKey' });

const TAG = 'Signing keys';
const PATH = '/api/v1/signing_keys';

export function createSigningKeyOperations({ signingKeys }: { signingKeys: SigningKeys }): Noun {
  return [
    list({
      id: 'signing_keys.list',
      path: PATH,
      tag: TAG,
      summary: 'List the keys that tokens are signed with',
      item: SIGNING_KEY,
      filters: { alg: filter.text },
      orders: ['signs_from', 'created_at', 'alg'],
      rows: ({ page }) => signingKeys.list(page),
      toWire,
    }),
    operation({
      id: 'signing_keys.rotate',
      method: 'POST',
      path: `${PATH}:rotate`,
      tag: TAG,
      summary: 'Publish new signing keys, which sign a while later; the old ones stay published for what they signed',
      body: z.strictObject({
        alg: ALG.optional().meta({ description: 'Only the key of this algorithm; default: all' }),
        now: z
          .boolean()
          .optional()
          .meta({
            description:
              'Sign with the new key at once, because the old one leaked. APIs that keep the key set refuse new tokens ' +
              'until they fetch it again. What the old key signed stays valid until that key is deleted',
          }),
      }),
      answer: z.object({ values: z.array(SIGNING_KEY) }),
      handle: async ({ body, caller }) => ({
        body: { values: (await signingKeys.rotate(body, caller.actor)).map(toWire) },
      }),
    }),
    operation({
      id: 'signing_keys.delete',
      method: 'DELETE',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Take a signing key that leaked out of the key set: whatever was signed with it is refused at once',
      answer: z.object({
        value: SIGNING_KEY.meta({ description: 'The key as it was' }),
        replaced_by: SIGNING_KEY.nullable().meta({
          description: 'Made in its place; null when it was replaced already',
        }),
      }),
      errors: ['not_found'],
      async handle({ params, caller }) {
        const { deleted, made } = await signingKeys.delete(params.id, caller.actor);
        return { body: { value: toWire(deleted), replaced_by: made === undefined ? null : toWire(made) } };
      },
    }),
  ];
}

function toWire(key: SigningKey) {
  return {
    kid: key.kid,
    alg: key.alg,
    state: key.state,
    created_at: key.createdAt.toISOString(),
    signs_from: key.signsFrom.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
  };
}
