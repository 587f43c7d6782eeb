/** Searching lists by the beginnings of words, and the orders of lists. */
export default {
  name: '0012-search',
  sql: `
-- The words of a text: what is between white space and punctuation, in lower case. They are compared with what is typed
-- by storage/search.ts, which cuts texts at the same characters. A word may have 2046 bytes in a tsvector.
CREATE FUNCTION latchkey_words(text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (
  SELECT coalesce(array_agg(left(word, 500)), '{}')
  FROM regexp_split_to_table(lower($1),
    '[\\u0001-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u00a0\\u2000-\\u206f\\u3000-\\u3002]+') AS word
  WHERE word <> '');

-- Of a key also how it begins and ends, each behind a sign that no word has.
ALTER TABLE api_keys ADD COLUMN words tsvector NOT NULL GENERATED ALWAYS AS (array_to_tsvector(
  latchkey_words(name) || ('=' || lower(prefix)) || ('~' || lower(last_four)))) STORED;
ALTER TABLE oauth_apps ADD COLUMN words tsvector NOT NULL
  GENERATED ALWAYS AS (array_to_tsvector(latchkey_words(name || ' ' || client_id))) STORED;
ALTER TABLE oauth_clients ADD COLUMN words tsvector NOT NULL
  GENERATED ALWAYS AS (array_to_tsvector(latchkey_words(name || ' ' || client_id))) STORED;
ALTER TABLE resource_servers ADD COLUMN words tsvector NOT NULL
  GENERATED ALWAYS AS (array_to_tsvector(latchkey_words(name || ' ' || identifier))) STORED;
ALTER TABLE teams ADD COLUMN words tsvector NOT NULL
  GENERATED ALWAYS AS (array_to_tsvector(latchkey_words(name))) STORED;
ALTER TABLE users ADD COLUMN words tsvector NOT NULL
  GENERATED ALWAYS AS (array_to_tsvector(latchkey_words(name || ' ' || display_name || ' ' || email))) STORED;

-- Without a list of what is still to be entered, which every search would have to read.
CREATE INDEX api_keys__words ON api_keys USING gin (words) WITH (fastupdate = off);
CREATE INDEX oauth_apps__words ON oauth_apps USING gin (words) WITH (fastupdate = off);
CREATE INDEX oauth_clients__words ON oauth_clients USING gin (words) WITH (fastupdate = off);
CREATE INDEX teams__words ON teams USING gin (words) WITH (fastupdate = off);
CREATE INDEX users__words ON users USING gin (words) WITH (fastupdate = off);
CREATE INDEX users__email_beginning ON users (lower(email) text_pattern_ops);

-- Keys that begin as a retirement says.
CREATE INDEX api_keys__prefix ON api_keys (prefix text_pattern_ops);

-- Orders of lists.
CREATE INDEX api_keys__kind_expires_at ON api_keys (kind, coalesce(expires_at, 'infinity'), id);
CREATE INDEX api_keys__kind_last_used_hour ON api_keys (kind, coalesce(last_used_hour, '-infinity'), id);
CREATE INDEX oauth_clients__last_used_hour_id ON oauth_clients (coalesce(last_used_hour, '-infinity'), id);
CREATE INDEX users__last_login_at ON users (coalesce(last_login_at, '-infinity'), id);
`,
};
