/** `GET /docs`: the OpenAPI description of the management API, to be read by people. No script, nothing from elsewhere. */
import Router from '@koa/router';
import type { Pages } from './pages.ts';

/** As much of OpenAPI 3.1 as our own document uses. */
interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
}

interface Content {
  content?: { 'application/json'?: { schema?: Schema } };
}

interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  'x-latchkey-permission': string;
  'x-latchkey-reach': string;
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: Schema }[];
  requestBody?: Content;
  responses: Record<string, Content & { description: string }>;
}

export interface OpenapiDocument {
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

interface Field {
  name: string;
  type: string;
  required: boolean;
  description: string;
}

interface DocsValues {
  issuer: string;
  groups: { name: string; anchor: string; operations: ReturnType<typeof describe>[] }[];
}

const DEEPEST = 3;

/** @param deps.document what `/openapi.json` answers */
export function createDocsRoutes({
  pages,
  issuer,
  document,
}: {
  pages: Pages;
  issuer: string;
  document: () => Promise<OpenapiDocument>;
}): Router {
  const page = pages.declare<DocsValues>('docs', ['issuer', 'groups']);
  let groups: DocsValues['groups'] | undefined;
  return new Router().get('/docs', async (ctx) => {
    groups ??= groupsOf(await document());
    page(ctx, { issuer, groups }, 200);
  });
}

function groupsOf(document: OpenapiDocument): DocsValues['groups'] {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ tag: one.tags[0]!, ...describe(document, path, method, one) })),
  );
  return [...new Set(operations.map(({ tag }) => tag))].map((name) => ({
    name,
    anchor: name.toLowerCase().replace(/\W+/g, '-'),
    operations: operations.filter(({ tag }) => tag === name),
  }));
}

const REACH: Record<string, string> = {
  team: "what belongs to the credential's team; in the root team, to any team",
  own: "what belongs to the credential's user",
  root: 'the whole server; only with a credential of the root team',
  any: 'the same for everybody',
};

function describe(document: OpenapiDocument, path: string, method: string, one: Operation) {
  const answer = one.responses['200']?.content?.['application/json']?.schema;
  return {
    id: one.operationId,
    method: method.toUpperCase(),
    path,
    summary: one.summary,
    description: one.description ?? '',
    permission: one['x-latchkey-permission'],
    reach: REACH[one['x-latchkey-reach']] ?? '',
    parameters: (one.parameters ?? []).map(({ name, in: where, required = false, description = '', schema }) => ({
      name,
      type: where,
      required,
      description: description || resolve(document, schema).description || '',
    })),
    body: fieldsOf(document, one.requestBody?.content?.['application/json']?.schema),
    answer: fieldsOf(document, answer),
    failures: Object.entries(one.responses)
      .filter(([status]) => status !== '200')
      .map(([status, { description }]) => ({ status, description })),
  };
}

/** The fields of an object, those of objects inside it by their paths. */
function fieldsOf(document: OpenapiDocument, schema: Schema | undefined, prefix = '', depth = 0): Field[] {
  const { properties = {}, required = [] } = resolve(document, schema);
  return Object.entries(properties).flatMap(([name, given]) => {
    const one = resolve(document, given);
    const inner = one.type === 'array' ? resolve(document, one.items) : one;
    const path = `${prefix}${name}`;
    const field = {
      name: path,
      type: typeOf(document, one),
      required: required.includes(name),
      description: given.description ?? one.description ?? '',
    };
    const more =
      depth < DEEPEST ? fieldsOf(document, inner, `${path}${one.type === 'array' ? '[]' : ''}.`, depth + 1) : [];
    return [field, ...more];
  });
}

function typeOf(document: OpenapiDocument, given: Schema | undefined): string {
  const schema = resolve(document, given);
  if (schema.enum) return schema.enum.map(String).join(' | ');
  if (schema.const !== undefined) return String(schema.const);
  if (schema.anyOf) return [...new Set(schema.anyOf.map((one) => typeOf(document, one)))].join(' | ');
  if (schema.type === 'array') return `list of ${typeOf(document, schema.items)}`;
  return schema.format ?? [schema.type ?? 'any'].flat().join(' | ');
}

function resolve(document: OpenapiDocument, schema: Schema | undefined): Schema {
  const name = schema?.$ref?.replace('#/components/schemas/', '');
  return (name === undefined ? schema : document.components?.schemas?.[name]) ?? {};
}
