/** What somebody pastes to use a new API key. */
import type { ApiKey } from '../../../domain/api-keys.ts';
import { withinScopes } from '../../../domain/key-scopes.ts';
import { isPermission, TEAM_KEY_PERMISSIONS } from '../../../domain/permissions.ts';
import type { Kit } from '../index.ts';
import type { Snippet } from '../registrations/token-commands.ts';

/** What can be read with one permission alone. */
const READS: Record<string, string> = {
  'providers:read': '/api/v1/providers',
  'teams:read': '/api/v1/teams',
  'users:read': '/api/v1/users',
  'roles:read': '/api/v1/roles',
  'apikeys:read': '/api/v1/apikeys',
  'teamkeys:read': '/api/preview/teamkeys',
  'connectedapps:read': '/api/v1/users/self/connected_apps',
  'oauth2clients:read': '/api/v1/oauth2/clients',
  'credentials:read': '/api/v1/credentials',
  'audit:read': '/api/v1/audit_events',
};

/**
 * @param text of the key, which is shown with it; undefined: a shell variable stands for it
 */
export async function keyCommands(
  { domain, issuer }: Pick<Kit, 'domain' | 'issuer'>,
  key: ApiKey,
  text: string | undefined,
): Promise<Snippet[]> {
  const rights = await rightsOf();
  const readable = Object.keys(READS).find((permission) => rights.has(permission));
  const url = `${issuer}${readable === undefined ? await verification() : READS[readable]}`;

  async function rightsOf(): Promise<ReadonlySet<string>> {
    if (key.userId === null) return new Set(TEAM_KEY_PERMISSIONS);
    return withinScopes(key.scopes, (await domain.authority.permissionsIn(key.userId, key.teamId)) ?? new Set());
  }

  /** Where a key that opens nothing here can be held against the API it is for. */
  async function verification(): Promise<string> {
    const other = [...rights].find((word) => !isPermission(word));
    const server = other === undefined ? undefined : await domain.resourceServers.findByScope(other);
    return `/oauth2/verify${server === undefined ? '' : `?${new URLSearchParams({ resource: server.identifier })}`}`;
  }

  const header = text === undefined ? '"Authorization: Bearer $LATCHKEY_API_KEY"' : `'Authorization: Bearer ${text}'`;
  return [
    ...(text === undefined ? [] : [{ title: '.env', text: `LATCHKEY_URL=${issuer}\nLATCHKEY_API_KEY=${text}` }]),
    { title: 'Try it', text: `curl --include --header ${header} \\\n  '${url}'` },
  ];
}
