/** What the process tells the person who started it: where it listens, what to do first, which variables there are. */
import { type Config, variablesHelp } from './config.ts';

export interface BannerOptions {
  config: Pick<Config, 'issuer' | 'databaseUrl' | 'dataDir'>;
  /** Where to create the first administrator, while there is none. */
  setupLink: string | undefined;
  /** Email of the administrator just created from the environment. */
  createdAdmin: string | undefined;
}

export function banner({ config, setupLink, createdAdmin }: BannerOptions): string {
  const first = setupLink
    ? `\n  Create the first administrator (this link works once, for 24 hours):\n    ${setupLink}\n`
    : createdAdmin
      ? `\n  Administrator created: ${createdAdmin}\n`
      : '';
  return `
  Latchkey listens on ${config.issuer}
  Data: ${config.databaseUrl ? 'the PostgreSQL in DATABASE_URL' : config.dataDir}
${first}
  An app that acts for users, a service that acts for itself, a key for a script:
    npx latchkey app create --name "My app" --base-url http://localhost:8080 --redirect-uri http://localhost:8080/callback
    npx latchkey client create --name "My service" --team Root --scopes providers:read
    npx latchkey key create --name "My script" --team Root

`;
}

export function help(): string {
  return `Latchkey, an OAuth2 authorization server. Usage: npm start [-- --help]

Everything is set by environment variables. A secret may also come from the file its _FILE variable names.

${variablesHelp()}`;
}
