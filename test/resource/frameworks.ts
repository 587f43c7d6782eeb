/** The same small API in every framework there is an adapter for. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import * as forExpress from '../../src/resource/express.ts';
import * as forFastify from '../../src/resource/fastify.ts';
import * as forHono from '../../src/resource/hono.ts';
import type { Failure, ResourceOptions } from '../../src/resource/index.ts';
import * as forKoa from '../../src/resource/koa.ts';
import * as forNode from '../../src/resource/node.ts';

export const FRAMEWORKS = ['koa', 'express', 'fastify', 'hono', 'node:http'] as const;
export type Framework = (typeof FRAMEWORKS)[number];

/** `/` answers the principal, `/write` the same to those with `WRITE`; a form body is read before the middleware. */
export const WRITE = ['providers:read', 'providers:write'];

/** What a refusal rendered by the API itself looks like. */
export const renderedBody = ({ body }: Failure) => JSON.stringify({ ...body, request_id: 'r1' });

/** @param own whether the API renders refusals itself. */
export async function startFramework(name: Framework, options: ResourceOptions, own = false) {
  const server = await SERVERS[name](options, own);
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { name, port, stop: () => new Promise((resolve) => server.close(resolve)) };
}

const SERVERS: Record<Framework, (options: ResourceOptions, own: boolean) => Server | Promise<Server>> = {
  koa(options, own) {
    const app = new Koa();
    const write = forKoa.requireScope(...WRITE);
    app.silent = true;
    app.use(async (ctx, next) => {
      if (ctx.is('urlencoded')) Object.assign(ctx.request, { body: await formOf(ctx.req) });
      await next();
    });
    app.use(forKoa.protectedResourceMetadata(options));
    const renderFailure: forKoa.RenderFailure = (ctx: Koa.Context, failure) => {
      ctx.status = failure.status;
      ctx.set(failure.headers);
      ctx.body = renderedBody(failure);
    };
    app.use(forKoa.authenticate(options, own ? { renderFailure } : {}));
    app.use((ctx, next) => (ctx.path === '/write' ? write(ctx, next) : next()));
    app.use((ctx) => {
      ctx.body = ctx.state.principal;
    });
    return createServer(app.callback());
  },

  express(options, own) {
    const app = express();
    app.use(express.urlencoded());
    app.use(forExpress.protectedResourceMetadata(options));
    const renderFailure: forExpress.ExpressOptions['renderFailure'] = (_req, res, failure) => {
      res.status(failure.status).set(failure.headers).send(renderedBody(failure));
    };
    // Mounted, so that a path is cut off `req.url`.
    app.use('/write', forExpress.authenticate(options, own ? { renderFailure } : {}));
    app.use('/write', forExpress.requireScope(...WRITE));
    app.use('/write', (req, res) => void res.json(req.principal));
    app.use(forExpress.authenticate(options, own ? { renderFailure } : {}));
    app.use((req, res) => void res.json(req.principal));
    return createServer(app);
  },

  async fastify(options, own) {
    const app = Fastify();
    app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(String(body)))),
    );
    const renderFailure: forFastify.FastifyOptions['renderFailure'] = (_request, reply, failure) =>
      reply.code(failure.status).headers(failure.headers).send(renderedBody(failure));
    app.register(forFastify.authenticate(options, own ? { renderFailure } : {}));
    app.register(forFastify.protectedResourceMetadata(options));
    app.all('/write', { preHandler: forFastify.requireScope(...WRITE) }, async (request) => request.principal);
    app.all('/*', async (request) => request.principal);
    await app.listen({ port: 0, host: '127.0.0.1' });
    return app.server;
  },

  hono(options, own) {
    const app = new Hono();
    app.use(async (c, next) => {
      if (c.req.header('content-type')?.includes('urlencoded')) await c.req.parseBody();
      await next();
    });
    app.use(forHono.protectedResourceMetadata(options));
    const renderFailure: forHono.HonoOptions['renderFailure'] = (c, failure) =>
      c.body(renderedBody(failure), failure.status as 401, failure.headers);
    app.use(forHono.authenticate(options, own ? { renderFailure } : {}));
    app.use('/write', forHono.requireScope(...WRITE));
    app.all('*', (c) => c.json(c.get('principal')));
    return createAdaptorServer({ fetch: app.fetch }) as Server;
  },

  'node:http'(options, own) {
    const renderFailure: forNode.NodeOptions['renderFailure'] = (_req, res, failure) => {
      res.writeHead(failure.status, failure.headers).end(renderedBody(failure));
    };
    const check = forNode.createGuard(options, own ? { renderFailure } : {});
    const mayWrite = forNode.requireScope(...WRITE);
    const answersMetadata = forNode.protectedResourceMetadata(options);
    return createServer(async (req, res) => {
      if (req.method === 'POST') Object.assign(req, { body: await formOf(req) });
      if (answersMetadata(req, res)) return;
      const principal = await check(req, res);
      if (!principal) return;
      if (req.url === '/write' && !(await mayWrite(req, res))) return;
      res.end(JSON.stringify(principal));
    });
  },
};

async function formOf(req: AsyncIterable<unknown>): Promise<object> {
  let text = '';
  for await (const chunk of req) text += chunk;
  return Object.fromEntries(new URLSearchParams(text));
}
