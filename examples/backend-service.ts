/**
 * A backend service: it acts as itself, with an id and a secret, and calls the reports API.
 *
 *   ISSUER=http://localhost:3000 CLIENT_ID=svc_… CLIENT_SECRET=lks_… node examples/backend-service.ts [--every 30]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as oauth from 'openid-client';

const { ISSUER = 'http://localhost:3000', CLIENT_ID = '', CLIENT_SECRET = '' } = process.env;
const { REPORTS_URL = 'http://localhost:3001/reports' } = process.env;
const { every } = parseArgs({ options: { every: { type: 'string' } } }).values;

// Everything else about the issuer is in its discovery document. Plain http is for localhost only.
const config = await oauth.discovery(new URL(ISSUER), CLIENT_ID, {}, oauth.ClientSecretBasic(CLIENT_SECRET), {
  execute: new URL(ISSUER).hostname === 'localhost' ? [oauth.allowInsecureRequests] : [],
});

let token = { text: '', expiresAt: 0 };

/** The token in hand, or a new one shortly before it runs out: one token serves many calls. */
async function accessToken(): Promise<string> {
  if (token.expiresAt <= Date.now()) {
    const { access_token, expires_in = 60 } = await oauth.clientCredentialsGrant(config, { scope: 'providers:read' });
    token = { text: access_token, expiresAt: Date.now() + (expires_in - 30) * 1000 };
    console.log(`A new token for ${expires_in} seconds`);
  }
  return token.text;
}

do {
  const answer = await oauth.fetchProtectedResource(config, await accessToken(), new URL(REPORTS_URL), 'GET');
  console.log(`GET ${REPORTS_URL} answered ${answer.status} ${await answer.text()}`);
  if (every) await sleep(Number(every) * 1000);
} while (every);
