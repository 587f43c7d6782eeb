/** What can act: API keys, OAuth2 Apps and Clients with their secrets, and the consents (grants) users gave to apps. */
export default {
  name: '0002-credentials',
  sql: `
CREATE TABLE api_keys (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  kind text NOT NULL CHECK (kind IN ('personal', 'team')),
  digest bytea NOT NULL CONSTRAINT api_keys__digest UNIQUE,
  prefix text NOT NULL,
  last_four text NOT NULL,
  name text NOT NULL,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  user_id uuid REFERENCES users ON DELETE CASCADE,
  scopes text[],
  status smallint NOT NULL DEFAULT 1 CHECK (status IN (1, 2)),
  created_by uuid REFERENCES users ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  last_access_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  -- A personal key lives exactly as long as its owner's membership of that team.
  FOREIGN KEY (user_id, team_id) REFERENCES memberships ON DELETE CASCADE,
  CHECK ((kind = 'personal') = (user_id IS NOT NULL))
);
CREATE INDEX api_keys__team_id ON api_keys (team_id, created_at, id);
CREATE INDEX api_keys__user_id ON api_keys (user_id, created_at, id);

CREATE TABLE oauth_apps (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id text NOT NULL CONSTRAINT oauth_apps__client_id UNIQUE,
  name text NOT NULL,
  base_url text NOT NULL,
  redirect_uris text[] NOT NULL,
  post_logout_redirect_uris text[] NOT NULL DEFAULT '{}',
  allowed_scopes text[] NOT NULL,
  type text NOT NULL CHECK (type IN ('confidential', 'public')),
  token_endpoint_auth_method text NOT NULL,
  jwks jsonb,
  id_token_signed_response_alg text NOT NULL DEFAULT 'RS256',
  enabled boolean NOT NULL DEFAULT true,
  created_by uuid REFERENCES users ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz
);

CREATE TABLE oauth_clients (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  client_id text NOT NULL CONSTRAINT oauth_clients__client_id UNIQUE,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  allowed_scopes text[] NOT NULL,
  token_endpoint_auth_method text NOT NULL,
  jwks jsonb,
  enabled boolean NOT NULL DEFAULT true,
  created_by uuid REFERENCES users ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz
);
CREATE INDEX oauth_clients__team_id ON oauth_clients (team_id, created_at, id);

CREATE TABLE client_secrets (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  oauth_app_id uuid REFERENCES oauth_apps ON DELETE CASCADE,
  oauth_client_id uuid REFERENCES oauth_clients ON DELETE CASCADE,
  digest bytea NOT NULL CONSTRAINT client_secrets__digest UNIQUE,
  prefix text NOT NULL,
  last_four text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  CHECK (num_nonnulls(oauth_app_id, oauth_client_id) = 1)
);
CREATE INDEX client_secrets__oauth_app_id ON client_secrets (oauth_app_id);
CREATE INDEX client_secrets__oauth_client_id ON client_secrets (oauth_client_id);

-- A consent: this user lets this app act in this team. The engine's Grant; everything issued under it hangs on it.
CREATE TABLE grants (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  team_id uuid NOT NULL,
  client_id text NOT NULL REFERENCES oauth_apps (client_id) ON DELETE CASCADE,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  FOREIGN KEY (user_id, team_id) REFERENCES memberships ON DELETE CASCADE
);
CREATE INDEX grants__user_id ON grants (user_id, client_id);
CREATE INDEX grants__team_id ON grants (team_id);
CREATE INDEX grants__client_id ON grants (client_id);
CREATE INDEX grants__expires_at ON grants (expires_at);
`,
};
