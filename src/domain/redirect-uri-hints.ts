/**
 * Redirect URIs as somebody types them: which can be registered, what is wrong with the others, and what was probably
 * meant. The rule is in redirect-uris.ts; nothing is offered here that it would refuse.
 */
import { AppError } from '../errors.ts';
import { type Repair, type RepairContext, repairOf } from './redirect-uri-repairs.ts';
import { baseUrlRefusal, MOST_REDIRECT_URIS, type RedirectPolicy, redirectUriRefusal } from './redirect-uris.ts';

/** One of them. A hint without a problem says what to look at. */
export interface UriReview extends Repair {
  /** As it was typed. */
  uri: string;
  /** Why it cannot be registered, in words that go on from "it …". */
  problem?: string;
}

/** The app as far as it is known while it is typed. */
export interface ReviewedApp extends Pick<RedirectPolicy, 'type'> {
  /** As it was typed. */
  baseUrl: string;
  /** What is registered already, if anything is. */
  registered?: readonly string[];
}

/** The base URL alone. Looks at the text and asks nobody. */
export function reviewBaseUrl(value: string): UriReview {
  const problem = baseUrlRefusal(value);
  return problem === undefined
    ? { uri: value }
    : { uri: value, problem, ...repairOf(value, { type: 'confidential' }, baseUrlRefusal) };
}

/** Each line in its order. Looks at the text and asks nobody. A line that is fine may still have a hint. */
export function reviewRedirectUris(lines: readonly string[], app: ReviewedApp): UriReview[] {
  // While that is being corrected: what was probably meant.
  const baseUrl = baseUrlRefusal(app.baseUrl) === undefined ? app.baseUrl : reviewBaseUrl(app.baseUrl).suggestion;
  const base = baseUrl === undefined ? undefined : new URL(baseUrl);
  const context = { type: app.type, base };
  const refusalOf = (uri: string) => redirectUriRefusal(uri, { type: app.type, baseUrl });
  const good = lines.slice(0, MOST_REDIRECT_URIS).filter((uri) => refusalOf(uri) === undefined);
  const differenceOf = createComparison(new Set([...good, ...(app.registered ?? [])]));
  return lines.map((uri, index) => {
    if (index >= MOST_REDIRECT_URIS) return { uri, problem: `is one too many: ${MOST_REDIRECT_URIS} is the most` };
    const problem = refusalOf(uri);
    return problem === undefined
      ? { uri, ...noteOn(uri, context, lines.indexOf(uri) < index ? 'twice' : differenceOf(uri)) }
      : { uri, problem, ...repairOf(uri, context, refusalOf) };
  });
}

/** @param near `twice`, or another one with what tells them apart */
function noteOn(uri: string, { type, base }: RepairContext, near: 'twice' | { other: string; by: string } | undefined) {
  if (near === 'twice') return { hint: 'It is there twice. It counts once.' };
  const url = new URL(uri);
  if (type === 'public' && base !== undefined && url.protocol === `${base.hostname}:`) {
    const hint = 'This is read as a scheme of its own that opens an app on the device. Is https:// missing?';
    const suggestion = `${base.protocol}//${uri}`;
    return { hint, ...(redirectUriRefusal(suggestion, { type, baseUrl: base.href }) === undefined && { suggestion }) };
  }
  if (near !== undefined) {
    return {
      hint: `It differs from ${near.other} only by ${near.by}. They are compared character by character: keep what your app sends.`,
    };
  }
  if (url.hostname === 'localhost') {
    return { hint: 'localhost and 127.0.0.1 are two addresses here. Register the one your app sends.' };
  }
  return {};
}

const DIFFERENCES: [what: string, without: (text: string) => string][] = [
  ['a slash at its end', (text) => text.replace(/\/(?=\?|$)/, '')],
  ['http and https', (text) => text.replace(/^https:/, 'http:')],
  ['the name of the loopback address', (text) => text.replace(/^(https?:\/\/)(?:127\.0\.0\.1|\[::1\])/, '$1localhost')],
  ['www.', (text) => text.replace(/^(https?:\/\/)www\./, '$1')],
  ['its port', (text) => text.replace(/^(https?:\/\/[^/?]*?):\d+(?=[/?]|$)/, '$1')],
  ['its query', (text) => text.replace(/\?.*$/, '')],
  ['upper and lower case', (text) => text.toLowerCase()],
];

/** Finds one that differs in one way only. What is left without it is made once for each, not for each pair. */
function createComparison(known: ReadonlySet<string>) {
  const alike = DIFFERENCES.map(([, without]) => Map.groupBy(known, without));
  return (uri: string): { other: string; by: string } | undefined => {
    for (const [index, [by, without]] of DIFFERENCES.entries()) {
      const other = alike[index]?.get(without(uri))?.find((one) => one !== uri);
      if (other !== undefined) return { other, by };
    }
    return undefined;
  };
}

/**
 * The addresses of an app as a person typed them, all looked at before the first problem is told.
 * @throws AppError `invalid_argument` with every problem and what was probably meant, at `base_url`, `redirect_uris.0`, …
 */
export function requireAppUris(app: {
  type: RedirectPolicy['type'];
  baseUrl: string;
  redirectUris: readonly string[];
  postLogoutRedirectUris: readonly string[];
}): void {
  const reviews: [field: string, review: UriReview][] = [
    ['base_url', reviewBaseUrl(app.baseUrl)],
    ...reviewRedirectUris(app.redirectUris, app).map((review, index) => at('redirect_uris', index, review)),
    ...reviewRedirectUris(app.postLogoutRedirectUris, app).map((review, index) =>
      at('post_logout_redirect_uris', index, review),
    ),
  ];
  const fields = reviews.flatMap(([field, { uri, problem, hint, suggestion }]) => {
    if (problem === undefined) return [];
    const advice = suggestion === undefined ? hint?.replace(/\.$/, '') : `Did you mean ${suggestion}`;
    const which = field === 'base_url' ? '' : `${JSON.stringify(uri.slice(0, 200))} `;
    return [{ field, description: `${which}${problem}${advice === undefined ? '' : `. ${advice}`}` }];
  });
  if (fields.length === 0) return;
  throw new AppError(
    'invalid_argument',
    fields.map(({ field, description }) => `${field}: ${description}`).join('; '),
    {
      fields,
    },
  );
}

function at(field: string, index: number, review: UriReview): [string, UriReview] {
  return [`${field}.${index}`, review];
}
