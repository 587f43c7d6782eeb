/** Keys that have expired in the order they were made, and events of one action and outcome, without reading the others. */
export default {
  name: '0017-orders',
  sql: `
-- What is behind the id is compared in the index, so that keys that are passed over are not read. Either index may be
-- taken for a state, so both have it. A use of a key changes nothing in them.
DROP INDEX api_keys__kind_created_at, api_keys__kind_status;
CREATE INDEX api_keys__kind_created_at ON api_keys (kind, created_at, id, status, coalesce(expires_at, 'infinity'));
CREATE INDEX api_keys__kind_status ON api_keys (kind, status, created_at, id, coalesce(expires_at, 'infinity'));

-- Most actions have one outcome only: with two indexes to choose from, all events of the action, or of the outcome, would be
-- read to find that none has both. Together they are one word, whose frequency is known as well.
DROP INDEX audit_events__action;
CREATE INDEX audit_events__action ON audit_events ((outcome || ' ' || action), occurred_at, id);
`,
};
