/** Operations as routes: authenticated, authorized, checked on the way in and on the way out. */
import Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import { z } from 'zod';
import type { Audit } from '../../domain/audit.ts';
import { authorize, type Caller, OPERATIONS } from '../../domain/authorization.ts';
import type { Idempotency } from '../../domain/idempotency.ts';
import { AppError, asAppError, invalidField } from '../../errors.ts';
import { type Principal, requireScope } from '../../resource/index.ts';
import type { PageTokens } from '../page-tokens.ts';
import { noteRefusal } from '../refusals.ts';
import { callerOf } from './actor.ts';
import { check, parseJson, readBody } from './json-body.ts';
import { type Answer, bodySchemaOf, failuresOf, type Operation } from './operation.ts';

/** The operations of one noun; lists wait for what signs their page tokens. */
export type Noun = (Operation | ((pageTokens: PageTokens) => Operation))[];

export interface RoutesOptions {
  authentication: Middleware[];
  audit: Pick<Audit, 'note'>;
  idempotency: Idempotency;
  /** Resolves when what was just changed is no longer remembered otherwise by this process. */
  settle: () => Promise<void>;
  /** Told of an answer that its operation does not declare. */
  onUndeclared: (operation: string, status: number) => void;
}

export function createRoutes(operations: readonly Operation[], options: RoutesOptions): Router {
  // Strict about case and trailing slashes: one resource, one path.
  const router = new Router({ sensitive: true, strict: true });
  for (const one of operations) {
    const path = one.path.replaceAll(':', '\\:').replace(/\{(\w+)\}/g, ':$1');
    const hasScope = requireScope(OPERATIONS[one.id].permission);
    // A session has no scopes to challenge for; `authorize` asks for its permissions.
    const permission: Middleware = (ctx, next) => (ctx.state.principal === undefined ? next() : hasScope(ctx, next));
    router.register(path, [one.method], [...options.authentication, permission, answerWith(one, options)] as never);
  }
  return router;
}

function answerWith(one: Operation, options: RoutesOptions): Middleware {
  const declared = failuresOf(one);
  const body = bodySchemaOf(one);
  const known = new Set(one.protectedFields);
  const query = one.query ?? z.strictObject({});
  const writes = one.method !== 'GET';

  return async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    const caller = callerOf(ctx);
    try {
      authorize(caller, one.id);
      const bytes = writes ? await readBody(ctx) : Buffer.alloc(0);
      const { sent, echoed } = split(parseJson(bytes, body), known);
      const input = {
        params: ctx.params,
        query: check(queryOf(ctx), query),
        body: sent,
        echoed,
        caller,
        version: expectedVersion(ctx, one),
      };
      const work = async () => {
        const { body: answer, version } = await one.handle(input);
        return { body: checkAnswer(one, answer), version };
      };
      const answer = await (one.method === 'POST' ? once(ctx, { bytes, caller }, work, options.idempotency) : work());
      if (writes) await options.settle();
      if (answer.version !== undefined) ctx.set('ETag', `"${answer.version}"`);
      ctx.body = answer.body;
    } catch (thrown) {
      const { kind, status } = asAppError(thrown);
      // A right that is lacking in a way only the operation knows of; what the scope check refuses is noted there.
      if (kind === 'permission_denied') {
        noteRefusal(options.audit, ctx, caller, { operation: one.id, status, reason: 'permission denied' });
      }
      // A mistake of ours is never meant.
      if (kind === 'internal' || !declared.has(kind)) options.onUndeclared(one.id, status);
      throw thrown;
    }
  };
}

function split(body: Record<string, unknown>, protectedFields: ReadonlySet<string>) {
  const entries = Object.entries(body).filter(([, value]) => value !== undefined);
  return {
    sent: Object.fromEntries(entries.filter(([name]) => !protectedFields.has(name))),
    echoed: Object.fromEntries(entries.filter(([name]) => protectedFields.has(name))),
  };
}

function queryOf(ctx: Context): Record<string, string> {
  const query: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(ctx.query)) {
    if (typeof value !== 'string') throw invalidField(name.slice(0, 100), 'must be given once');
    if (value.includes('\0') || !value.isWellFormed() || value.includes('\u{FFFD}')) {
      throw invalidField(name.slice(0, 100), 'is not well-formed text');
    }
    query[name] = value;
  }
  return query;
}

const ENTITY_TAG = /^"([\x21\x23-\x7e]*)"$/;

/** RFC 9110 §13.1.1: strong comparison, so a weak tag matches nothing. */
function expectedVersion(ctx: Context, { method, versioned }: Operation): string | undefined {
  const given = ctx.get('if-match').trim();
  if (given === '' || method === 'GET') return undefined;
  if (!versioned) throw new AppError('precondition_failed', 'This has no ETag to match. Leave If-Match out.');
  if (given === '*') return '*';
  const [, tag] = ENTITY_TAG.exec(given) ?? [];
  // In quotes it is a tag like any other, which no version ever is.
  if (tag !== undefined) return tag === '*' ? given : tag;
  if (given.startsWith('W/"')) return given;
  throw invalidField('if-match', 'must be one ETag as it was answered, in its quotes, or *');
}

/** What leaves is what is declared: more is cut away, less is our mistake. */
function checkAnswer(one: Operation, body: unknown): unknown {
  const result = one.answer.safeParse(body);
  if (result.success) return result.data;
  throw new AppError('internal', 'Something went wrong on our side. The request id tells the operator where to look.', {
    cause: new TypeError(`the answer of ${one.id} is not what it declares`, { cause: result.error }),
  });
}

async function once(
  ctx: Context,
  { bytes, caller }: { bytes: Buffer; caller: Caller },
  work: () => Promise<Answer<unknown>>,
  idempotency: Idempotency,
): Promise<Answer<unknown>> {
  const key = ctx.get('idempotency-key');
  if (key === '') return work();
  const request = [ctx.method, ctx.url, bytes.toString('base64')].join('\n');
  const { answer, replayed } = await idempotency.once({ key, caller: whose(ctx, caller), request }, work);
  if (replayed) ctx.set('Idempotency-Replayed', 'true');
  return answer;
}

/** The credential as it was issued, and the team: a wider or narrower one of the same user, or another team, is another. */
function whose(ctx: Context, { actor, teamId }: Caller): string {
  const { credential, clientId, claims } = (ctx.state.principal ?? {}) as Partial<Principal>;
  return JSON.stringify([actor.kind, actor.id, teamId, credential?.kind ?? 'session', clientId, claims?.scope]);
}
