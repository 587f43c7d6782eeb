/** A database with nothing in it, not even our tables: what a first start finds. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { TestDatabase } from './postgres.ts';

export async function createEmptyDatabase(): Promise<TestDatabase> {
  const name = `empty_${randomBytes(6).toString('hex')}`;
  await asAdmin(`CREATE DATABASE ${name} STRATEGY FILE_COPY`);
  return {
    connectionString: urlOf(name),
    drop: () => asAdmin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function asAdmin(statement: string): Promise<void> {
  const admin = new pg.Client({ connectionString: urlOf('postgres') });
  await admin.connect();
  await admin.query(statement).finally(() => admin.end());
}

function urlOf(database: string): string {
  const url = new URL(process.env.LATCHKEY_TEST_DATABASE ?? '');
  url.pathname = `/${database}`;
  return url.href;
}
