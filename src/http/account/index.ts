/**
 * The account room: what people see and do about themselves, at /account, whatever roles they have and also in no team. It is
 * built on the console's kit; what belongs to a team is the console's.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Kit } from '../console/index.ts';
import { addConnectedApps } from './connected-apps.ts';
import { addKeys } from './keys.ts';
import { addPassword } from './password.ts';
import { addProfile } from './profile.ts';
import { addSessions } from './sessions.ts';

export interface AccountOptions {
  /** Gives the session of this browser a new id; the protocol room does it. */
  renewSession(req: IncomingMessage, res: ServerResponse): Promise<void>;
}

export function addAccount(kit: Kit, options: AccountOptions): void {
  addProfile(kit);
  addPassword(kit, options);
  addSessions(kit);
  addKeys(kit);
  addConnectedApps(kit);
}
