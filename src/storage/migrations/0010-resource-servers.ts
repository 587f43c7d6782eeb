/** What a resource server is besides its scopes: whether it takes API keys, and which OAuth2 clients it is. */
export default {
  name: '0010-resource-servers',
  sql: `
ALTER TABLE resource_servers
  ADD COLUMN accepts_api_keys boolean NOT NULL DEFAULT true,
  -- client_ids: they may ask about whatever is presented to it, in every team.
  ADD COLUMN client_ids text[] NOT NULL DEFAULT '{}';

-- A scope of a resource server ended and went from the key, but tokens that were got for the key still say it.
CREATE FUNCTION latchkey_narrow_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM latchkey_narrow('key', OLD.id::text);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER narrow AFTER UPDATE OF scopes ON api_keys DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.tokens_until > now() AND NOT NEW.scopes @> OLD.scopes) EXECUTE FUNCTION latchkey_narrow_key();
`,
};
