/** JWT access tokens ended before they expire. Every instance holds the (short) list in memory and hears of additions at once. */
import type { Notifications } from '../storage/notifications.ts';
import type { Queryable } from '../storage/pool.ts';
import { insertRevokedToken, listRevokedTokens } from '../storage/revoked-tokens.ts';

export interface RevokedTokens {
  /** Whether this token was ended, or the consent it was issued under. */
  isRevoked(token: { jti?: unknown; grant_id?: unknown }): boolean;
  /** @param expiresAt when the token would have expired by itself. Returns false when it was ended already. */
  revoke(db: Queryable, jti: string, expiresAt: Date): Promise<boolean>;
}

export function createRevokedTokens({
  db,
  notifications,
}: {
  db: Queryable;
  notifications: Notifications;
}): RevokedTokens {
  let revoked = new Set<string>();
  let addedWhileReading = new Set<string>();

  function add(jti: string): void {
    revoked.add(jti);
    addedWhileReading.add(jti);
  }

  async function read(): Promise<void> {
    addedWhileReading = new Set();
    const tokens = await listRevokedTokens(db);
    revoked = new Set([...tokens.map((token) => token.jti), ...addedWhileReading]);
  }

  notifications.on('revoked_tokens', (jti) => (jti === undefined ? read() : add(jti)));
  return {
    isRevoked: ({ jti, grant_id }) =>
      revoked.has(String(jti)) || (grant_id !== undefined && revoked.has(`grant:${grant_id}`)),
    async revoke(on, jti, expiresAt) {
      const added = await insertRevokedToken(on, jti, expiresAt);
      add(jti);
      return added;
    },
  };
}
