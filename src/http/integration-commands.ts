/** What a new administrator pastes into a shell to let the first app, service and script in. */

export interface IntegrationCommands {
  app: string;
  service: string;
  script: string;
}

/** @param team its name: anything, so it is quoted for a POSIX shell */
export function integrationCommands(issuer: string, team: string): IntegrationCommands {
  const inTeam = `--team ${quote(team)}`;
  return {
    app: `npx latchkey app create --name 'My app' \\
  --base-url http://localhost:8080 \\
  --redirect-uri http://localhost:8080/callback \\
  --scopes 'openid profile email offline_access providers:read'`,
    service: `npx latchkey client create --name 'My service' ${inTeam} \\
  --scopes providers:read

curl --user "$CLIENT_ID:$CLIENT_SECRET" \\
  --data grant_type=client_credentials ${issuer}/oauth2/token
curl --header "Authorization: Bearer $ACCESS_TOKEN" \\
  ${issuer}/api/v1/providers`,
    script: `npx latchkey key create --name 'My script' ${inTeam}

curl --header "Authorization: Bearer $API_KEY" \\
  ${issuer}/api/v1/providers`,
  };
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
