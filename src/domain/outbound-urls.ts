/**
 * Addresses outside that others name and this server, or its users' browsers, fetch from. Nobody may use them to reach what
 * only this server can reach: its own machine and the networks around it.
 */
import { BlockList, isIP } from 'node:net';
import { type AppError, invalidField } from '../errors.ts';

const LONGEST = 2_000;
// RFC 3986 §2: anything else has to be percent-encoded in a URI.
const URI_CHARACTERS = /^[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]+$/;

// The IANA registry of special-purpose IPv4 addresses (RFC 6890), and multicast.
const NOT_PUBLIC_4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
// Only global unicast is public at all (RFC 4291 §2.4): loopback, link-local, unique-local, multicast, and IPv4 addresses in
// other spellings (mapped, NAT64) are outside it. Within it: Teredo and others of 2001::/23, documentation, 6to4.
const PUBLIC_6 = '2000::/3';
const NOT_PUBLIC_6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

const notPublic4 = blockList('ipv4', NOT_PUBLIC_4);
const public6 = blockList('ipv6', [PUBLIC_6]);
const notPublic6 = blockList('ipv6', NOT_PUBLIC_6);

function blockList(family: 'ipv4' | 'ipv6', subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = '', bits] = subnet.split('/');
    list.addSubnet(network, Number(bits), family);
  }
  return list;
}

/** Whether an IP address (v4 or v6, without brackets) is one of the public internet. What is no address is not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !notPublic4.check(address, 'ipv4');
  return family === 6 && public6.check(address, 'ipv6') && !notPublic6.check(address, 'ipv6');
}

/**
 * An https URL without credentials and fragment, whose host is not plainly one of a private network. Where a name leads is
 * known only when it is used, and has to be looked at then.
 * @param field name of the input, for messages
 * @throws AppError `invalid_argument`
 */
export function checkOutboundUrl(field: string, value: unknown): string {
  if (typeof value !== 'string' || value.length > LONGEST) {
    throw invalidField(field, `must be a URL of at most ${LONGEST} characters`);
  }
  const url = URI_CHARACTERS.test(value) ? URL.parse(value) : null;
  if (url === null) throw refuse(field, value, 'must be an absolute URL, percent-encoded');
  if (!value.startsWith('https://')) throw refuse(field, value, 'must be https');
  // As it is written, and as it is read: a parser skips any number of slashes before it.
  const hasUser = url.username !== '' || url.password !== '' || /^https:[/]+[^/?#]*@/.test(value);
  if (hasUser) throw refuse(field, value, 'must not have a user name or password');
  if (value.includes('#')) throw refuse(field, value, 'must not have a fragment');
  const host = hostOf(url);
  if (host.endsWith('.')) throw refuse(field, value, 'must have a host that ends in one dot at most');
  const isOwn = host === 'localhost' || host.endsWith('.localhost') || (isIP(host) !== 0 && !isPublicAddress(host));
  if (isOwn) throw refuse(field, value, 'must be on the public internet, not on this machine or a private network');
  return value;
}

/** The host of a URL as resolvers know it: an IPv6 address without its brackets, a name without its last dot. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

function refuse(field: string, value: string, why: string): AppError {
  return invalidField(field, `${JSON.stringify(value.slice(0, 200))} ${why}`);
}
