/** A user as the engine's account, with the claims each identity scope releases (OpenID Connect Core 1.0 §5.4). */
import type { Account, KoaContextWithOIDC } from 'oidc-provider';
import type { Authority } from '../domain/authority.ts';
import { engineError } from './errors.ts';

/** Which claims a scope releases; the engine filters by it. */
export const CLAIMS = {
  openid: ['sub'],
  profile: ['name', 'given_name', 'family_name', 'preferred_username', 'updated_at'],
  email: ['email'],
};

/** The engine's `findAccount`: undefined for a user who is gone, disabled or expired, which ends every flow for them. */
export function createFindAccount(authority: Pick<Authority, 'user'>) {
  return async (_ctx: KoaContextWithOIDC, id: string): Promise<Account | undefined> => {
    const user = await authority.user(id).catch((error: unknown) => Promise.reject(engineError(error)));
    if (user === undefined) return undefined;
    return {
      accountId: user.id,
      expiresAt: user.expiresAt,
      claims: async () => ({
        sub: user.id,
        name: user.displayName || user.name || undefined,
        given_name: user.givenName || undefined,
        family_name: user.familyName || undefined,
        preferred_username: user.email,
        email: user.email,
        updated_at: Math.floor(user.updatedAt.getTime() / 1000),
      }),
    };
  };
}
