/** What the management API keeps and lists: more fields of people and apps, resource servers, and an index for every filter. */
export default {
  name: '0006-management',
  sql: `
-- 1 GENERAL, 2 TECHNICAL, 3 BUSINESS (wire contract, Users).
ALTER TABLE users
  ADD COLUMN persona smallint NOT NULL DEFAULT 1 CHECK (persona BETWEEN 1 AND 3),
  ADD COLUMN digest_settings jsonb NOT NULL DEFAULT '[]',
  ADD COLUMN auth_provider_id text NOT NULL DEFAULT '',
  ADD COLUMN last_refresh_at timestamptz;
ALTER TABLE teams ADD COLUMN provider_types smallint[] NOT NULL DEFAULT '{}';
ALTER TABLE oauth_apps ADD COLUMN logo_url text, ADD COLUMN jwks_uri text;
ALTER TABLE oauth_clients ADD COLUMN jwks_uri text;
ALTER TABLE grants ADD COLUMN last_used_at timestamptz;
-- While a rotated key overlaps, its former text opens it too.
ALTER TABLE api_keys
  ADD COLUMN previous_digest bytea CONSTRAINT api_keys__previous_digest UNIQUE,
  ADD COLUMN previous_expires_at timestamptz;

-- The hour of the last use, null until the first: what the inventory looks for. It has indexes and the time of last use
-- has none, because a change in no index, on a page with room for it, costs a fraction of any other; uses are written
-- all the time, and change the hour once an hour.
ALTER TABLE api_keys ADD COLUMN last_used_hour timestamptz GENERATED ALWAYS AS
  (CASE WHEN last_access_at > created_at THEN date_bin('1 hour', last_access_at, to_timestamp(0)) END) STORED;
ALTER TABLE oauth_clients ADD COLUMN last_used_hour timestamptz
  GENERATED ALWAYS AS (date_bin('1 hour', last_used_at, to_timestamp(0))) STORED;
ALTER TABLE grants ADD COLUMN last_used_hour timestamptz
  GENERATED ALWAYS AS (date_bin('1 hour', last_used_at, to_timestamp(0))) STORED;
ALTER TABLE api_keys SET (fillfactor = 80);

CREATE TABLE resource_servers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  identifier text NOT NULL CONSTRAINT resource_servers__identifier UNIQUE,
  name text NOT NULL,
  -- [{"name": "reports:read", "description": "…"}]
  scopes jsonb NOT NULL DEFAULT '[]',
  access_token_ttl_seconds integer NOT NULL,
  signing_alg text NOT NULL,
  -- The server's own API; its scopes are the permissions.
  is_built_in boolean NOT NULL DEFAULT false,
  created_by uuid REFERENCES users ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX resource_servers__is_built_in ON resource_servers (is_built_in) WHERE is_built_in;

-- Answers to POSTs that carried an Idempotency-Key; sealed, because some hold a secret that is shown once.
CREATE TABLE idempotency_keys (
  id bytea PRIMARY KEY,
  request_digest bytea NOT NULL,
  answer bytea NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX idempotency_keys__expires_at ON idempotency_keys (expires_at);

UPDATE roles SET permissions = permissions || ARRAY['resourceservers:read','resourceservers:write','connectedapps:read','connectedapps:write']
  WHERE id = '00000000-0000-4000-8000-000000000001';
UPDATE roles SET permissions = permissions || ARRAY['connectedapps:read','connectedapps:write']
  WHERE id IN ('00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003');

DROP TRIGGER notify ON oauth_apps;
CREATE TRIGGER notify AFTER UPDATE OF name, base_url, redirect_uris, post_logout_redirect_uris, allowed_scopes, type,
  token_endpoint_auth_method, jwks, jwks_uri, id_token_signed_response_alg, enabled OR DELETE ON oauth_apps
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('client_id');
DROP TRIGGER notify ON oauth_clients;
CREATE TRIGGER notify AFTER UPDATE OF name, team_id, allowed_scopes, token_endpoint_auth_method, jwks, jwks_uri, enabled OR DELETE ON oauth_clients
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('client_id');
DROP TRIGGER notify ON api_keys;
CREATE TRIGGER notify AFTER UPDATE OF digest, name, team_id, user_id, scopes, status, expires_at, previous_digest, previous_expires_at OR DELETE ON api_keys
  FOR EACH ROW EXECUTE FUNCTION latchkey_notify('id');
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON resource_servers FOR EACH ROW EXECUTE FUNCTION latchkey_notify('identifier');

-- A provider that ends leaves the policy of every team that names it, and so changes those teams.
CREATE FUNCTION latchkey_change_teams_of_providers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE teams SET updated_at = now() WHERE id IN (SELECT team_id FROM ended);
  RETURN NULL;
END $$;
CREATE TRIGGER change_teams AFTER DELETE ON team_providers REFERENCING OLD TABLE AS ended
  FOR EACH STATEMENT EXECUTE FUNCTION latchkey_change_teams_of_providers();

-- Lists go by (what they are filtered by, what they are ordered by, id).
CREATE INDEX api_keys__kind_created_at ON api_keys (kind, created_at, id);
CREATE INDEX api_keys__kind_team_id ON api_keys (kind, team_id, created_at, id);
CREATE INDEX api_keys__kind_status ON api_keys (kind, status, created_at, id);
CREATE INDEX api_keys__kind_name ON api_keys (kind, name, id);
CREATE INDEX api_keys__expires_at ON api_keys (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX api_keys__never_used ON api_keys (kind, created_at, id) WHERE last_used_hour IS NULL;
CREATE INDEX api_keys__last_used_hour ON api_keys (kind, last_used_hour) WHERE last_used_hour IS NOT NULL;
CREATE INDEX teams__created_at ON teams (created_at, id);
CREATE INDEX teams__name_id ON teams (lower(name), id);
CREATE INDEX teams__policy_type ON teams (policy_type, created_at, id);
CREATE INDEX teams__sso_alias ON teams (sso_alias, created_at, id);
CREATE INDEX users__created_at ON users (created_at, id);
CREATE INDEX users__enabled ON users (enabled, created_at, id);
CREATE INDEX users__expires_at ON users (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX users__name ON users (name, id);
CREATE INDEX users__email_id ON users (lower(email), id);
CREATE INDEX oauth_apps__created_at ON oauth_apps (created_at, id);
CREATE INDEX oauth_apps__name ON oauth_apps (name, id);
CREATE INDEX oauth_apps__enabled ON oauth_apps (enabled, created_at, id);
CREATE INDEX oauth_apps__type ON oauth_apps (type, created_at, id);
CREATE INDEX oauth_clients__enabled ON oauth_clients (enabled, created_at, id);
CREATE INDEX oauth_clients__created_at ON oauth_clients (created_at, id);
CREATE INDEX oauth_clients__name ON oauth_clients (name, id);
CREATE INDEX oauth_clients__never_used ON oauth_clients (created_at, id) WHERE last_used_hour IS NULL;
CREATE INDEX oauth_clients__last_used_hour ON oauth_clients (last_used_hour) WHERE last_used_hour IS NOT NULL;
CREATE INDEX providers__created_at ON providers (created_at, id);
CREATE INDEX providers__name ON providers (name, id);
CREATE INDEX resource_servers__created_at ON resource_servers (created_at, id);
CREATE INDEX resource_servers__name ON resource_servers (name, id);
CREATE INDEX grants__created_at ON grants (created_at, id);
CREATE INDEX grants__team_id_created_at ON grants (team_id, created_at, id);
CREATE INDEX grants__never_used ON grants (created_at, id) WHERE last_used_hour IS NULL;
CREATE INDEX grants__last_used_hour ON grants (last_used_hour) WHERE last_used_hour IS NOT NULL;
CREATE INDEX audit_events__team_id ON audit_events (team_id, occurred_at, id);
CREATE INDEX audit_events__action ON audit_events (action, occurred_at, id);
DROP INDEX audit_events__target;
CREATE INDEX audit_events__target ON audit_events (target_id, occurred_at, id);
DROP INDEX audit_events__actor;
CREATE INDEX audit_events__actor ON audit_events (actor_id, occurred_at, id);
CREATE INDEX audit_events__actor_kind ON audit_events (actor_kind, occurred_at, id);
CREATE INDEX audit_events__target_kind ON audit_events (target_kind, occurred_at, id);
CREATE INDEX audit_events__outcome ON audit_events (outcome, occurred_at, id);
`,
};
