import type { FindEndpoint } from './discovery.ts';
import { basicOf } from './introspection.ts';
import { fetchText, unusable } from './outbound.ts';
import type { Principal } from './principal.ts';
import type { Settings } from './settings.ts';

const EVERY_MS = 60_000;
const MAX_REPORTED = 500;
/** About 3 MB when full; what comes on top of it is not counted. */
const MAX_ROWS = 10_000;

interface Row {
  team_id: string;
  credential: string;
  /** The key's id, or of an access token the client's; `key:` and the key's id for one that came from a key. */
  id: string;
  count: number;
}

/**
 * Counts admitted requests by team and credential, and tells the issuer at most once a minute, while there are any, if
 * its metadata has a `usage_endpoint`. Nothing of this is waited for. What cannot be told is forgotten: while the
 * issuer is away, no keys are accepted either.
 *
 * @returns counts one request.
 */
export function createUsageReport(settings: Settings, find: FindEndpoint): (principal: Principal) => void {
  const authorization = basicOf(settings);
  const rows = new Map<string, Row>();
  let isDue = false;

  async function report(): Promise<void> {
    isDue = false;
    const told = [...rows.values()];
    rows.clear();
    try {
      const url = await find('usage_endpoint', true);
      for (let from = 0; url !== undefined && from < told.length; from += MAX_REPORTED) {
        const { status } = await fetchText(url, {
          method: 'POST',
          headers: { authorization, 'content-type': 'application/json' },
          body: JSON.stringify({ requests: told.slice(from, from + MAX_REPORTED) }),
        });
        if (status !== 204) throw unusable(`The usage report was answered ${status}`);
      }
    } catch (error) {
      settings.onError(error as Error);
    }
  }

  return ({ teamId, credential, clientId, claims }) => {
    // Whichever client asked for it, a token that came from a key is a use of that key.
    const [origin = ''] = (claims?.derived_from ?? []) as string[];
    const id = /^key:/.test(origin) ? origin : (clientId ?? credential.id);
    const name = `${teamId} ${credential.kind} ${id}`;
    const row = rows.get(name);
    if (row) row.count++;
    else if (rows.size < MAX_ROWS) rows.set(name, { team_id: teamId, credential: credential.kind, id, count: 1 });
    if (!isDue) setTimeout(report, EVERY_MS).unref();
    isDue = true;
  };
}
