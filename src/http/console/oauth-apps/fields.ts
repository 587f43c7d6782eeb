/** The fields of an app's form, and what they say. */
import { DEFAULT_APP_SCOPES } from '../../../domain/allowed-scopes.ts';
import type { OauthApp, OauthAppInput } from '../../../domain/oauth-apps.ts';
import { type FormValues, linesOf, proofFields, proofIn, proofValues, textOf } from '../registrations/index.ts';
import { checked, checkedIn } from '../show.ts';
import type { Field, ScopeGroup } from '../view.ts';

const TYPES = [
  {
    value: 'confidential',
    text: 'Web app with a server (confidential)',
    hint: 'Its server keeps a secret, out of sight of its users.',
  },
  {
    value: 'public',
    text: 'Single-page, mobile, desktop or command-line app (public)',
    hint: 'It runs on its users’ devices and can keep no secret. PKCE protects it instead.',
  },
];
const ID_TOKEN_ALGS = ['RS256', 'ES256', 'EdDSA'].map((value) => ({
  value,
  text: value === 'RS256' ? 'RS256, which every library knows' : value,
}));

/** @param app the one that is changed: its type stays */
export function appFields(groups: readonly ScopeGroup[], app?: Pick<OauthApp, 'type'>): Field[] {
  const advanced: Field[] = [
    {
      type: 'url',
      name: 'logo_url',
      label: 'Logo address',
      hint: 'A picture for the consent page, on https.',
    },
    ...(app?.type === 'public'
      ? []
      : proofFields(
          app === undefined ? { value: '', text: 'As usual: a secret, or nothing for a public app' } : undefined,
        )),
    {
      type: 'select',
      name: 'id_token_signed_response_alg',
      label: 'ID tokens are signed with',
      options: ID_TOKEN_ALGS,
    },
  ];
  return [
    ...(app === undefined
      ? [{ type: 'radio' as const, name: 'type', label: 'What kind of app is it?', options: TYPES, required: true }]
      : []),
    {
      type: 'text',
      name: 'name',
      label: 'Name',
      hint: 'Users see it when they are asked to allow it.',
      required: true,
    },
    {
      type: 'url',
      name: 'base_url',
      label: 'Base URL',
      hint: 'Where the app lives, such as https://app.example.com, or http://localhost:8080 while you develop it.',
      required: true,
    },
    {
      type: 'textarea',
      name: 'redirect_uris',
      label: 'Redirect URIs',
      hint: 'One on each line, in full: where users are sent back to. They are compared character by character.',
      rows: 3,
      code: true,
      required: true,
    },
    {
      type: 'textarea',
      name: 'post_logout_redirect_uris',
      label: 'Post-logout redirect URIs',
      hint: 'One on each line: where users may be sent after they log out. None is fine.',
      rows: 2,
      code: true,
    },
    {
      type: 'scopes',
      name: 'allowed_scopes',
      label: 'Allowed scopes',
      hint: 'What it may ask users for. A user can give no more than they may do themselves.',
      groups,
    },
    { type: 'more', name: 'advanced', label: 'Advanced', fields: advanced },
  ];
}

/** Of a form nobody has typed into. */
export const NEW_APP: FormValues = new Map([
  ['type', 'confidential'],
  ...checked('allowed_scopes', DEFAULT_APP_SCOPES),
]);

/** What is as usual among the advanced fields is left out, and stays folded away. */
export function appValues(app: OauthApp): FormValues {
  const alg = app.idTokenSignedResponseAlg;
  return new Map([
    ['name', app.name],
    ['base_url', app.baseUrl],
    ['redirect_uris', app.redirectUris.join('\n')],
    ['post_logout_redirect_uris', app.postLogoutRedirectUris.join('\n')],
    ...checked('allowed_scopes', app.allowedScopes),
    ...(app.logoUrl === null ? [] : [['logo_url', app.logoUrl] as [string, string]]),
    ...(app.type === 'public' ? [] : proofValues(app)),
    ...(alg === 'RS256' ? [] : [['id_token_signed_response_alg', alg] as [string, string]]),
  ]);
}

/** @throws AppError `invalid_argument` for keys that are no JSON */
export function appInput(form: FormValues): OauthAppInput {
  return {
    name: form.get('name') ?? '',
    baseUrl: textOf(form, 'base_url') ?? '',
    redirectUris: linesOf(form, 'redirect_uris'),
    postLogoutRedirectUris: linesOf(form, 'post_logout_redirect_uris'),
    allowedScopes: checkedIn(form, 'allowed_scopes'),
    idTokenSignedResponseAlg: textOf(form, 'id_token_signed_response_alg'),
    logoUrl: textOf(form, 'logo_url') ?? null,
    ...proofIn(form),
  };
}

/** Anything else than public is held to what a confidential app must be; the domain refuses what is neither. */
export function typeIn(form: FormValues): OauthApp['type'] {
  return (textOf(form, 'type') ?? 'confidential') as OauthApp['type'];
}
