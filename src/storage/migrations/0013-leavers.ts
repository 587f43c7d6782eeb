/** Whose keys were used last; and who made what, so that it can be found when that user leaves, and the end of a user need not look through whole tables. */
export default {
  name: '0013-leavers',
  sql: `
CREATE INDEX api_keys__user_id_last_used_hour ON api_keys (user_id, coalesce(last_used_hour, '-infinity'), created_at, id)
  WHERE kind = 'personal';
CREATE INDEX api_keys__created_by ON api_keys (created_by, kind, created_at, id);
CREATE INDEX oauth_clients__created_by ON oauth_clients (created_by, created_at, id);
CREATE INDEX oauth_apps__created_by ON oauth_apps (created_by, created_at, id);
`,
};
