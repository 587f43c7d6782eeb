/** Keys that are to be given up: until when, by whom they are still used, and how requests are shared among kinds of credentials. */
export default {
  name: '0009-retirements',
  sql: `
-- One key, all keys of a team, all that begin so, or those of a team that begin so. For one key, team_id is its team.
CREATE TABLE retirements (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  key_id uuid REFERENCES api_keys ON DELETE CASCADE,
  team_id uuid REFERENCES teams ON DELETE CASCADE,
  prefix text,
  retires_at timestamptz NOT NULL,
  replacement_url text,
  -- The team it concerns cannot change it then.
  set_by_root boolean NOT NULL DEFAULT true,
  created_by uuid REFERENCES users ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (CASE WHEN key_id IS NULL THEN num_nonnulls(team_id, prefix) > 0 ELSE team_id IS NOT NULL AND prefix IS NULL END)
);
CREATE UNIQUE INDEX retirements__subject ON retirements
  (coalesce(key_id::text, ''), coalesce(team_id::text, ''), coalesce(prefix, ''));
CREATE INDEX retirements__key_id ON retirements (key_id);
CREATE INDEX retirements__created_at ON retirements (created_at, id);
CREATE INDEX retirements__retires_at ON retirements (retires_at, id);
CREATE INDEX retirements__prefix ON retirements (prefix, created_at, id);
CREATE INDEX retirements__team_id ON retirements (team_id, created_at, id);
CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON retirements FOR EACH ROW EXECUTE FUNCTION latchkey_notify('id');

-- Tokens that were issued for a key when it had longer to live: whoever has the key can have new ones, while it is good.
CREATE FUNCTION latchkey_revoke_retired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Less may be known of a key than the prefix says; one revocation too many costs a new token and no more.
  PERFORM latchkey_revoke('key', id::text, clock_timestamp(), tokens_until + interval '2 minutes')
    FROM api_keys
    WHERE tokens_until > greatest(NEW.retires_at, now()) AND (NEW.key_id IS NULL OR id = NEW.key_id)
      AND (NEW.team_id IS NULL OR team_id = NEW.team_id)
      -- While a rotated key overlaps, its former text opens it too, and may begin in any way.
      AND (NEW.prefix IS NULL OR starts_with(prefix, NEW.prefix) OR starts_with(NEW.prefix, prefix)
        OR previous_expires_at > now())
    ORDER BY id;
  RETURN NULL;
END $$;
CREATE TRIGGER revoke AFTER INSERT OR UPDATE OF retires_at ON retirements
  FOR EACH ROW EXECUTE FUNCTION latchkey_revoke_retired();

-- Requests of one credential on one day (UTC), as far as the server was told of them. They change all the time, so the
-- number is in no index.
CREATE TABLE credential_uses (
  -- No foreign key: there can be millions of rows, and the end of a team would wait for all of them. They are purged.
  team_id uuid NOT NULL,
  -- A key's id, a client_id, or for exchanged tokens key:<id>: whatever it is, it says the kind.
  credential text NOT NULL,
  day date NOT NULL,
  kind text NOT NULL CHECK (kind IN ('personal_key', 'team_key', 'oauth2_app', 'oauth2_client', 'exchanged_token')),
  requests bigint NOT NULL,
  PRIMARY KEY (team_id, credential, day)
) WITH (fillfactor = 80);
CREATE INDEX credential_uses__day ON credential_uses (day);
-- The same by kind, added up when it is written.
CREATE TABLE credential_use_totals (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  day date NOT NULL,
  kind text NOT NULL,
  requests bigint NOT NULL,
  PRIMARY KEY (team_id, day, kind)
) WITH (fillfactor = 50);
CREATE INDEX credential_use_totals__day ON credential_use_totals (day, (team_id::text || ' ' || kind));

UPDATE roles SET permissions = permissions || ARRAY['credentials:write'] WHERE id = '00000000-0000-4000-8000-000000000001';
`,
};
