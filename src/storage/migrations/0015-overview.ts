/** What the overview of everything needs: uses of all teams together, and what was refused in a team. */
export default {
  name: '0015-overview',
  sql: `
-- Requests of all teams by day and kind, added up when they are written: of a thousand teams it would take too long to do
-- that whenever somebody looks. What was counted for a team stays when the team ends.
CREATE TABLE credential_use_days (
  day date NOT NULL,
  kind text NOT NULL,
  requests bigint NOT NULL,
  PRIMARY KEY (day, kind)
) WITH (fillfactor = 50);
INSERT INTO credential_use_days (day, kind, requests)
  SELECT day, kind, least(sum(requests), 9007199254740991) FROM credential_use_totals GROUP BY day, kind;

CREATE INDEX audit_events__refused ON audit_events (team_id, occurred_at, id) WHERE outcome = 'refused';
`,
};
