/**
 * Yardstick "naive": oidc-provider with the adapter its documentation suggests, one table of payloads on PostgreSQL and
 * a statement per question. Its single use of codes does not hold under parallel redemption; it is here for its speed.
 */

import type { Adapter, AdapterPayload } from 'oidc-provider';
import pg from 'pg';
import { FLOW_APP, readClients, readSettings, serve, serviceClient } from './provider.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS naive_payloads (
  model text NOT NULL, id text NOT NULL, payload jsonb NOT NULL, grant_id text, user_code text, uid text,
  expires_at timestamptz, consumed_at timestamptz, PRIMARY KEY (model, id)
);
CREATE INDEX IF NOT EXISTS naive_payloads__grant_id ON naive_payloads (grant_id);
CREATE INDEX IF NOT EXISTS naive_payloads__uid ON naive_payloads (model, uid);
CREATE INDEX IF NOT EXISTS naive_payloads__user_code ON naive_payloads (model, user_code);`;

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

class NaiveAdapter implements Adapter {
  readonly #model: string;

  constructor(model: string) {
    this.#model = model;
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const expiresAt = expiresIn ? new Date(Date.now() + expiresIn * 1000) : null;
    await pool.query(
      `INSERT INTO naive_payloads (model, id, payload, grant_id, user_code, uid, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (model, id) DO UPDATE SET payload = $3, grant_id = $4, user_code = $5, uid = $6, expires_at = $7`,
      [this.#model, id, payload, payload.grantId ?? null, payload.userCode ?? null, payload.uid ?? null, expiresAt],
    );
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return this.#findBy('id', id);
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#findBy('uid', uid);
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#findBy('user_code', userCode);
  }

  async consume(id: string): Promise<void> {
    await pool.query('UPDATE naive_payloads SET consumed_at = now() WHERE model = $1 AND id = $2', [this.#model, id]);
  }

  async destroy(id: string): Promise<void> {
    await pool.query('DELETE FROM naive_payloads WHERE model = $1 AND id = $2', [this.#model, id]);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    await pool.query('DELETE FROM naive_payloads WHERE grant_id = $1', [grantId]);
  }

  async #findBy(column: 'id' | 'uid' | 'user_code', value: string): Promise<AdapterPayload | undefined> {
    const { rows } = await pool.query<{ payload: AdapterPayload; consumed_at: Date | null }>(
      `SELECT payload, consumed_at FROM naive_payloads
       WHERE model = $1 AND ${column} = $2 AND (expires_at IS NULL OR expires_at > now())`,
      [this.#model, value],
    );
    const [row] = rows;
    return row && { ...row.payload, ...(row.consumed_at && { consumed: true }) };
  }
}

const settings = readSettings();
await pool.query(SCHEMA);
const clients = [...readClients(settings.clientsFile).map(serviceClient), FLOW_APP];
await pool.query(
  `INSERT INTO naive_payloads (model, id, payload) SELECT 'Client', one->>'client_id', one FROM jsonb_array_elements($1) AS one
   ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload`,
  [JSON.stringify(clients)],
);
serve(settings, { adapter: NaiveAdapter });
