/** The public name of an app or client in the protocol (RFC 6749 §2.2). */
import { randomBytes } from 'node:crypto';

const CLIENT_ID = /^(?:app|svc)_[A-Za-z0-9_-]{22}$/;

/** `app_` or `svc_` and 128 random bits in base64url. No user's id looks like that, so subjects cannot collide. */
export function createClientId(prefix: 'app_' | 'svc_'): string {
  return prefix + randomBytes(16).toString('base64url');
}

/** Whose client_id a word is, by its looks; undefined when it is none of ours. */
export function kindOfClientId(word: string): 'app' | 'client' | undefined {
  if (!CLIENT_ID.test(word)) return undefined;
  return word.startsWith('app_') ? 'app' : 'client';
}
