import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import {
  authenticate,
  type KoaOptions,
  protectedResourceMetadata,
  type ResourceOptions,
  requireScope,
} from '../../src/resource/index.ts';
import { AUDIENCE } from './issuer.ts';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  challenge: string;
  // biome-ignore lint/suspicious/noExplicitAny: the JSON of whichever answer came.
  body: any;
}

type Headers = Record<string, string | string[]>;

/** An API protected by the middleware on a loopback port; `/write` needs a scope of its own. */
export async function startApi(options: Partial<ResourceOptions> & { issuer: string }, koaOptions?: KoaOptions) {
  const full = { audience: AUDIENCE, ...options };
  const app = new Koa();
  app.silent = true;
  app.use(protectedResourceMetadata(full));
  app.use(authenticate(full, koaOptions));
  const write = requireScope('providers:read', 'providers:write');
  app.use((ctx, next) => (ctx.path === '/write' ? write(ctx, next) : next()));
  app.use((ctx) => {
    ctx.body = ctx.state.principal;
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;

  function send(headers: Headers = {}, path = '/', method = 'GET'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, async (res) => {
        let text = '';
        for await (const chunk of res) text += chunk;
        const challenge = res.headers['www-authenticate'] ?? '';
        const body = text.startsWith('{') ? JSON.parse(text) : text;
        resolve({ status: res.statusCode as number, headers: res.headers, challenge, body });
      });
      sent.on('error', reject).end();
    });
  }

  return {
    url: `http://127.0.0.1:${port}`,
    send,
    bearer: (token: string, path?: string) => send({ authorization: `Bearer ${token}` }, path),
    stop: () => new Promise((resolve) => server.close(resolve)),
  };
}

export type Api = Awaited<ReturnType<typeof startApi>>;
