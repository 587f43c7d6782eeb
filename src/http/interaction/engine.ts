/** What these pages ask of the protocol engine; implemented on the other side, in the protocol room. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What the engine is waiting for. */
export interface PendingInteraction {
  uid: string;
  prompt: 'login' | 'consent';
  /** Why, in the engine's words. */
  reasons: string[];
  /** The authorization request: client_id, scope, redirect_uri, login_hint, max_age, prompt … */
  params: Record<string, unknown>;
  /** Who is logged in, if anybody is. */
  accountId?: string;
  /** Of `requestedScopes` those that nobody consented to yet. */
  missingScopes: string[];
  requestedScopes: string[];
  /** Identifiers of the APIs it asks access to, other than the server's own. */
  otherResources: string[];
  /** Whether somebody is logged in and must log in again (prompt=login, max_age), as the same person or another. */
  loginAgain: boolean;
}

/** Each function but `details` gives the address to send the browser to (303). */
export interface InteractionEngine {
  /** @throws AppError `failed_precondition` when this browser has no such live interaction */
  details(req: IncomingMessage, res: ServerResponse): Promise<PendingInteraction>;
  /** @param result.remember whether the session outlives the browser */
  finishLogin(
    req: IncomingMessage,
    res: ServerResponse,
    result: { accountId: string; remember: boolean },
  ): Promise<string>;
  finishConsent(
    req: IncomingMessage,
    res: ServerResponse,
    result: { teamId: string; scopes: string[] },
  ): Promise<string>;
  /** Ends the request with an error the client is told (RFC 6749 §4.1.2.1). */
  abort(
    req: IncomingMessage,
    res: ServerResponse,
    result: { error: 'access_denied'; description: string },
  ): Promise<string>;
  loginAsSomeoneElse(req: IncomingMessage, res: ServerResponse): Promise<string>;
}
