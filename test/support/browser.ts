/** As much of a browser as the flows need: cookies by host and path, forms, an Origin header; redirects one at a time. */
import { Cookie, CookieJar } from 'tough-cookie';

export interface Visit {
  status: number;
  url: string;
  headers: Headers;
  text: string;
  /** Absolute; undefined when it is no redirect. */
  location: string | undefined;
}

export interface Browser {
  jar: CookieJar;
  get(url: string, headers?: Record<string, string>): Promise<Visit>;
  /** Posts a form, as from a page of that origin. */
  post(url: string, fields: Record<string, string> | string, headers?: Record<string, string>): Promise<Visit>;
  /** Follows redirects until one leaves `origin`, or a page comes. */
  follow(visit: Visit, origin: string): Promise<Visit>;
}

export function createBrowser(): Browser {
  const jar = new CookieJar(undefined, { rejectPublicSuffixes: false });

  async function send(
    method: string,
    url: string,
    body: string | undefined,
    headers: Record<string, string>,
  ): Promise<Visit> {
    const cookie = await jar.getCookieString(url);
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: { accept: 'text/html,application/xhtml+xml', ...(cookie && { cookie }), ...headers },
      ...(body !== undefined && { body }),
    });
    for (const line of response.headers.getSetCookie()) await jar.setCookie(Cookie.parse(line)!, url);
    const location = response.headers.get('location');
    return {
      status: response.status,
      url,
      headers: response.headers,
      text: await response.text(),
      location: location === null ? undefined : new URL(location, url).href,
    };
  }

  const browser: Browser = {
    jar,
    get: (url, headers = {}) => send('GET', url, undefined, headers),
    post(url, fields, headers = {}) {
      const body = typeof fields === 'string' ? fields : new URLSearchParams(fields).toString();
      return send('POST', url, body, {
        'content-type': 'application/x-www-form-urlencoded',
        origin: new URL(url).origin,
        ...headers,
      });
    },
    async follow(visit, origin) {
      let current = visit;
      for (let hops = 0; current.location?.startsWith(`${origin}/`) && hops < 10; hops += 1) {
        current = await browser.get(current.location);
      }
      return current;
    },
  };
  return browser;
}

/** The hidden and preset fields of the (first) form on a page that is posted to an address that ends so. */
export function formOn(page: Visit, action: string): { url: string; fields: Record<string, string> } {
  for (const [form, attributes, content] of page.text.matchAll(/<form([^>]*)>([\s\S]*?)<\/form>/g)) {
    const target = attributeOf(attributes!, 'action') ?? '';
    if (attributeOf(attributes!, 'method') === 'get') continue;
    if (!target.split('?')[0]!.endsWith(action)) continue;
    const fields: Record<string, string> = {};
    for (const [input] of `${form}${content}`.matchAll(/<input[^>]*>/g)) {
      const [name, type] = [attributeOf(input, 'name'), attributeOf(input, 'type')];
      if (name === undefined || ((type === 'radio' || type === 'checkbox') && !/\schecked/.test(input))) continue;
      fields[name] = attributeOf(input, 'value') ?? '';
    }
    for (const [, select, options] of content!.matchAll(/<select([^>]*)>([\s\S]*?)<\/select>/g)) {
      const all = [...options!.matchAll(/<option[^>]*>/g)].map(([option]) => option);
      const chosen = all.find((option) => /\sselected/.test(option)) ?? all[0] ?? '';
      fields[attributeOf(select!, 'name') ?? ''] = attributeOf(chosen, 'value') ?? '';
    }
    for (const [, textarea, text] of content!.matchAll(/<textarea([^>]*)>\n?([\s\S]*?)<\/textarea>/g)) {
      fields[attributeOf(textarea!, 'name') ?? ''] = unescaped(text!);
    }
    return { url: new URL(target, page.url).href, fields };
  }
  throw new Error(`no form for ${action} on ${page.url} (${page.status}):\n${page.text.slice(0, 2_000)}`);
}

function attributeOf(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
  return value === undefined ? undefined : unescaped(value);
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

/** The text behind what a page says in its source. */
export function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, entity: string) => ENTITIES[entity]!);
}
