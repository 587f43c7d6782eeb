/**
 * An API of somebody else's, protected by the published middleware: it takes access tokens (checked here, offline) and
 * API keys (checked by asking Latchkey, as a client that may introspect), and knows from one `principal` who calls.
 *
 *   ISSUER=http://localhost:3000 CLIENT_ID=svc_… CLIENT_SECRET=lks_… node examples/resource-server.ts
 */
import Router from '@koa/router';
import Koa from 'koa';
import { authenticate, type Principal, protectedResourceMetadata, requireScope } from 'latchkey/resource';

const { ISSUER = 'http://localhost:3000', CLIENT_ID = '', CLIENT_SECRET = '', PORT = '3001' } = process.env;

const options = {
  issuer: ISSUER,
  audience: `${ISSUER}/api`,
  resource: `http://localhost:${PORT}`,
  introspection: { clientId: CLIENT_ID, clientSecret: CLIENT_SECRET },
  scopesSupported: ['providers:read', 'providers:write'],
};

interface Report {
  title: string;
  writtenBy: string;
}
const reportsOfTeam = new Map<string, Report[]>();

const router = new Router<{ principal: Principal }>();

router.get('/reports', requireScope('providers:read'), (ctx) => {
  const { principal } = ctx.state;
  ctx.body = { caller: describe(principal), reports: reportsOfTeam.get(principal.teamId) ?? [] };
});

router.post('/reports', requireScope('providers:write'), (ctx) => {
  const { principal } = ctx.state;
  const reports = reportsOfTeam.get(principal.teamId) ?? [];
  const report = { title: `Report ${reports.length + 1}`, writtenBy: principal.subject };
  reportsOfTeam.set(principal.teamId, [...reports, report].slice(-100));
  ctx.status = 201;
  ctx.body = { caller: describe(principal), report };
});

function describe({ kind, credential, subject, teamId, scopes }: Principal) {
  return { kind, credential: credential.kind, subject, team_id: teamId, scopes };
}

new Koa()
  .use(protectedResourceMetadata(options))
  .use(authenticate(options))
  .use(router.routes())
  .use(router.allowedMethods())
  .listen(Number(PORT), '127.0.0.1', () => console.log(`Reports API at http://localhost:${PORT}/reports`));
