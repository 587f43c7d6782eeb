/** The form of a resource server: its fields, what they show, and what they mean when they come back. */
import type { ResourceServer, ResourceServerInput } from '../../../domain/resource-servers.ts';
import { SIGNING_ALGS } from '../../../domain/signing-keys.ts';
import { durationFields, durationIn, durationValues } from '../durations.ts';
import { type FormValues, linesOf } from '../registrations/index.ts';
import type { Field } from '../view.ts';

const TTL = 'access_token_ttl_seconds';
const DEFAULT_TTL = 600;

const IDENTIFIER: Field = {
  type: 'url',
  name: 'identifier',
  label: 'Identifier',
  hint: 'What callers ask for as resource, and the audience of its tokens. Usually the address of the API, such as https://reports.example.com. It cannot be changed later.',
  required: true,
};

export const SETTINGS: readonly Field[] = [
  { type: 'text', name: 'name', label: 'Name', hint: 'What people know the API as.', required: true },
  {
    type: 'textarea',
    name: 'scopes',
    label: 'Scopes',
    hint: 'One on each line, with what it lets a program do, as the consent page will say it: reports:read — Read reports. Without scopes its tokens only say who calls, and every app and client may ask for them.',
    rows: 8,
    code: true,
  },
  {
    type: 'check',
    name: 'accepts_api_keys',
    label: 'API keys are accepted, too',
    hint: 'Off: the API takes access tokens only, and those that were got for API keys end.',
  },
  {
    type: 'textarea',
    name: 'client_ids',
    label: 'Clients the API uses',
    hint: 'The IDs (svc_…) of OAuth2 Clients with which the API asks whether an API key or token is good, one on each line. Needed for API keys.',
    rows: 2,
    code: true,
  },
  ...durationFields({
    name: TTL,
    label: 'Access tokens live',
    hint: '1 minute to 1 day. Short ones limit what a stolen token is worth.',
  }),
  {
    type: 'select',
    name: 'signing_alg',
    label: 'Tokens are signed with',
    hint: 'ES256 suits nearly every library; RS256 is for old ones.',
    options: SIGNING_ALGS.map((alg) => ({ value: alg, text: alg })),
  },
];

export const NEW_FIELDS: readonly Field[] = [IDENTIFIER, ...SETTINGS];

export const NEW_VALUES: FormValues = new Map([
  ['accepts_api_keys', 'on'],
  ['signing_alg', SIGNING_ALGS[0]],
  ...durationValues(TTL, DEFAULT_TTL),
]);

export function valuesOf(server: ResourceServer): FormValues {
  return new Map([
    ['name', server.name],
    ['scopes', server.scopes.map(lineOf).join('\n')],
    ...(server.acceptsApiKeys ? [['accepts_api_keys', 'on'] as const] : []),
    ['client_ids', server.clientIds.join('\n')],
    ['signing_alg', server.signingAlg],
    ...durationValues(TTL, server.accessTokenTtlSeconds),
  ]);
}

export function settingsIn(form: FormValues): Omit<ResourceServerInput, 'identifier'> {
  return {
    name: form.get('name') ?? '',
    scopes: linesOf(form, 'scopes').map(scopeOn),
    acceptsApiKeys: form.get('accepts_api_keys') === 'on',
    clientIds: linesOf(form, 'client_ids'),
    accessTokenTtlSeconds: durationIn(form, TTL),
    signingAlg: form.get('signing_alg') ?? '',
  };
}

function lineOf({ name, description }: { name: string; description: string }): string {
  return description === '' ? name : `${name} — ${description}`;
}

/** The word, and behind it (with or without a dash between) what it means. */
function scopeOn(line: string): { name: string; description: string } {
  const [, name = '', description = ''] = /^(\S+)(?:\s+(?:[—–-]+\s+)?(.*))?$/su.exec(line) ?? [];
  return { name, description };
}
