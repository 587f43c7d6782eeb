/** API keys that exist already, in any shape: kept by the digests somebody else made of them. */
export default {
  name: '0007-imported-keys',
  sql: `
-- Null: the key is opened by the text it was imported with, which imported_keys knows.
ALTER TABLE api_keys ALTER COLUMN digest DROP NOT NULL, ADD COLUMN external_id text;

CREATE TABLE imported_keys (
  -- For bcrypt the whole hash, as text in bytes.
  digest bytea NOT NULL,
  algorithm text NOT NULL CHECK (algorithm IN ('sha256', 'sha512', 'hmac-sha256', 'bcrypt')),
  -- The name of the secret of hmac-sha256; the secret itself is not in the database.
  pepper text NOT NULL DEFAULT '',
  -- How the text begins.
  prefix text NOT NULL,
  -- Null: the key was deleted. The digest stays, so that importing the file once more does not bring the key back.
  key_id uuid REFERENCES api_keys ON DELETE SET NULL,
  imported_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (digest, algorithm, pepper)
);
CREATE INDEX imported_keys__key_id ON imported_keys (key_id);
CREATE INDEX imported_keys__bcrypt_prefix ON imported_keys (prefix) WHERE algorithm = 'bcrypt' AND key_id IS NOT NULL;

-- How imported keys begin, in a few characters, and what digests there are of those: what a text must look like to be
-- looked up at all.
CREATE TABLE imported_key_heads (
  head text NOT NULL,
  algorithm text NOT NULL,
  pepper text NOT NULL,
  PRIMARY KEY (head, algorithm, pepper)
);
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON imported_key_heads
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('algorithm');
`,
};
