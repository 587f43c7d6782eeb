/** The list of migrations, in order. Append only: a committed one is never edited, because databases out there have run it. */
import people from './0001-people.ts';
import credentials from './0002-credentials.ts';
import engine from './0003-engine.ts';
import operations from './0004-operations.ts';
import notifications from './0005-notifications.ts';
import management from './0006-management.ts';
import importedKeys from './0007-imported-keys.ts';
import revocations from './0008-revocations.ts';
import retirements from './0009-retirements.ts';
import resourceServers from './0010-resource-servers.ts';
import sessions from './0011-sessions.ts';
import search from './0012-search.ts';
import leavers from './0013-leavers.ts';
import scopeHolders from './0014-scope-holders.ts';
import overview from './0015-overview.ts';
import signingKeys from './0016-signing-keys.ts';
import orders from './0017-orders.ts';

export interface Migration {
  number: number;
  name: string;
  sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
  people,
  credentials,
  engine,
  operations,
  notifications,
  management,
  importedKeys,
  revocations,
  retirements,
  resourceServers,
  sessions,
  search,
  leavers,
  scopeHolders,
  overview,
  signingKeys,
  orders,
].map((sql, index) => ({
  number: index + 1,
  ...sql,
}));
