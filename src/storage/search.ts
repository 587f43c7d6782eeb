/**
 * Searching in lists by the beginnings of words. Every table that can be searched keeps the words of its rows in a column
 * `words`, made by `latchkey_words` (migration 0012); here a text becomes the question to it. What a caller typed is
 * always data: it is cut into words, which leave no character that means something in a tsquery but between quotes.
 */

/** A condition in SQL that holds for rows a text finds. `bind` takes a value and gives its parameter. */
export type Search = (text: string, bind: (value: unknown) => string) => string;

/** The same as in `latchkey_words`, and NUL, which no text in the database has. */
const BETWEEN_WORDS = /[^A-Za-z0-9\u00a1-\u1fff\u2070-\u2fff\u3003-\u{10ffff}]+/u;
const SPACE = /[\s\p{Cc}]+/u;
/** More words than anybody types narrow nothing more. */
const MOST_WORDS = 20;
/** A word the database keeps has at most as many characters. */
const LONGEST_WORD = 500;

/** All words of the text begin words of the row; one of a single letter or digit must be one. */
export const byWords: Search = (text, bind) => condition(wordsOf(text).map(beginning), bind);

/**
 * As `byWords`, where a word may also be a key: its text or how it begins (six characters or more), its last four, or
 * both as they are shown (`lkp_Ab1_…x9Yz`).
 */
export const byWordsOrKey: Search = (text, bind) => {
  const words = tidy(text)
    .split(SPACE)
    .filter((word) => word !== '')
    .slice(0, MOST_WORDS);
  return condition(
    words.map((word) => either(all(wordsOf(word).map(beginning)), ...asKey(word))),
    bind,
  );
};

/**
 * A text with an @ is also looked for as the beginning of an email address, of the user a row belongs to.
 * @param userId the column
 */
export function orByOwner(search: Search, userId = 'user_id'): Search {
  return (text, bind) => {
    const email = tidy(text).trim();
    const found = search(text, bind);
    if (!email.includes('@') || SPACE.test(email)) return found;
    const pattern = `${email.replace(/[\\%_]/g, '\\$&')}%`;
    // An array, so that the index of either side of the OR can be used.
    return `(${found} OR ${userId} = ANY (ARRAY(
      SELECT owner.id FROM users AS owner WHERE lower(owner.email) LIKE lower(${bind(pattern)}::text) ORDER BY lower(owner.email)
      LIMIT ${MOST_OWNERS})))`;
  };
}

const MOST_OWNERS = 200;

/** The tsquery is put in lower case as a whole and by the database, as the words of the rows were. */
function condition(parts: string[], bind: (value: unknown) => string): string {
  const query = all(parts);
  return query === '' ? 'false' : `words @@ lower(${bind(query)}::text)::tsquery`;
}

function wordsOf(text: string): string[] {
  return [...new Set(tidy(text).split(BETWEEN_WORDS))].filter((word) => word !== '').slice(0, MOST_WORDS);
}

function tidy(text: string): string {
  return text.toWellFormed().normalize('NFC');
}

// One letter begins so many words that whoever types it means that word, or will type on.
function beginning(word: string): string {
  return /^[a-z0-9]$/iu.test(word) ? lexeme(word) : `${lexeme(first(word, LONGEST_WORD))}:*`;
}

const SHOWN_BETWEEN = /^(.{1,40}?)(?:…|\.{2,3})(.{1,4})$/su;
const SHORTEST_BEGINNING = 6;
const SHORTEST_WHOLE = 16;
const [SHORTEST_PREFIX, LONGEST_PREFIX] = [4, 24];

/** What is kept of keys begins with a sign no word has: `=` how they begin, `~` how they end. */
function asKey(word: string): string[] {
  const [, head, tail] = SHOWN_BETWEEN.exec(word) ?? [];
  if (head !== undefined && tail !== undefined) return [all([lexeme(`=${head}`), lexeme(`~${tail}`)])];
  const length = [...word].length;
  const last = lexeme(`~${[...word].slice(-4).join('')}`);
  return [
    ...(length === 4 ? [last] : []),
    ...(length >= SHORTEST_BEGINNING && length <= LONGEST_PREFIX ? [`${lexeme(`=${word}`)}:*`] : []),
    // Of an imported key it may not be known how it ends.
    ...(length >= SHORTEST_WHOLE ? [all([either(...prefixesOf(word)), either(last, lexeme('~'))])] : []),
  ];
}

// How much of a key is kept differs with where it came from.
function prefixesOf(word: string): string[] {
  const lengths = Array.from({ length: LONGEST_PREFIX - SHORTEST_PREFIX + 1 }, (_, more) => SHORTEST_PREFIX + more);
  return lengths.map((length) => lexeme(`=${first(word, length)}`));
}

function first(word: string, length: number): string {
  return [...word].slice(0, length).join('');
}

function lexeme(word: string): string {
  return `'${word.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function all(parts: string[]): string {
  return parts.filter((part) => part !== '').join(' & ');
}

function either(...parts: string[]): string {
  const given = parts.filter((part) => part !== '');
  return given.length === 0 ? '' : `(${given.map((part) => `(${part})`).join(' | ')})`;
}
