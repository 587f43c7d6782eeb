/**
 * What ended before its time, in one table: every change that takes a right away writes it here in its own transaction,
 * whoever made the change (server, command line, psql, a cascade). It replaces the list of revoked tokens.
 */
export default {
  name: '0008-revocations',
  sql: `
-- Tokens whose claim of that kind is that id are dead: those issued until revoked_before, or, narrowed, say more than
-- is theirs since then. Each row is kept until the last token it can concern has expired.
CREATE TABLE revocations (
  kind text NOT NULL CHECK (kind IN ('token', 'grant', 'user', 'member', 'client', 'team', 'key', 'aud', 'aud_keys')),
  id text NOT NULL,
  -- Whose single token it is: key:<id> or client:<client_id>. There is room for so many of each.
  owner text,
  narrowed boolean NOT NULL DEFAULT false,
  revoked_before timestamptz NOT NULL DEFAULT 'infinity',
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (kind, id, narrowed)
);
CREATE INDEX revocations__expires_at ON revocations (expires_at);
CREATE INDEX revocations__owner ON revocations (owner, expires_at) WHERE owner IS NOT NULL;

-- Until when tokens live that were issued with a lifetime no resource server has any more.
CREATE TABLE former_lifetimes (expires_at timestamptz PRIMARY KEY);

INSERT INTO revocations (kind, id, expires_at)
  SELECT CASE WHEN jti LIKE 'grant:%' THEN 'grant' ELSE 'token' END, regexp_replace(jti, '^grant:', ''), expires_at
  FROM revoked_tokens WHERE expires_at > now() ON CONFLICT DO NOTHING;
DROP TRIGGER end_tokens ON grants;
DROP FUNCTION latchkey_end_tokens_of_grant();
DROP TABLE revoked_tokens;

-- Sixty seconds of clock tolerance at the resource server, and as much for clocks that differ.
CREATE FUNCTION latchkey_tokens_until() RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT greatest(
    -- Without the row of the server's own API: a day, the most it can be configured to.
    now() + interval '1 second' * CASE WHEN bool_or(is_built_in) THEN max(access_token_ttl_seconds) ELSE 86400 END,
    (SELECT max(expires_at) FROM former_lifetimes)) + interval '2 minutes'
  FROM resource_servers
$$;

CREATE FUNCTION latchkey_keep_former_lifetime() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR NEW.access_token_ttl_seconds < OLD.access_token_ttl_seconds THEN
    -- The own API's is a setting of each instance: those from before it changed may go on for a while.
    INSERT INTO former_lifetimes VALUES (clock_timestamp() + OLD.access_token_ttl_seconds * interval '1 second'
        + CASE WHEN OLD.is_built_in THEN interval '1 day' ELSE interval '0' END)
      ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER keep_former_lifetime AFTER UPDATE OF access_token_ttl_seconds OR DELETE ON resource_servers
  FOR EACH ROW EXECUTE FUNCTION latchkey_keep_former_lifetime();

-- Every instance hears of the row itself, so that ten thousand of them cost no query.
CREATE FUNCTION latchkey_notify_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('latchkey', 'revocations:' || jsonb_build_array(NEW.kind, NEW.id, NEW.narrowed,
    CASE WHEN isfinite(NEW.revoked_before) THEN floor(extract(epoch FROM NEW.revoked_before)) END,
    ceil(extract(epoch FROM NEW.expires_at)))::text);
  RETURN NULL;
END $$;
CREATE TRIGGER notify AFTER INSERT OR UPDATE ON revocations FOR EACH ROW EXECUTE FUNCTION latchkey_notify_revocation();

-- It has ended ('infinity'), or is back, but not what was issued before.
CREATE FUNCTION latchkey_revoke(the_kind text, the_id text, before timestamptz, until timestamptz)
  RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO revocations AS known (kind, id, revoked_before, expires_at) VALUES (the_kind, the_id, before, until)
  ON CONFLICT (kind, id, narrowed) DO UPDATE
    SET revoked_before = EXCLUDED.revoked_before, expires_at = greatest(known.expires_at, EXCLUDED.expires_at);
END $$;

-- It goes on with less. Called at the end of the transaction: until then, and until every instance has heard of it,
-- one may still issue what is taken away here. A second is for that, and before it counts to the end of its second.
CREATE FUNCTION latchkey_narrow(the_kind text, the_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO revocations AS known (kind, id, narrowed, revoked_before, expires_at)
    VALUES (the_kind, the_id, true, clock_timestamp() + interval '1 second', latchkey_tokens_until())
  ON CONFLICT (kind, id, narrowed) DO UPDATE
    SET revoked_before = greatest(known.revoked_before, EXCLUDED.revoked_before),
      expires_at = greatest(known.expires_at, EXCLUDED.expires_at);
END $$;

-- A consent ends in many ways (disconnect, reuse, membership ended); each of them deletes its row. For all that end
-- with their user, team or app, or when it is switched off, its one row is enough: which is known at the end.
-- One that has expired may have left tokens behind, of which none lives longer than a day.
CREATE FUNCTION latchkey_revoke_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM oauth_apps AS app WHERE app.client_id = OLD.client_id AND app.enabled)
    AND EXISTS (SELECT FROM users AS one WHERE one.id = OLD.user_id AND one.enabled
      AND (one.expires_at IS NULL OR one.expires_at > now()))
    AND EXISTS (SELECT FROM teams WHERE teams.id = OLD.team_id) THEN
    PERFORM latchkey_revoke('grant', OLD.id::text, 'infinity', latchkey_tokens_until());
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER revoke AFTER DELETE ON grants DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.expires_at > now() - interval '1 day 2 minutes') EXECUTE FUNCTION latchkey_revoke_grant();

-- While somebody is switched off, no token of theirs is good; once back, those from before stay dead.
CREATE FUNCTION latchkey_revoke_user() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  was boolean := OLD.enabled AND (OLD.expires_at IS NULL OR OLD.expires_at > now());
  is_now boolean := TG_OP = 'UPDATE' AND NEW.enabled AND (NEW.expires_at IS NULL OR NEW.expires_at > now());
BEGIN
  IF was <> is_now THEN
    PERFORM latchkey_revoke('user', OLD.id::text, CASE WHEN was THEN 'infinity' ELSE clock_timestamp() END,
      latchkey_tokens_until());
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER revoke AFTER UPDATE OF enabled, expires_at OR DELETE ON users
  FOR EACH ROW EXECUTE FUNCTION latchkey_revoke_user();

-- No token outlives its user's date: those issued before the date was brought forward may.
CREATE FUNCTION latchkey_narrow_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.expires_at < latchkey_tokens_until() THEN PERFORM latchkey_narrow('user', OLD.id::text); END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER narrow AFTER UPDATE OF expires_at ON users DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.expires_at < coalesce(OLD.expires_at, 'infinity')) EXECUTE FUNCTION latchkey_narrow_user();

CREATE FUNCTION latchkey_revoke_client() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  is_now boolean := TG_OP = 'UPDATE' AND NEW.enabled;
BEGIN
  IF OLD.enabled <> is_now THEN
    PERFORM latchkey_revoke('client', OLD.client_id, CASE WHEN is_now THEN clock_timestamp() ELSE 'infinity' END,
      latchkey_tokens_until());
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER revoke AFTER UPDATE OF enabled OR DELETE ON oauth_apps
  FOR EACH ROW EXECUTE FUNCTION latchkey_revoke_client();
CREATE TRIGGER revoke AFTER UPDATE OF enabled OR DELETE ON oauth_clients
  FOR EACH ROW EXECUTE FUNCTION latchkey_revoke_client();

CREATE FUNCTION latchkey_narrow_client() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM latchkey_narrow('client', OLD.client_id);
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER narrow AFTER UPDATE OF allowed_scopes ON oauth_apps DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NOT NEW.allowed_scopes @> OLD.allowed_scopes) EXECUTE FUNCTION latchkey_narrow_client();
CREATE CONSTRAINT TRIGGER narrow AFTER UPDATE OF allowed_scopes ON oauth_clients DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NOT NEW.allowed_scopes @> OLD.allowed_scopes) EXECUTE FUNCTION latchkey_narrow_client();

CREATE FUNCTION latchkey_revoke_team() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM latchkey_revoke('team', OLD.id::text, 'infinity', latchkey_tokens_until());
  RETURN NULL;
END $$;
CREATE TRIGGER revoke AFTER DELETE ON teams FOR EACH ROW EXECUTE FUNCTION latchkey_revoke_team();

-- A role taken away, if no other role there permits as much. Roles of the root team reach every team. Who is gone, or
-- left the team, lost more than roles: that is written above.
CREATE FUNCTION latchkey_narrow_member() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  is_root boolean := (SELECT teams.is_root FROM teams WHERE teams.id = OLD.team_id);
BEGIN
  IF (SELECT roles.permissions FROM roles WHERE roles.id = OLD.role_id) <@ ARRAY(
    SELECT unnest(roles.permissions) FROM membership_roles JOIN roles ON roles.id = membership_roles.role_id
    WHERE membership_roles.user_id = OLD.user_id AND membership_roles.team_id = OLD.team_id) THEN NULL;
  ELSIF is_root AND EXISTS (SELECT FROM users WHERE users.id = OLD.user_id) THEN
    PERFORM latchkey_narrow('user', OLD.user_id::text);
  ELSIF EXISTS (SELECT FROM memberships AS one WHERE one.user_id = OLD.user_id AND one.team_id = OLD.team_id) THEN
    PERFORM latchkey_narrow('member', OLD.user_id || ':' || OLD.team_id);
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER narrow AFTER DELETE ON membership_roles DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION latchkey_narrow_member();

CREATE FUNCTION latchkey_narrow_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM latchkey_narrow(CASE WHEN teams.is_root THEN 'user' ELSE 'member' END,
      CASE WHEN teams.is_root THEN holder.user_id::text ELSE holder.user_id || ':' || holder.team_id END)
    FROM membership_roles AS holder JOIN teams ON teams.id = holder.team_id WHERE holder.role_id = OLD.id
    ORDER BY holder.user_id, holder.team_id;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER narrow AFTER UPDATE OF permissions ON roles DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NOT NEW.permissions @> OLD.permissions) EXECUTE FUNCTION latchkey_narrow_role();

-- Until when a token lives that was issued for this key; null when none was.
ALTER TABLE api_keys ADD COLUMN tokens_until timestamptz;
-- Whether the feed may still speak of them: two minutes for clocks, and then as long as it takes to leave it.
CREATE FUNCTION latchkey_may_have_tokens(until timestamptz) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT until > now() - interval '5 minutes'
$$;
CREATE FUNCTION latchkey_revoke_key() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- Rotated with time to spare: what the former text was exchanged for ends before it does.
  is_same boolean := OLD.status = 1 AND (NEW.expires_at IS NULL OR NEW.expires_at >= OLD.tokens_until)
    AND (NEW.digest IS NOT DISTINCT FROM OLD.digest AND NEW.previous_digest IS NOT DISTINCT FROM OLD.previous_digest
        AND NEW.previous_expires_at IS NOT DISTINCT FROM OLD.previous_expires_at
      OR NEW.previous_digest IS NOT DISTINCT FROM OLD.digest AND NEW.previous_expires_at >= OLD.tokens_until
        AND (OLD.previous_expires_at IS NULL OR OLD.previous_expires_at <= now()));
BEGIN
  IF NEW.status <> 1 THEN
    PERFORM latchkey_revoke('key', OLD.id::text, 'infinity', OLD.tokens_until + interval '2 minutes');
  ELSIF is_same IS NOT TRUE THEN
    -- Whoever has the text now can have new tokens.
    PERFORM latchkey_revoke('key', OLD.id::text, clock_timestamp(), OLD.tokens_until + interval '2 minutes');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER revoke AFTER UPDATE OF status, digest, previous_digest, previous_expires_at, expires_at ON api_keys
  FOR EACH ROW WHEN (latchkey_may_have_tokens(OLD.tokens_until)) EXECUTE FUNCTION latchkey_revoke_key();

CREATE FUNCTION latchkey_revoke_ended_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO revocations AS known (kind, id, expires_at)
    SELECT 'key', ended.id, ended.tokens_until + interval '2 minutes' FROM ended
    WHERE latchkey_may_have_tokens(ended.tokens_until) AND EXISTS (SELECT FROM teams WHERE teams.id = ended.team_id)
      AND (ended.user_id IS NULL OR EXISTS (SELECT FROM users WHERE users.id = ended.user_id))
    ORDER BY ended.id
  ON CONFLICT (kind, id, narrowed) DO UPDATE
    SET revoked_before = 'infinity', expires_at = greatest(known.expires_at, EXCLUDED.expires_at);
  RETURN NULL;
END $$;
CREATE TRIGGER revoke_ended AFTER DELETE ON api_keys REFERENCING OLD TABLE AS ended
  FOR EACH STATEMENT EXECUTE FUNCTION latchkey_revoke_ended_keys();
`,
};
