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
  FOR EACH ROW WHEN (latchkey_may_have_tokens(OLD.tokens_until) AND NOT NEW.scopes @> OLD.scopes)
  EXECUTE FUNCTION latchkey_narrow_key();

-- Tokens for a resource server that is gone, and those it got for API keys while it takes none. One that is registered
-- anew under its name, or takes keys again, gets new ones.
CREATE FUNCTION latchkey_revoke_resource_server() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM latchkey_revoke('aud', OLD.identifier, 'infinity', latchkey_tokens_until());
  ELSIF TG_OP = 'INSERT' THEN
    UPDATE revocations
      SET revoked_before = clock_timestamp(), expires_at = greatest(expires_at, latchkey_tokens_until())
      WHERE id = NEW.identifier
        AND kind = ANY (CASE WHEN NEW.accepts_api_keys THEN ARRAY['aud', 'aud_keys'] ELSE ARRAY['aud'] END);
  ELSIF NEW.accepts_api_keys <> OLD.accepts_api_keys THEN
    PERFORM latchkey_revoke('aud_keys', OLD.identifier,
      CASE WHEN NEW.accepts_api_keys THEN clock_timestamp() ELSE 'infinity' END, latchkey_tokens_until());
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER revoke AFTER INSERT OR UPDATE OF accepts_api_keys OR DELETE ON resource_servers
  FOR EACH ROW EXECUTE FUNCTION latchkey_revoke_resource_server();
`,
};
