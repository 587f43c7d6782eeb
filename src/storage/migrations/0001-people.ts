/** Users, teams, roles, memberships. The ids of the built-in roles and of the root team are fixed, so that code can name them. */
export default {
  name: '0001-people',
  sql: `
CREATE TABLE roles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL CONSTRAINT roles__name UNIQUE,
  description text NOT NULL DEFAULT '',
  permissions text[] NOT NULL,
  is_available_in_root_team boolean NOT NULL DEFAULT true,
  is_available_in_non_root_team boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE teams (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  policy_type smallint NOT NULL DEFAULT 1 CHECK (policy_type IN (1, 2)),
  sso_alias text NOT NULL DEFAULT '',
  is_root boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX teams__name ON teams (lower(name));
CREATE UNIQUE INDEX teams__is_root ON teams (is_root) WHERE is_root;

CREATE TABLE users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email text NOT NULL,
  name text NOT NULL DEFAULT '',
  display_name text NOT NULL DEFAULT '',
  given_name text NOT NULL DEFAULT '',
  family_name text NOT NULL DEFAULT '',
  password_hash text,
  enabled boolean NOT NULL DEFAULT true,
  last_login_at timestamptz,
  logins_lifetime bigint NOT NULL DEFAULT 0,
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users__email ON users (lower(email));

CREATE TABLE memberships (
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, team_id)
);
CREATE INDEX memberships__team_id ON memberships (team_id);

-- Apart from memberships, because keys and grants hang on the membership and must survive a change of roles.
CREATE TABLE membership_roles (
  user_id uuid NOT NULL,
  team_id uuid NOT NULL,
  role_id uuid NOT NULL REFERENCES roles ON DELETE RESTRICT,
  PRIMARY KEY (user_id, team_id, role_id),
  FOREIGN KEY (user_id, team_id) REFERENCES memberships ON DELETE CASCADE
);
CREATE INDEX membership_roles__role_id ON membership_roles (role_id);

INSERT INTO roles (id, name, description, permissions, is_available_in_root_team, is_available_in_non_root_team) VALUES
  ('00000000-0000-4000-8000-000000000001', 'Admin', 'Everything in the team; in the root team, everything everywhere',
   ARRAY['providers:read','providers:write','teams:read','teams:write','users:read','users:write','roles:read',
         'apikeys:read','apikeys:write','teamkeys:read','teamkeys:write','oauth2apps:read','oauth2apps:write',
         'oauth2clients:read','oauth2clients:write','settings:read','settings:write','audit:read',
         'credentials:read','credentials:introspect'], true, true),
  ('00000000-0000-4000-8000-000000000002', 'Operator', 'Runs the integrations of the team: providers, team keys, clients',
   ARRAY['providers:read','providers:write','teams:read','users:read','roles:read','apikeys:read','apikeys:write',
         'teamkeys:read','teamkeys:write','oauth2clients:read','oauth2clients:write','credentials:read',
         'credentials:introspect'], true, true),
  ('00000000-0000-4000-8000-000000000003', 'Viewer', 'Sees the team and its providers, changes nothing but own keys',
   ARRAY['providers:read','teams:read','users:read','roles:read','apikeys:read','apikeys:write','teamkeys:read'], true, true),
  ('00000000-0000-4000-8000-000000000004', 'oaa_push', 'The service account behind team keys: reads and writes custom providers',
   ARRAY['providers:read','providers:write'], false, true);

INSERT INTO teams (id, name, description, is_root) VALUES
  ('00000000-0000-4000-8000-000000000010', 'Root', 'The team whose roles reach every team', true);
`,
};
