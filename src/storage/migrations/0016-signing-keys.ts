/** A signing key that is taken away at once, because somebody else has it. */
export default {
  name: '0016-signing-keys',
  sql: `
ALTER TABLE revocations DROP CONSTRAINT revocations_kind_check, ADD CONSTRAINT revocations_kind_check
  CHECK (kind IN ('token', 'grant', 'user', 'member', 'client', 'team', 'key', 'aud', 'aud_keys', 'kid'));

-- Whoever has it signs what they like, with any claims: those who keep the key set are told by the name of the key.
CREATE FUNCTION latchkey_revoke_signing_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM latchkey_revoke('kid', OLD.kid, 'infinity', latchkey_tokens_until());
  RETURN NULL;
END $$;
CREATE TRIGGER revoke AFTER DELETE ON signing_keys FOR EACH ROW WHEN (OLD.expires_at IS NULL OR OLD.expires_at > now())
  EXECUTE FUNCTION latchkey_revoke_signing_key();
`,
};
