/** What an API needs to check its callers, ready to be pasted. */
import type { ResourceServer } from '../../../domain/resource-servers.ts';
import type { Section } from '../view.ts';

/** @param issuer of this server */
export function middlewareFor(issuer: string, server: ResourceServer): Section[] {
  const { identifier, acceptsApiKeys, clientIds, isBuiltIn, scopes } = server;
  const [client] = clientIds;
  const [first] = scopes;
  const options = [
    `issuer: ${quote(issuer)},`,
    `audience: ${quote(identifier)},`,
    ...(acceptsApiKeys
      ? [
          'introspection: {',
          `  clientId: ${client === undefined ? 'env.CLIENT_ID' : quote(client)},`,
          '  clientSecret: env.CLIENT_SECRET,',
          '},',
        ]
      : []),
  ];
  const use = [
    ...(acceptsApiKeys ? ["import { env } from 'node:process';"] : []),
    `import { authenticate${first === undefined ? '' : ', requireScope'} } from 'latchkey/resource';`,
    '',
    'app.use(authenticate({',
    ...options.map((option) => `  ${option}`),
    '}));',
    ...(first === undefined ? [] : [`app.use(requireScope(${quote(first.name)}));`]),
  ];
  return [
    {
      title: 'Protect the API with the middleware',
      lead: 'This is for Koa. Express, Fastify, Hono and plain Node.js have modules of their own with the same options: latchkey/resource/express, …/fastify, …/hono and …/node.',
      points: acceptsApiKeys ? [keysPoint({ isBuiltIn, client })] : [],
      code: use.join('\n'),
    },
  ];
}

function keysPoint({ isBuiltIn, client }: { isBuiltIn: boolean; client: string | undefined }): string {
  if (isBuiltIn) return 'To check API keys it needs an OAuth2 Client with the scope credentials:introspect.';
  if (client !== undefined) return 'To check API keys it uses the secret of that OAuth2 Client.';
  return 'To check API keys it needs an OAuth2 Client: create one, and name it here under Edit. Leave introspection out to take access tokens only.';
}

/** As JavaScript. */
function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
