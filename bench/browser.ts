/**
 * As much of a browser as a login needs: keeps cookies, follows redirects, fills in forms. Over node:http, which costs
 * the machine under measurement half of what fetch does.
 */
import { type Agent, request } from 'node:http';

export interface Page {
  url: URL;
  status: number;
  body: string;
}

/** How a form is sent. */
export interface Submission {
  /** What goes into a field; undefined leaves it as it is. */
  fill?: (name: string, type: string) => string | undefined;
  /** The button to press, by its text; default the first one. */
  button?: RegExp;
  /** As for `open`. */
  stop?: string;
}

/** One person's browser. */
export interface Browser {
  /** Opens a page and follows redirects up to the first page, or up to a URL that starts with `stop`. */
  open(url: URL, stop?: string): Promise<Page>;
  /** Sends the form the button belongs to, with what it holds. */
  submit(page: Page, submission?: Submission): Promise<Page>;
}

const MOST_REDIRECTS = 10;

/** @param agent keeps connections open between browsers of one program */
export function createBrowser(agent: Agent): Browser {
  const cookies = new Map<string, { value: string; path: string }>();

  async function send(method: 'GET' | 'POST', start: URL, form?: string, stop?: string): Promise<Page> {
    let url = start;
    let body = form;
    for (let hops = 0; hops <= MOST_REDIRECTS; hops += 1) {
      const headers: Record<string, string> = { cookie: cookieHeader(url) };
      if (body !== undefined) Object.assign(headers, { 'content-type': FORM, origin: url.origin });
      const answer = await exchange(agent, body === undefined ? 'GET' : method, url, headers, body);
      keep(answer.cookies);
      if (answer.location === undefined) return { url, status: answer.status, body: answer.body };
      url = new URL(answer.location, url);
      body = undefined;
      if (stop !== undefined && url.href.startsWith(stop)) return { url, status: answer.status, body: '' };
    }
    throw new Error(`more than ${MOST_REDIRECTS} redirects, last to ${url.pathname}`);
  }

  function cookieHeader({ pathname }: URL): string {
    const sent = [...cookies].filter(
      ([, { path }]) => pathname === path || pathname.startsWith(path.replace(/\/?$/, '/')),
    );
    return sent.map(([name, { value }]) => `${name}=${value}`).join('; ');
  }

  function keep(lines: string[]): void {
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const gone = value === '' || /;\s*expires=Thu, 01 Jan 1970/i.test(line);
      if (gone) cookies.delete(name);
      else cookies.set(name, { value, path: /;\s*path=([^;]*)/i.exec(line)?.[1] ?? '/' });
    }
  }

  return {
    open: (url, stop) => send('GET', url, undefined, stop),
    submit(page, { fill, button, stop } = {}) {
      const form = readForm(page.body, button);
      if (!form) throw new Error(`no form at ${page.url.pathname} (${page.status}): ${page.body.slice(0, 300)}`);
      const values = form.fields.map(({ name, type, value }): [string, string] => [name, fill?.(name, type) ?? value]);
      return send('POST', new URL(form.action, page.url), new URLSearchParams(values).toString(), stop);
    },
  };
}

const FORM = 'application/x-www-form-urlencoded';

export interface Exchange {
  status: number;
  body: string;
  location: string | undefined;
  cookies: string[];
}

/** One request and its whole answer. */
export function exchange(
  agent: Agent,
  method: string,
  url: URL,
  headers: Record<string, string>,
  body?: string,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? undefined : { 'content-length': Buffer.byteLength(body) };
    const { hostname, port, pathname, search } = url;
    const options = { agent, method, hostname: hostname === 'localhost' ? '127.0.0.1' : hostname, port };
    const sent = request(
      { ...options, path: pathname + search, headers: { host: url.host, ...headers, ...length }, timeout: 10_000 },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject).on('end', () => {
          const { location, 'set-cookie': cookies = [] } = response.headers;
          resolve({ status: response.statusCode ?? 0, body: text, location, cookies });
        });
      },
    );
    sent.on('timeout', () => sent.destroy(new Error(`no answer from ${pathname} for 10 seconds`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

/** What is sent, and where to, when the button is pressed. */
function readForm(html: string, label = /(?:)/) {
  const forms = [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, own = '', inner = '']) => {
    const buttons = [...inner.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)];
    return { own, inner, pressed: buttons.find(([, , text = '']) => label.test(text.trim()))?.[1] };
  });
  const form = forms.find(({ pressed }) => pressed !== undefined);
  if (form?.pressed === undefined) return undefined;
  const { own: attributes, inner, pressed } = form;
  const fields: { name: string; type: string; value: string }[] = [];
  for (const { 1: element = '', 2: own = '', index } of inner.matchAll(/<(input|select)\b([^>]*)>/gi)) {
    const name = attribute(own, 'name');
    const type = element.toLowerCase() === 'select' ? 'select' : (attribute(own, 'type') ?? 'text');
    if (!name) continue;
    if (type === 'select') {
      const options = inner.slice(index, inner.indexOf('</select>', index)).match(/<option\b[^>]*>/gi) ?? [];
      const chosen = options.find((option) => /\bselected\b/i.test(option)) ?? options[0] ?? '';
      fields.push({ name, type, value: attribute(chosen, 'value') ?? '' });
    } else if (!/^(radio|checkbox)$/.test(type) || /\bchecked\b/i.test(own)) {
      fields.push({ name, type, value: attribute(own, 'value') ?? (/radio|checkbox/.test(type) ? 'on' : '') });
    }
  }
  const name = attribute(pressed, 'name');
  if (name) fields.push({ name, type: 'button', value: attribute(pressed, 'value') ?? '' });
  return { action: attribute(pressed, 'formaction') ?? attribute(attributes, 'action') ?? '', fields };
}

function attribute(tag: string, name: string): string | undefined {
  const [, quoted, bare] = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|([^\\s">]+))`, 'i').exec(tag) ?? [];
  return (quoted ?? bare)
    ?.replace(/&(?:amp|#38);/g, '&')
    .replace(/&(?:quot|#34);/g, '"')
    .replace(/&#x2F;|&#47;/gi, '/');
}
