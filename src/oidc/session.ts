/** Who is logged in with a browser, for surfaces outside the protocol: the engine's own session, read and never changed. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import type { Authority } from '../domain/authority.ts';
import { ourError } from './errors.ts';

/**
 * @param provider gives the current provider (it is rebuilt when signing keys change)
 * @returns a function that gives the user of a browser's session, and the session's `uid`, which stays the same while the
 *   session lasts; undefined when the cookie is none of ours, the session has ended, or the user is gone or disabled.
 *   It throws AppError `unavailable`.
 */
export function createSessionOf(provider: () => Provider, authority: Pick<Authority, 'user'>) {
  return async (req: IncomingMessage, res: ServerResponse): Promise<{ userId: string; uid: string } | undefined> => {
    const current = provider();
    const session = await current.Session.get(current.createContext(req, res)).catch((error: unknown) => {
      throw ourError(error);
    });
    const user = session.accountId === undefined ? undefined : await authority.user(session.accountId);
    return user && { userId: user.id, uid: session.uid };
  };
}
