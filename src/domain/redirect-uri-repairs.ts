/** What somebody meant who typed a URI that is refused: the usual slips, each with what to do about it. */
import { isLoopback, isWebUrl, type RedirectPolicy, redirectUriRefusal } from './redirect-uris.ts';

// Nobody mistypes more than this, and comparing letters takes time.
const LONGEST_REPAIRED = 2_000;
const LONGEST_HOST = 253;

export interface Repair {
  /** What to do about it. */
  hint?: string;
  /** What was probably meant; it can be registered. */
  suggestion?: string;
}

/** The app it is for: its type, and its base URL when that is known. */
export interface RepairContext {
  type: RedirectPolicy['type'];
  base?: URL | undefined;
}

/** `repair` answers undefined where it is not concerned. They are tried in this order, each on what the former left. */
const REPAIRS: { hint: string; repair: (text: string, context: RepairContext) => string | undefined }[] = [
  {
    hint: 'Leave out quotes, brackets and commas around it.',
    repair: (text) => withoutEnd(text.replace(/^["'<[(]+/, ''), `"'>]),;`),
  },
  {
    hint: 'Write it in full, with https:// and the host.',
    repair: (text, { base }) => (/^\/(?!\/)/.test(text) && base !== undefined ? base.origin + text : undefined),
  },
  {
    hint: 'Say how it is reached: it starts with https://, or with http:// on your own machine.',
    repair(text) {
      const [, address] =
        /^(?:\/\/)?((?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|localhost|\[::1\])(?::\d+)?(?:[/?#].*)?)$/i.exec(text) ?? [];
      const url = URL.parse(`http://${address}`);
      return address && url ? `${isLoopback(url) ? 'http' : 'https'}://${address}` : undefined;
    },
  },
  {
    hint: 'Check how it starts: https, a colon and two slashes.',
    repair: (text) => text.replace(/^h?t{1,2}p{1,2}(s?)(?:[:;][/\\]*|[/\\]+)/i, 'http$1://'),
  },
  {
    hint: 'What follows # never reaches a server. Give the page a path of its own.',
    repair: (text) => (text.includes('#') ? text.slice(0, text.indexOf('#')) : undefined),
  },
  { hint: 'Leave out what stands before @.', repair: (text) => text.replace(/^(https?:\/\/)[^/?#]*@/i, '$1') },
  {
    hint: 'Write it as a browser sends it: host in lower case, no default port, no dots as path, percent-encoded.',
    repair: (text) => (/^https?:/i.test(text) ? canonical(text) : undefined),
  },
  {
    hint: 'Codes and tokens need https. Plain http is for your own machine: localhost, 127.0.0.1 or [::1].',
    repair(text) {
      const url = URL.parse(text);
      return url?.protocol === 'http:' && !isLoopback(url) ? text.replace('http', 'https') : undefined;
    },
  },
  {
    hint: 'Nobody can have a certificate for your own machine, so it is plain http there.',
    repair(text, { type }) {
      const url = URL.parse(text);
      const isSecured = url?.protocol === 'https:' && isLoopback(url);
      return isSecured && type === 'public' ? text.replace('https', 'http') : undefined;
    },
  },
  {
    hint: 'Use the scheme and the host of the base URL, or change the base URL.',
    repair(text, { base }) {
      const url = URL.parse(text);
      if (url === null || base === undefined || !isWebUrl(url)) return undefined;
      const isWithin = url.hostname.endsWith(`.${base.hostname}`);
      if (!isWithin && !areNear(url, base)) return undefined;
      const port = url.port || base.port;
      const host = isWithin ? url.hostname : base.hostname;
      return `${base.protocol}//${host}${port && `:${port}`}${text.slice(url.origin.length)}`;
    },
  },
];

/**
 * What to do about one that is refused, and what was probably meant.
 * @param refusalOf the rule: nothing it refuses is proposed
 */
export function repairOf(uri: string, context: RepairContext, refusalOf: (uri: string) => string | undefined): Repair {
  if (uri.length > LONGEST_REPAIRED) return {};
  if (uri.includes('*')) {
    const example = new URL('/callback', context.base ?? 'https://app.example.com').href;
    return { hint: `Write down each address that is used, for example ${example}. There is room for a hundred.` };
  }
  if (/\s|,(?=https?:)/i.test(uri.trim())) return { hint: 'Write one on each line, with %20 for a space within.' };
  let meant = uri;
  let hint: string | undefined;
  for (const one of REPAIRS) {
    const repaired = one.repair(meant, context) ?? meant;
    if (repaired === meant) continue;
    hint ??= one.hint;
    meant = repaired;
    if (refusalOf(meant) === undefined) return { hint, suggestion: meant };
  }
  const advice = adviceOn(uri, context);
  return advice === undefined ? {} : { hint: advice };
}

function adviceOn(uri: string, { type, base }: RepairContext): string | undefined {
  const url = URL.parse(uri);
  if (url === null) return undefined;
  if (type === 'confidential' && redirectUriRefusal(uri, { type: 'public' }) === undefined && !isWebUrl(url)) {
    return 'A scheme of its own is for apps on people’s devices. Those are public apps.';
  }
  if (base === undefined || !isWebUrl(url)) return undefined;
  if (isLoopback(url)) return `To develop on your own machine, register another app with the base URL ${url.origin}.`;
  return base.hostname.endsWith(`.${url.hostname}`)
    ? `With the base URL ${url.origin} both can be used: it covers its sub-domains.`
    : `The app lives at ${base.origin}. Correct the host, or change the base URL.`;
}

/** Hosts one takes for the other: loopback by another name, without www., up to two letters apart. */
function areNear(url: URL, base: URL): boolean {
  const [one, other] = [url.hostname, base.hostname];
  if (one === other || (isLoopback(url) && isLoopback(base))) return true;
  if (`www.${one}` === other) return true;
  return one.length <= LONGEST_HOST && Math.abs(one.length - other.length) <= 2 && distance(one, other) <= 2;
}

/** How many letters have to be put in, left out or replaced (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (const [j, wanted] of [...other].entries()) {
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (letter === wanted ? 0 : 1)));
    }
    row = next;
  }
  return row[other.length]!;
}

function canonical(text: string): string | undefined {
  const href = URL.parse(text)?.href;
  return href === `${text}/` ? undefined : href;
}

/** A loop: an expression that looks for the end of a text tries every place where it could begin. */
function withoutEnd(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1]!)) end -= 1;
  return text.slice(0, end);
}
