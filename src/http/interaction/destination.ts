/** Where a redirect URI leads, in words. */

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * @param redirectUri a registered one; for a private-use scheme (RFC 8252 §7.1) only the scheme says anything
 * @returns the end of the sentence "You will be sent to …"
 */
export function describeDestination(redirectUri: string): string {
  if (!URL.canParse(redirectUri)) return 'the app';
  const { protocol, hostname, host } = new URL(redirectUri);
  if (protocol !== 'http:' && protocol !== 'https:') return `an application on this device (${protocol.slice(0, -1)})`;
  return LOOPBACK.has(hostname) ? `a program on this device (${host})` : host;
}
