/** What an app asks for, in sentences, and at which API. */
import { describeScope, isScope } from '../../domain/permissions.ts';

/** The sentences of one API; name and identifier are empty for the server's own. */
export interface ScopeGroup {
  name: string;
  identifier: string;
  sentences: string[];
}

/** A registered API, as far as these pages look at it. */
interface ResourceServer {
  identifier: string;
  name: string;
  scopes: readonly { name: string; description: string }[];
}

export interface ResourceServers {
  findForProtocol(identifier: string): Promise<ResourceServer | undefined>;
}

/**
 * @param resources identifiers of the other APIs the request names
 * @param requested every scope of the request; an API of which none is among them is told all the same, for a token for it
 *   says who the person is. Left out: not told.
 */
export async function scopeGroups(
  scopes: readonly string[],
  resources: readonly string[],
  resourceServers: ResourceServers,
  requested?: readonly string[],
): Promise<ScopeGroup[]> {
  const groups = [{ name: '', identifier: '', sentences: scopes.filter(isScope).map(describeScope) }];
  for (const identifier of new Set(resources)) {
    const server = await resourceServers.findForProtocol(identifier);
    if (server === undefined) continue;
    const isBare = requested !== undefined && !server.scopes.some(({ name }) => requested.includes(name));
    const told = server.scopes.filter(({ name }) => scopes.includes(name));
    const sentences = isBare ? ['Know who you are'] : told.map(({ name, description }) => description || name);
    groups.push({ name: server.name, identifier, sentences });
  }
  return groups.filter(({ sentences }) => sentences.length > 0);
}
