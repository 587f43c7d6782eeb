/** What an operation declares is what leaves: more is cut away, less is a mistake of ours, another status is reported. */
import { expect, test } from '@jest/globals';
import type { Middleware } from 'koa';
import { z } from 'zod';
import type { Caller } from '../../../src/domain/authorization.ts';
import { AppError } from '../../../src/errors.ts';
import { operation } from '../../../src/http/management/operation.ts';
import { createRoutes } from '../../../src/http/management/routes.ts';
import { handleErrors } from '../../../src/http/middleware/errors.ts';
import { send } from '../../support/request.ts';
import { listen } from '../middleware/listen.ts';

const CALLER: Caller = {
  actor: { kind: 'user', id: 'somebody' },
  teamId: 'team',
  userId: 'somebody',
  permissions: new Set(['roles:read']),
};

/** The answer of one operation, declared as `{ value: { name } }`, whose handler does this. */
async function ask(
  handle: () => Promise<{ body: unknown }>,
  settle = async () => {},
  method: 'GET' | 'DELETE' = 'GET',
) {
  const undeclared: unknown[] = [];
  const errors: unknown[] = [];
  const one = operation({
    id: 'roles.list',
    method,
    path: '/api/v1/roles',
    tag: 'Roles',
    summary: 'For this test',
    answer: z.object({ value: z.object({ name: z.string() }) }),
    errors: ['not_found'],
    handle: handle as never,
  });
  const authenticated: Middleware = (ctx, next) => {
    ctx.state.caller = CALLER;
    return next();
  };
  const router = createRoutes([one], {
    authentication: [authenticated],
    audit: { note: () => {} },
    idempotency: { once: async () => Promise.reject(new Error('not asked for')) },
    settle,
    onUndeclared: (id, status) => undeclared.push([id, status]),
  });
  const { origin, close } = await listen(
    handleErrors({ renderPage: () => {}, onError: (error) => void errors.push(error) }),
    router.routes() as Middleware,
  );
  const answer = await send(Number(new URL(origin).port), { method, path: '/api/v1/roles' }).finally(close);
  return { answer, undeclared, errors };
}

test('a field that is not declared never leaves, however deep it is', async () => {
  const body = { value: { name: 'Admin', password_hash: 'secret' }, debug: 'secret' };
  const { answer, undeclared } = await ask(async () => ({ body }));
  expect([answer.status, answer.body, undeclared]).toEqual([200, { value: { name: 'Admin' } }, []]);
});

test('an answer that lacks a declared field is not sent: it is a mistake of ours, and only we are told which', async () => {
  const { answer, errors, undeclared } = await ask(async () => ({ body: { value: { nom: 'secret' } } }));
  expect([answer.status, answer.body.code]).toEqual([500, 13]);
  expect(answer.text).not.toMatch(/secret|roles\.list|name/);
  expect(String((errors[0] as Error).cause)).toContain('roles.list');
  expect(undeclared).toEqual([['roles.list', 500]]);
});

test('the answer to a change waits until this process has heard of it; reading waits for nothing', async () => {
  const steps: string[] = [];
  const settle = async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    steps.push('heard');
  };
  const handle = async () => {
    steps.push('changed');
    return { body: { value: { name: 'Admin' } } };
  };
  expect((await ask(handle, settle, 'DELETE')).answer.status).toBe(200);
  expect(steps).toEqual(['changed', 'heard']);
  await ask(handle, settle);
  expect(steps).toEqual(['changed', 'heard', 'changed']);
});

test('a failure that is declared is answered, one that is not is reported as well', async () => {
  const refuse = (kind: 'not_found' | 'already_exists') => () => Promise.reject(new AppError(kind, 'As it is.'));
  const declared = await ask(refuse('not_found'));
  expect([declared.answer.status, declared.undeclared]).toEqual([404, []]);
  const another = await ask(refuse('already_exists'));
  expect([another.answer.status, another.undeclared]).toEqual([409, [['roles.list', 409]]]);
});
