/** `/openapi.json`: the operations, in the form of OpenAPI 3.1, made from the schemas that check them. */
import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponsesObject } from 'zod-openapi';
import { OPERATIONS, type Rule } from '../../domain/authorization.ts';
import { KINDS } from '../../errors.ts';
import { bodySchemaOf, failuresOf, type Operation } from './operation.ts';

const STATUS = z
  .object({
    code: z.int().meta({ description: 'A google.rpc code' }),
    message: z.string().meta({ description: 'What is wrong and what to do' }),
    details: z.array(
      z.object({
        '@type': z.literal('type.googleapis.com/google.rpc.BadRequest'),
        field_violations: z.array(z.object({ field: z.string(), description: z.string() })),
      }),
    ),
  })
  .meta({ id: 'Status', description: 'A failure: google.rpc.Status' });

const FAILURES: Record<number, string> = {
  400: 'Something in the request is wrong, or cannot be done as things are',
  401: 'No credential, or one that opens nothing',
  403: 'The credential may not do this',
  404: 'There is no such thing, or it is not within your reach',
  409: 'It exists already, or two changes met',
  412: 'It was changed since you read it',
  413: 'The body is too large',
  415: 'The body is not JSON',
  429: 'Too many requests',
  500: 'A mistake of the server',
  503: 'It cannot be answered right now; try again after Retry-After',
};

const IF_MATCH = z
  .string()
  .optional()
  .meta({ description: 'The ETag you read: the change is made only if that is still the version (RFC 9110 §13.1.1)' });
const IDEMPOTENCY_KEY = z.string().optional().meta({
  description: 'A word of your own for this request: sent again within a day, it is answered again, not done again',
});

/** @param options.issuer where the API is reached */
export function createOpenapi(operations: readonly Operation[], { issuer }: { issuer: string }): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const one of operations) {
    paths[one.path] ??= {};
    paths[one.path]![one.method.toLowerCase()] = describe(one);
  }
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'Latchkey management API',
      version: '1',
      description:
        'Everything an administrator or a script does. Each operation needs one permission (`x-latchkey-permission`), ' +
        'which the owner of the credential must have now and the credential must carry.',
    },
    servers: [{ url: issuer }],
    security: [{ bearer: [] }],
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A personal or team API key, or an access token' },
      },
    },
    paths,
  });
}

function describe(one: Operation): ZodOpenApiOperationObject {
  const { permission, reach, others }: Rule = OPERATIONS[one.id];
  const body = bodySchemaOf(one);
  const hasBody = Object.keys(body.shape).length > 0;
  const names = [...one.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  const headers = {
    ...(one.versioned && one.method !== 'GET' && { 'If-Match': IF_MATCH }),
    ...(one.method === 'POST' && { 'Idempotency-Key': IDEMPOTENCY_KEY }),
  };
  return {
    operationId: one.id,
    tags: [one.tag],
    summary: one.summary,
    ...(one.description !== undefined && { description: one.description }),
    ...({ 'x-latchkey-permission': permission, 'x-latchkey-reach': reach } as object),
    ...(others !== undefined && ({ 'x-latchkey-others': others } as object)),
    security: [{ bearer: [permission] }],
    requestParams: {
      ...(names.length > 0 && { path: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))) }),
      ...(one.query && { query: one.query }),
      ...(Object.keys(headers).length > 0 && { header: z.object(headers) }),
    },
    ...(hasBody && { requestBody: { content: { 'application/json': { schema: body } }, required: needsBody(body) } }),
    responses: responsesOf(one),
  };
}

function needsBody(body: z.ZodObject): boolean {
  return !body.safeParse({}).success;
}

function responsesOf(one: Operation): ZodOpenApiResponsesObject {
  const statuses = [...new Set([...failuresOf(one)].map((kind) => KINDS[kind].status))].sort((a, b) => a - b);
  const failures = statuses.map((status) => [
    String(status),
    { description: FAILURES[status] ?? 'A failure', content: { 'application/json': { schema: STATUS } } },
  ]);
  return {
    '200': {
      description: 'Done',
      content: { 'application/json': { schema: one.answer } },
      ...(one.versioned && { headers: z.object({ ETag: z.string().optional() }) }),
    },
    ...Object.fromEntries(failures),
  };
}
