/** Browser sessions as a person looks at them, and the time zone a person has chosen. */
export default {
  name: '0011-sessions',
  sql: `
-- One row a session, whatever id it has at the moment; the engine's own, sealed, hangs on it, so that ending this ends it.
CREATE TABLE sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- SHA-256 of the engine's uid.
  uid bytea NOT NULL CONSTRAINT sessions__uid UNIQUE,
  -- Null while nobody is logged in with it.
  user_id uuid REFERENCES users ON DELETE CASCADE,
  logged_in_at timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  ip text NOT NULL DEFAULT '',
  user_agent text NOT NULL DEFAULT '',
  -- The consents that end with it: those of apps that may not stay connected when the person is away.
  grant_ids uuid[] NOT NULL DEFAULT '{}'
);
CREATE INDEX sessions__user_id ON sessions (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX sessions__expires_at ON sessions (expires_at);

-- Where those of before came from is not known, nor which consents end with them.
INSERT INTO sessions (uid, user_id, logged_in_at, last_used_at, expires_at)
  SELECT DISTINCT ON (uid) uid, user_id, created_at, now(), expires_at FROM oidc_payloads WHERE uid IS NOT NULL
  ORDER BY uid, created_at DESC;
ALTER TABLE oidc_payloads ADD CONSTRAINT oidc_payloads__session FOREIGN KEY (uid) REFERENCES sessions (uid) ON DELETE CASCADE;

-- An IANA name; null: what the browser says.
ALTER TABLE users ADD COLUMN time_zone text;
DROP TRIGGER notify ON users;
CREATE TRIGGER notify AFTER UPDATE OF email, name, display_name, given_name, family_name, enabled, expires_at, time_zone OR DELETE
  ON users FOR EACH ROW EXECUTE FUNCTION latchkey_notify('id');
`,
};
