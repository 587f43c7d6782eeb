/** Requests for token exchange, and the credentials they are about. */
import { randomUUID } from 'node:crypto';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { type Browser, createBrowser } from '../../support/browser.ts';
import {
  authorizationUrl,
  consent,
  createPerson,
  createPkce,
  createTestApp,
  createTestClient,
  credentials,
  logIn,
  postForm,
  redeemCode,
  type TokenClient,
} from '../../support/flows.ts';
import type { TestServer } from '../../support/server.ts';

export const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const TYPES = {
  key: 'urn:latchkey:token-type:api_key',
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  refreshToken: 'urn:ietf:params:oauth:token-type:refresh_token',
};

type Fields = Record<string, string>;

/** Short ways to ask one server. */
export function createExchange(server: TestServer) {
  const url = `${server.origin}/oauth2/token`;
  const post = (fields: Fields, headers: Fields = {}) => postForm(url, { grant_type: GRANT, ...fields }, headers);
  let count = 0;

  return {
    post,
    /** An API key, by itself or by a client. */
    key(text: string, fields: Fields = {}, client?: TokenClient, headers: Fields = {}) {
      const subject = { subject_token: text, subject_token_type: TYPES.key };
      return post({ ...subject, ...(client && credentials(client)), ...fields }, headers);
    },
    /** A user's access token, by a client. */
    token(text: string, client: TokenClient, fields: Fields = {}, headers: Fields = {}) {
      return post(
        { subject_token: text, subject_token_type: TYPES.accessToken, ...credentials(client), ...fields },
        headers,
      );
    },
    /** What a token says at the API of the server. */
    async call(token: string, path: string, scheme = 'Bearer') {
      const response = await fetch(server.origin + path, { headers: { authorization: `${scheme} ${token}` } });
      return { status: response.status, text: await response.text() };
    },
    /** An API of its own with scopes `apiN:word`. */
    async api(words: string[], settings: Record<string, unknown> = {}) {
      count += 1;
      const identifier = `urn:example:exchange-${count}-${randomUUID().slice(0, 6)}`;
      const names = words.map((word) => `exchange${count}:${word}`);
      const scopes = names.map((name) => ({ name, description: name }));
      const api = await server.domain.resourceServers.create(
        { identifier, name: 'API', scopes, ...settings },
        OPERATOR,
      );
      await server.domain.notifications.settle();
      return { id: api.id, identifier, names };
    },
    async personalKey(
      person: { userId: string; teamId: string },
      settings: { scopes?: string[]; expiresAt?: Date } = { scopes: ['providers:read', 'providers:write'] },
    ) {
      const { key, text } = await server.domain.apiKeys.createPersonal(
        { ...person, name: 'Script', ...settings },
        OPERATOR,
      );
      return { id: key.id, text };
    },
    async teamKey(teamId: string) {
      const { key, text } = await server.domain.apiKeys.createTeam({ teamId, name: 'Push' }, OPERATOR);
      return { id: key.id, text };
    },
    client: (teamId: string, changes: Record<string, unknown> = {}) =>
      createTestClient(server, teamId, { tokenEndpointAuthMethod: 'client_secret_post', ...changes }),
    app: (changes: Record<string, unknown> = {}) =>
      createTestApp(server, { tokenEndpointAuthMethod: 'client_secret_post', ...changes }),
    person: (changes: Parameters<typeof createPerson>[1] = {}) => createPerson(server, changes),
    /** The tokens of a person who consents to some resources (default: the own API), the first of which they are for. */
    async connect(
      app: TokenClient,
      { email, teamId }: { email: string; teamId: string },
      scope: string,
      resources: string[] = [],
      browser: Browser = createBrowser(),
    ) {
      const pkce = createPkce();
      const url = new URL(authorizationUrl(server, app.clientId, pkce, { prompt: 'consent', scope }));
      for (const one of resources) url.searchParams.append('resource', one);
      let visit = await browser.follow(await browser.get(url.href), server.origin);
      if (/\/login"/.test(visit.text)) visit = await logIn(browser, visit, email);
      const { location } = await consent(browser, visit, teamId);
      const code = new URL(location!).searchParams.get('code')!;
      const [resource] = resources;
      return (await redeemCode(server, app, code, pkce, resource === undefined ? {} : { resource })).body;
    },
  };
}
