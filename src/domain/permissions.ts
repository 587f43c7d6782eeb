/** The words for what can be done. A permission is `resource:action`; an OAuth scope is the same word. */

/** Every permission with the plain words the consent page shows. */
export const PERMISSIONS = {
  'providers:read': 'See the data providers of the team',
  'providers:write': 'Create, change and delete custom data providers',
  'teams:read': 'See teams',
  'teams:write': 'Create, change and delete teams',
  'users:read': 'See users and their roles',
  'users:write': 'Create, change and delete users',
  'roles:read': 'See roles and what they may do',
  'apikeys:read': 'See your personal API keys (never their text)',
  'apikeys:write': 'Create, revoke and delete your personal API keys',
  'teamkeys:read': "See the team's API keys (never their text)",
  'teamkeys:write': "Create, revoke and delete the team's API keys",
  'oauth2apps:read': 'See the registered OAuth2 apps',
  'oauth2apps:write': 'Register, change and delete OAuth2 apps',
  'oauth2clients:read': "See the team's OAuth2 clients",
  'oauth2clients:write': "Create, change and delete the team's OAuth2 clients",
  'connectedapps:read': 'See which apps you connected',
  'connectedapps:write': 'Disconnect apps you connected',
  'resourceservers:read': 'See the registered resource servers',
  'resourceservers:write': 'Register, change and delete resource servers',
  'settings:read': 'See the sign-in settings and the state of the signing keys',
  'settings:write': 'Change the sign-in settings and rotate the signing keys',
  'audit:read': 'Read the audit trail',
  'credentials:read': 'See every credential that can act for the team (never its text)',
  'credentials:write': 'Say when API keys are retired',
  'credentials:introspect': 'Check whether credentials presented to it are valid',
} as const;

export type Permission = keyof typeof PERMISSIONS;

/** OpenID Connect Core 1.0 §5.4, §11 scopes, in plain words. */
export const IDENTITY_SCOPES = {
  openid: 'Know who you are',
  profile: 'See your name',
  email: 'See your email address',
  offline_access: 'Stay connected when you are not using it',
} as const;

/** What a team key may do, whoever created it. */
export const TEAM_KEY_PERMISSIONS: readonly Permission[] = ['providers:read', 'providers:write'];

/**
 * What makes credentials or decides who may do what. A credential has these only when its scopes name them: a personal key
 * without scopes stands for its owner in everything else (checklist row 92).
 */
export const NAMED_ONLY: ReadonlySet<string> = new Set<Permission>([
  'users:write',
  'apikeys:write',
  'teamkeys:write',
  'oauth2apps:write',
  'oauth2clients:write',
  'credentials:write',
]);

/** Ids of the built-in rows (fixed in the first migration). */
export const ROOT_TEAM_ID = '00000000-0000-4000-8000-000000000010';
export const ROLE_IDS = {
  Admin: '00000000-0000-4000-8000-000000000001',
  Operator: '00000000-0000-4000-8000-000000000002',
  Viewer: '00000000-0000-4000-8000-000000000003',
  oaa_push: '00000000-0000-4000-8000-000000000004',
} as const;

export function isPermission(word: string): word is Permission {
  return Object.hasOwn(PERMISSIONS, word);
}

export function isIdentityScope(word: string): word is keyof typeof IDENTITY_SCOPES {
  return Object.hasOwn(IDENTITY_SCOPES, word);
}

export function isScope(word: string): boolean {
  return isPermission(word) || isIdentityScope(word);
}

/** The scopes a user with these permissions can let somebody act with: identity scopes need no permission. */
export function scopesWithin(scopes: readonly string[], permissions: ReadonlySet<string>): string[] {
  return scopes.filter((scope) => !isPermission(scope) || permissions.has(scope));
}

/** What a scope lets an app do, in a sentence for people. */
export function describeScope(scope: string): string {
  if (isPermission(scope)) return PERMISSIONS[scope];
  return isIdentityScope(scope) ? IDENTITY_SCOPES[scope] : scope;
}
