/** Who was allowed a scope by name is found without reading every key: before a scope ends, and when it does. */
export default {
  name: '0014-scope-holders',
  sql: `
-- Scopes change seldom: without a list of what is still to be sorted in, looking is quick at once.
CREATE INDEX api_keys__scopes ON api_keys USING gin (scopes) WITH (fastupdate = off) WHERE scopes IS NOT NULL;
CREATE INDEX oauth_clients__allowed_scopes ON oauth_clients USING gin (allowed_scopes) WITH (fastupdate = off);
`,
};
