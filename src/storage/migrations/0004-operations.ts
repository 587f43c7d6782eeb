/** Settings, the audit trail, and the small registry of providers that the management API serves. */
export default {
  name: '0004-operations',
  sql: `
CREATE TABLE settings (
  name text PRIMARY KEY,
  value jsonb NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- No foreign keys: the trail outlives what it speaks of.
CREATE TABLE audit_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  occurred_at timestamptz NOT NULL DEFAULT now(),
  action text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('success', 'refused')),
  actor_kind text NOT NULL,
  actor_id text NOT NULL DEFAULT '',
  team_id uuid,
  target_kind text NOT NULL DEFAULT '',
  target_id text NOT NULL DEFAULT '',
  request_id text NOT NULL DEFAULT '',
  ip text NOT NULL DEFAULT '',
  details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events__occurred_at ON audit_events (occurred_at, id);
CREATE INDEX audit_events__target ON audit_events (target_id, occurred_at);
CREATE INDEX audit_events__actor ON audit_events (actor_id, occurred_at);

CREATE TABLE providers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text NOT NULL,
  custom_template text NOT NULL DEFAULT '',
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX providers__team_id ON providers (team_id, created_at, id);

CREATE TABLE team_providers (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  provider_id uuid NOT NULL REFERENCES providers ON DELETE CASCADE,
  PRIMARY KEY (team_id, provider_id)
);
CREATE INDEX team_providers__provider_id ON team_providers (provider_id);
`,
};
