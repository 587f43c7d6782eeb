/** What a new administrator pastes into a shell to let the first app, service and script in. */
import { shellQuote } from './shell-quote.ts';

/** What makes the credential, run where the server runs, and what uses it, run anywhere. */
export interface Integration {
  create: string;
  use: string;
}

export interface IntegrationCommands {
  app: Integration;
  service: Integration;
  script: Integration;
}

/** @param team its name: anything, so it is quoted for a POSIX shell */
export function integrationCommands(issuer: string, team: string): IntegrationCommands {
  const inTeam = `--team ${shellQuote(team)}`;
  return {
    app: {
      create: `npx latchkey app create --name 'My app' \\
  --base-url http://localhost:8080 \\
  --redirect-uri http://localhost:8080/callback \\
  --scopes 'openid profile email offline_access providers:read'`,
      use: `ISSUER=${issuer}
CLIENT_ID=
CLIENT_SECRET=
REDIRECT_URI=http://localhost:8080/callback
SCOPE="openid profile email offline_access providers:read"`,
    },
    service: {
      create: `npx latchkey client create --name 'My service' ${inTeam} \\
  --scopes providers:read`,
      use: `CLIENT_ID=
CLIENT_SECRET=
ACCESS_TOKEN=$(curl --silent --user "$CLIENT_ID:$CLIENT_SECRET" \\
  --data grant_type=client_credentials ${issuer}/oauth2/token |
  sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
curl --header "Authorization: Bearer $ACCESS_TOKEN" \\
  ${issuer}/api/v1/providers`,
    },
    script: {
      create: `npx latchkey key create --name 'My script' ${inTeam}`,
      use: `API_KEY=
curl --header "Authorization: Bearer $API_KEY" \\
  ${issuer}/api/v1/providers`,
    },
  };
}
