/** What the forms of apps and clients have in common: lines, scopes by API, and how one proves who it is. */
import type { ClientAuthenticationInput } from '../../../domain/client-authentication.ts';
import { IDENTITY_SCOPES, PERMISSIONS } from '../../../domain/permissions.ts';
import type { ResourceServers } from '../../../domain/resource-servers.ts';
import { invalidField } from '../../../errors.ts';
import { scopeChoice } from '../scope-choice.ts';
import { checkedIn } from '../show.ts';
import { type Cell, cell, type Field, type ScopeGroup, type Section } from '../view.ts';

export type FormValues = ReadonlyMap<string, string>;

/** More APIs than anybody would look through in a form. */
const MOST_APIS = 200;

/** What was typed, without the fields that were left empty. */
export function typed(form: FormValues): Map<string, string> {
  return new Map([...form].filter(([, value]) => value.trim() !== ''));
}

/** The lines of a text area that have something on them. */
export function linesOf(form: FormValues, name: string): string[] {
  return (form.get(name) ?? '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Undefined when nothing was typed. */
export function textOf(form: FormValues, name: string): string | undefined {
  const text = form.get(name)?.trim();
  return text === '' ? undefined : text;
}

/**
 * The scopes there are, by API.
 * @param own which of the server's own may be chosen
 * @param identity whether those about the user are among them
 * @param held what it is allowed already: that can be chosen in any case, or saving the form would take it away
 */
export async function scopeGroups(
  resourceServers: Pick<ResourceServers, 'list'>,
  { own, identity, held = [] }: { own: (permission: string) => boolean; identity: boolean; held?: readonly string[] },
): Promise<ScopeGroup[]> {
  const servers = await resourceServers.list({ limit: MOST_APIS, order: { field: 'name', descending: false } });
  const wordsOf = (words: Record<string, string>) =>
    Object.entries(words).map(([name, description]) => ({ name, description }));
  const registered = servers
    .filter(({ isBuiltIn }) => !isBuiltIn)
    .map(({ name, identifier, scopes }) => ({ title: name, detail: identifier, scopes }));
  const known = new Set([IDENTITY_SCOPES, PERMISSIONS].flatMap((words) => Object.keys(words)));
  for (const { scopes } of registered) for (const { name } of scopes) known.add(name);
  const others = held.filter((word) => !known.has(word)).map((name) => ({ name, description: name }));
  return scopeChoice([
    { title: 'Who the user is', detail: '', scopes: identity ? wordsOf(IDENTITY_SCOPES) : [] },
    {
      title: 'Latchkey',
      detail: '',
      scopes: wordsOf(PERMISSIONS).filter(({ name }) => own(name) || held.includes(name)),
    },
    ...registered,
    { title: 'Others', detail: '', scopes: others },
  ]);
}

const SECRET_METHODS = [
  { value: 'client_secret_basic', text: 'A secret, sent by HTTP Basic (client_secret_basic)' },
  { value: 'client_secret_post', text: 'A secret, sent as a parameter (client_secret_post)' },
];
const KEY_METHOD = { value: 'private_key_jwt', text: 'A key pair of its own (private_key_jwt)' };

/** @param first an option for "as usual", where there is one */
export function proofFields(first?: { value: string; text: string }): Field[] {
  return [
    {
      type: 'select',
      name: 'token_endpoint_auth_method',
      label: 'How it proves who it is',
      options: [...(first === undefined ? [] : [first]), ...SECRET_METHODS, KEY_METHOD],
    },
    {
      type: 'textarea',
      name: 'jwks',
      label: 'Public keys',
      hint: 'For a key pair of its own: a JWK Set, {"keys": [...]}, with public keys only.',
      rows: 4,
      code: true,
    },
    {
      type: 'url',
      name: 'jwks_uri',
      label: 'Address of the public keys',
      hint: 'Instead of the keys themselves: an https address on the public internet. It is read when it is needed.',
    },
  ];
}

/** @throws AppError `invalid_argument` for keys that are no JSON */
export function proofIn(form: FormValues): ClientAuthenticationInput {
  return {
    tokenEndpointAuthMethod: textOf(form, 'token_endpoint_auth_method'),
    jwks: jwksIn(form),
    jwksUri: textOf(form, 'jwks_uri'),
  };
}

function jwksIn(form: FormValues): unknown {
  const text = textOf(form, 'jwks');
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw invalidField('jwks', 'must be JSON: {"keys": [...]}');
  }
}

/** The values of these fields: what is as usual is left out, and stays folded away. */
export function proofValues(owner: {
  tokenEndpointAuthMethod: string;
  jwks: object | null;
  jwksUri: string | null;
}): [string, string][] {
  const { tokenEndpointAuthMethod: method, jwks, jwksUri } = owner;
  return [
    ...(method === 'client_secret_basic' ? [] : [['token_endpoint_auth_method', method] as [string, string]]),
    ...(jwks === null ? [] : [['jwks', JSON.stringify(jwks, null, 2)] as [string, string]]),
    ...(jwksUri === null ? [] : [['jwks_uri', jwksUri] as [string, string]]),
  ];
}

/** For a form that came too late: what the fields that differ from it say now. */
export function whatItSaysNow(fields: readonly Field[], form: FormValues, now: FormValues): Section {
  const flat = fields.flatMap((field) => (field.type === 'more' ? field.fields : [field]));
  const shown = (field: Field, values: FormValues) => {
    const { name, type } = field;
    if (type === 'scopes') return checkedIn(values, name).sort().join(' ');
    if (type !== 'select') return linesOf(values, name).join('\n');
    // A browser sends the first where nothing is chosen.
    const chosen = field.options.find(({ value }) => value === values.get(name)) ?? field.options[0];
    return chosen?.text ?? '';
  };
  const differing = flat.filter((field) => shown(field, form) !== shown(field, now));
  return {
    title: 'What it says now',
    ...(differing.length === 0 && { lead: 'The same as you typed.' }),
    facts: differing.map((field) => ({ label: field.label, value: cell.text(shown(field, now) || 'Nothing') })),
  };
}

export function enabledCell({ enabled }: { enabled: boolean }): Cell {
  return enabled ? cell.badge('Enabled', 'good') : cell.badge('Disabled', 'bad');
}

/** Before one is switched off: whether it is used at all. */
export function lastUseSection({ lastUsedAt }: { lastUsedAt: Date | null }): Section {
  return { title: 'Its use', facts: [{ label: 'Last used', value: cell.date(lastUsedAt, 'Never') }] };
}

export function snippetSection({ title, text }: { title: string; text: string }): Section {
  return { title, code: text };
}
