/**
 * What is said beside the answers to a credential that is to be given up: `Deprecation` (RFC 9745 §2), `Sunset`
 * (RFC 8594 §3) and `Link`, each by its name. Whatever else is in it is not sent.
 */
export type Notice = Readonly<Record<string, string>>;

const NAMES = ['Deprecation', 'Sunset', 'Link'];

/** The notice in the headers of an answer. */
export function noticeIn(headers: Headers): Notice {
  return sendable(Object.fromEntries(NAMES.map((name) => [name, headers.get(name) ?? ''])));
}

/** What of `notice` can be sent as it is. */
export function sendable(notice: Notice): Notice {
  const names = NAMES.filter((name) => /^[\x20-\x7e]+$/.test(notice[name] ?? ''));
  return Object.fromEntries(names.map((name) => [name, notice[name] as string]));
}
