/** Tells every instance what changed, whoever changed it (server, command line, psql), so that caches can forget it. */
export default {
  name: '0005-notifications',
  sql: `
CREATE FUNCTION latchkey_notify() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
  PERFORM pg_notify('latchkey', TG_TABLE_NAME || ':' || (changed ->> TG_ARGV[0]));
  RETURN NULL;
END $$;

CREATE TRIGGER notify AFTER UPDATE OF name, description, permissions OR DELETE ON roles
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('id');
CREATE TRIGGER notify AFTER UPDATE OR DELETE ON teams FOR EACH ROW EXECUTE FUNCTION latchkey_notify('id');
CREATE TRIGGER notify AFTER UPDATE OF email, name, display_name, given_name, family_name, enabled, expires_at OR DELETE ON users
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('id');
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON memberships FOR EACH ROW EXECUTE FUNCTION latchkey_notify('user_id');
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON membership_roles
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('user_id');
-- last_access_at and last_used_at are left out on purpose: they change all the time and nothing caches them.
CREATE TRIGGER notify AFTER UPDATE OF digest, name, team_id, user_id, scopes, status, expires_at OR DELETE ON api_keys
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('id');
CREATE TRIGGER notify AFTER UPDATE OF name, base_url, redirect_uris, post_logout_redirect_uris, allowed_scopes, type,
  token_endpoint_auth_method, jwks, id_token_signed_response_alg, enabled OR DELETE ON oauth_apps
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('client_id');
CREATE TRIGGER notify AFTER UPDATE OF name, team_id, allowed_scopes, token_endpoint_auth_method, jwks, enabled OR DELETE ON oauth_clients
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('client_id');
CREATE TRIGGER notify AFTER INSERT OR UPDATE OF expires_at OR DELETE ON client_secrets
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('id');
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON signing_keys FOR EACH ROW EXECUTE FUNCTION latchkey_notify('kid');
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON settings FOR EACH ROW EXECUTE FUNCTION latchkey_notify('name');
CREATE TRIGGER notify AFTER INSERT ON revoked_tokens FOR EACH ROW EXECUTE FUNCTION latchkey_notify('jti');
`,
};
