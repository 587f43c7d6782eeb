/**
 * A server as it looks after a month: people, teams, credentials in every state, consents, and what they were used for. The
 * domain makes all of it; only time is set by hand, because nobody can wait a month.
 */
import { OPERATOR } from '../../src/domain/audit.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../src/domain/permissions.ts';
import { authorize, createPerson, redeemCode } from '../support/flows.ts';
import type { TestServer } from '../support/server.ts';

export type Sample = Awaited<ReturnType<typeof createSample>>;

const DAY = 24 * 3600 * 1_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY);
const CALLBACK = 'https://app.example.com/callback';

/** @param named what to call things instead of their plain names */
export async function createSample(server: TestServer, named: (plain: string) => string = (plain) => plain) {
  const { domain, db } = server;
  const { Admin, Operator, Viewer } = ROLE_IDS;

  const teams: Record<'payments' | 'data' | 'mobile', string> = { payments: '', data: '', mobile: '' };
  for (const [key, name] of Object.entries({ payments: 'Payments', data: 'Data platform', mobile: 'Mobile apps' })) {
    const description = named(`What ${name} builds and runs`);
    teams[key as keyof typeof teams] = (await domain.teams.create({ name: named(name), description }, OPERATOR)).id;
  }

  const admin = await createPerson(server, { teamId: ROOT_TEAM_ID });
  const ada = await createPerson(server, { teamId: teams.payments });
  await domain.users.update(admin.userId, { name: named('Grace Hopper'), timeZone: 'Europe/Berlin' }, {}, OPERATOR);
  await domain.users.update(ada.userId, { name: named('Ada Lovelace'), displayName: named('Ada') }, {}, OPERATOR);
  await domain.memberships.setRoles({ ...ada, teamId: teams.data, roles: [Operator] }, OPERATOR);
  await domain.memberships.setRoles({ ...admin, teamId: teams.payments, roles: [Admin] }, OPERATOR);
  const others = [];
  for (const [index, name] of ['Alan Turing', 'Barbara Liskov', 'Edsger Dijkstra', 'Frances Allen'].entries()) {
    const teamId = Object.values(teams)[index % 3]!;
    const email = `${name.toLowerCase().replace(' ', '.')}@example.com`;
    const teamRoles = [{ teamId, roles: [index % 2 === 0 ? Viewer : Operator] }];
    others.push(await domain.users.create({ email, name: named(name), teamRoles }, OPERATOR));
  }
  await domain.users.setEnabled(others[3]!.id, false, OPERATOR);

  const personal = async (name: string, more: object = {}) => {
    const { userId } = admin;
    return (await domain.apiKeys.createPersonal({ userId, teamId: ROOT_TEAM_ID, name: named(name), ...more }, OPERATOR))
      .key.id;
  };
  const team = async (name: string, expiresAt?: Date, teamId = teams.payments) =>
    (await domain.apiKeys.createTeam({ teamId, name: named(name), ...(expiresAt && { expiresAt }) }, OPERATOR)).key.id;
  const keys = {
    personal: await personal('Laptop', { expiresAt: inDays(90) }),
    narrow: await personal('Report script', { scopes: ['providers:read'], expiresAt: inDays(5) }),
    revoked: await personal('Old notebook'),
    team: await team('Build pipeline', inDays(30)),
    expired: await team('Last year'),
    rotated: await team('Nightly import', inDays(300)),
    unused: await team('Never used', undefined, teams.data),
  };
  await domain.apiKeys.revoke(keys.revoked, {}, OPERATOR);
  await domain.apiKeys.rotate(keys.rotated, { overlapSeconds: 24 * 3600 }, {}, OPERATOR);
  for (let count = 1; count <= 30; count += 1) await team(`Worker ${count}`, inDays(count * 10), teams.mobile);
  // What stops with a person who leaves.
  const leaving = await domain.apiKeys.createPersonal({ ...ada, name: named('Month end report') }, OPERATOR);

  const app = (name: string, more: object = {}) =>
    domain.oauthApps.create(
      {
        name: named(name),
        baseUrl: 'https://app.example.com',
        redirectUris: [CALLBACK],
        tokenEndpointAuthMethod: 'client_secret_post',
        ...more,
      } as Parameters<typeof domain.oauthApps.create>[0],
      OPERATOR,
    );
  const reports = await app('Report Viewer', {
    allowedScopes: ['openid', 'profile', 'email', 'offline_access', 'providers:read'],
    postLogoutRedirectUris: ['https://app.example.com/bye'],
  });
  const phone = await app('Phone app', {
    type: 'public',
    tokenEndpointAuthMethod: 'none',
    redirectUris: ['com.example.phone:/callback', CALLBACK],
  });
  const closed = await app('Retired dashboard');
  await domain.oauthApps.disable(closed.app.id, OPERATOR);

  const client = (name: string, teamId: string, allowedScopes = ['providers:read', 'providers:write']) =>
    domain.oauthClients.create(
      { name: named(name), description: named(`${name} of the night`), teamId, allowedScopes },
      OPERATOR,
    );
  const exporter = await client('Nightly export', teams.payments);
  const { secret } = await domain.clientSecrets.add(
    { kind: 'client', id: exporter.client.id },
    { expiresAt: inDays(60) },
    OPERATOR,
  );
  const paused = await client('Paused sync', teams.data);
  await domain.oauthClients.disable(paused.client.id, {}, OPERATOR);
  const rootClient = await client('Gateway', ROOT_TEAM_ID, ['credentials:introspect']);

  const resourceServer = await domain.resourceServers.create(
    {
      identifier: 'https://reports.example.com',
      name: named('Reports'),
      scopes: [
        { name: 'reports:read', description: named('Read reports') },
        { name: 'reports:write', description: 'Write reports' },
      ],
      clientIds: [rootClient.client.clientId],
    },
    OPERATOR,
  );
  await domain.providers.createCustom({ name: named('Payroll'), teamId: teams.payments }, OPERATOR);
  const retirement = await domain.retirements.create(
    { keyId: keys.team, retiresAt: inDays(20), replacementUrl: 'https://docs.example.com/move' },
    {},
    OPERATOR,
  );

  for (const person of [admin, ada]) {
    const { code, pkce } = await authorize(server, { ...person, clientId: reports.app.clientId });
    const credentials = { clientId: reports.app.clientId, clientSecret: reports.secret! };
    const { status } = await redeemCode(server, credentials, code, pkce);
    if (status !== 200) throw new Error(`the app got no token: ${status}`);
  }

  await domain.audit.flush();
  await db.query(
    `UPDATE api_keys SET expires_at = now() - interval '3 days', created_at = now() - interval '1 year' WHERE id = $1`,
    [keys.expired],
  );
  // Never used is what was not touched since it was made.
  await db.query(
    `UPDATE api_keys SET created_at = now() - interval '200 days',
       last_access_at = CASE WHEN id = ANY ($2) THEN now() - interval '200 days' ELSE last_access_at END WHERE id = ANY ($1)`,
    [Object.values(keys), [keys.unused, keys.narrow]],
  );
  await db.query(
    `INSERT INTO credential_uses (team_id, credential, day, kind, requests)
     SELECT k.team_id, k.id::text, d::date, k.kind || '_key', 20 + (abs(hashtext(k.id::text || d)) % 400)
       FROM api_keys k, generate_series(current_date - 29, current_date, interval '1 day') d WHERE k.id = ANY ($1)
     UNION ALL
     SELECT $2, c, d::date, k, 50 + (abs(hashtext(c || d)) % 900)
       FROM (VALUES ($3, 'oauth2_app'), ($4, 'oauth2_client')) v (c, k), generate_series(current_date - 29, current_date, interval '1 day') d`,
    [[keys.personal, keys.team, keys.rotated], teams.payments, reports.app.clientId, exporter.client.clientId],
  );
  await db.query(
    `INSERT INTO credential_use_totals (team_id, day, kind, requests)
     SELECT team_id, day, kind, sum(requests) FROM credential_uses GROUP BY 1, 2, 3 ON CONFLICT DO NOTHING`,
  );
  await db.query(
    `INSERT INTO credential_use_days (day, kind, requests)
     SELECT day, kind, sum(requests) FROM credential_uses GROUP BY 1, 2 ON CONFLICT DO NOTHING`,
  );
  // Events of a month; the newest stay as they are.
  await db.query(`UPDATE audit_events SET occurred_at = now() - (id % 30) * interval '1 day' WHERE id % 3 <> 0`);

  const [reportsSecret] = await domain.clientSecrets.list({ kind: 'app', id: reports.app.id });
  const [session] = await domain.sessions.list({ userId: admin.userId }, { limit: 1 });
  const [event] = await domain.auditEvents.list({}, { limit: 1 });
  const [signingKey] = await domain.signingKeys.list();

  return {
    server,
    teams,
    admin,
    ada,
    others,
    keys: { ...keys, ofAda: leaving.key.id },
    retirementId: retirement.id,
    apps: { reports: reports.app, phone: phone.app },
    clients: { exporter: exporter.client, gateway: rootClient.client },
    secretIds: { exporter: secret.id, reports: reportsSecret!.id },
    sessionId: session!.id,
    eventId: event!.id,
    signingKeyId: signingKey!.kid,
    resourceServer,
  };
}
