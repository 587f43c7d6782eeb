/** A person's own API keys, of all their teams: the pages of the console, acted on in the team of each key. */
import { addKeyPlace } from '../console/api-keys/index.ts';
import { ACCOUNT } from '../console/api-keys/place.ts';
import type { Kit } from '../console/index.ts';

export function addKeys(kit: Kit): void {
  addKeyPlace(kit, ACCOUNT);
}
