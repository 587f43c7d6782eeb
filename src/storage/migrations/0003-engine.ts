/** What the protocol engine keeps between requests, and the keys it signs with. Nothing in it is usable by who only has the table. */
export default {
  name: '0003-engine',
  sql: `
-- One table for all of the engine's models. id and uid are SHA-256 digests (the id of a code or session is the
-- credential itself); payload is sealed under the instance secret, because the engine repeats such ids inside it.
CREATE TABLE oidc_payloads (
  model text NOT NULL,
  id bytea NOT NULL,
  uid bytea,
  grant_id uuid REFERENCES grants ON DELETE CASCADE,
  user_id uuid REFERENCES users ON DELETE CASCADE,
  payload bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  consumed_at timestamptz,
  PRIMARY KEY (model, id)
);
CREATE INDEX oidc_payloads__uid ON oidc_payloads (uid) WHERE uid IS NOT NULL;
CREATE INDEX oidc_payloads__grant_id ON oidc_payloads (grant_id) WHERE grant_id IS NOT NULL;
CREATE INDEX oidc_payloads__user_id ON oidc_payloads (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX oidc_payloads__expires_at ON oidc_payloads (expires_at);

CREATE TABLE signing_keys (
  kid text PRIMARY KEY,
  alg text NOT NULL,
  public_jwk jsonb NOT NULL,
  private_jwk bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  signs_from timestamptz NOT NULL,
  expires_at timestamptz
);

-- JWT access tokens ended before their time: one by its jti, all of a consent by 'grant:' and its id. Each is kept until
-- what it ends would have expired anyway.
CREATE TABLE revoked_tokens (
  jti text PRIMARY KEY,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX revoked_tokens__expires_at ON revoked_tokens (expires_at);

-- A consent ends in many ways (disconnect, reuse, app or user deleted, membership ended); each of them deletes its row.
CREATE FUNCTION latchkey_end_tokens_of_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- No access token lives longer than a day (ACCESS_TOKEN_TTL).
  INSERT INTO revoked_tokens (jti, expires_at) VALUES ('grant:' || OLD.id, now() + interval '1 day') ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER end_tokens AFTER DELETE ON grants FOR EACH ROW WHEN (OLD.expires_at > now())
  EXECUTE FUNCTION latchkey_end_tokens_of_grant();
`,
};
