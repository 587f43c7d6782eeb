/** Providers: the resource the seeds of this project call with a key (wire contract, Providers). */
import Router from '@koa/router';
import type { Context } from 'koa';
import { z } from 'zod';
import type { Provider, Providers } from '../../domain/providers.ts';
import { AppError } from '../../errors.ts';
import { type Principal, requireScope } from '../../resource/index.ts';
import { actorOf } from './actor.ts';
import { readJson } from './json-body.ts';
import type { Paging } from './paging.ts';

// A field the server sets may be echoed back unchanged (wire contract); anything else in it is refused.
const PROTECTED = ['id', 'type', 'team_id', 'created_at', 'updated_at'] as const;
const echoed = Object.fromEntries(PROTECTED.map((name) => [name, z.unknown().optional()]));

const CREATE = z.strictObject({
  name: z.string(),
  custom_template: z.string().optional(),
  team_id: z.string().optional(),
});
const CHANGE = z.strictObject({ name: z.string().optional(), custom_template: z.string().optional(), ...echoed });

export function createProviderRoutes({ providers, paging }: { providers: Providers; paging: Paging }): Router {
  const router = new Router();
  const read = requireScope('providers:read');
  const write = requireScope('providers:write');

  router.get('/providers', read, async (ctx) => {
    const { limit, after } = paging.read(ctx, 'providers');
    const rows = await providers.list(teamOf(ctx), { limit: limit + 1, ...(after && { after }) });
    ctx.body = paging.page(rows, limit, 'providers', toWire);
  });
  router.get('/providers/custom', read, async (ctx) => {
    const { limit, after } = paging.read(ctx, 'providers/custom');
    const rows = await providers.listCustom(teamOf(ctx), { limit: limit + 1, ...(after && { after }) });
    ctx.body = paging.page(rows, limit, 'providers/custom', toWire);
  });
  router.post('/providers/custom', write, async (ctx) => {
    const { name, custom_template: customTemplate, team_id: teamId } = await readJson(ctx, CREATE);
    // The team comes from the credential, never from the body (checklist row 89).
    if (teamId !== undefined && teamId !== teamOf(ctx)) throw noSuchTeam();
    const provider = await providers.createCustom(
      { name, ...(customTemplate !== undefined && { customTemplate }), teamId: teamOf(ctx) },
      actorOf(ctx),
    );
    ctx.body = { value: toWire(provider) };
  });
  router.get('/providers/custom/:id', read, async (ctx) => {
    ctx.body = { value: toWire(await find(idOf(ctx), teamOf(ctx))) };
  });
  router.patch('/providers/custom/:id', write, async (ctx) => {
    const { name, custom_template: customTemplate, ...echo } = await readJson(ctx, CHANGE);
    requireUnchanged(toWire(await find(idOf(ctx), teamOf(ctx))), echo);
    const changes = { ...(name !== undefined && { name }), ...(customTemplate !== undefined && { customTemplate }) };
    const provider = await providers.updateCustom(idOf(ctx), teamOf(ctx), changes, actorOf(ctx));
    ctx.body = { value: toWire(provider) };
  });
  router.delete('/providers/custom/:id', write, async (ctx) => {
    await providers.deleteCustom(idOf(ctx), teamOf(ctx), actorOf(ctx));
    ctx.body = {};
  });

  async function find(id: string, teamId: string): Promise<Provider> {
    const provider = await providers.findCustom(id, teamId);
    if (provider === undefined) throw new AppError('not_found', 'There is no such provider.');
    return provider;
  }

  return router;
}

function idOf(ctx: { params: Record<string, string | undefined> }): string {
  return ctx.params.id ?? '';
}

function teamOf(ctx: Pick<Context, 'state'>): string {
  return (ctx.state.principal as Principal).teamId;
}

function toWire({ id, name, customTemplate, teamId, createdAt, updatedAt }: Provider) {
  return {
    id,
    name,
    type: 'CUSTOM',
    custom_template: customTemplate,
    team_id: teamId,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
  };
}

function requireUnchanged(current: Record<string, unknown>, echo: Record<string, unknown>): void {
  const changed = PROTECTED.filter((name) => echo[name] !== undefined && echo[name] !== current[name]);
  if (changed.length === 0) return;
  const fields = changed.map((field) => ({ field, description: 'cannot be changed' }));
  throw new AppError('invalid_argument', `${changed.join(', ')} cannot be changed`, { fields });
}

function noSuchTeam(): AppError {
  return new AppError('not_found', 'There is no such team.');
}
