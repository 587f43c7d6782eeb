/**
 * What one operation of the API takes, needs and answers. It is declared once, at the route: the declaration checks what
 * comes in and what goes out, decides who may call, and is what `/openapi.json` is made from.
 */
import { z } from 'zod';
import type { Caller, OperationId } from '../../domain/authorization.ts';
import type { Kind } from '../../errors.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** The names in braces of a path such as `/api/v1/teams/{id}`. */
type ParamsOf<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? { [Key in Name]: string } & ParamsOf<Rest>
  : unknown;

/** What a handler is given, checked. */
export interface Input<Path extends string, Query, Body> {
  params: ParamsOf<Path>;
  query: Query;
  body: Body;
  /** The protected fields that were sent; hold them against the object with `requireUnchanged` (echo.ts). */
  echoed: Record<string, unknown>;
  caller: Caller;
  /** What `If-Match` expects (RFC 9110 §13.1.1): a version, or `*`; for operations that are `versioned`. */
  version: string | undefined;
}

export interface Answer<Body> {
  body: Body;
  /** The version of the object in the body: becomes its ETag. */
  version?: string | undefined;
}

export interface Definition<
  Path extends string,
  Query extends z.ZodObject,
  Body extends z.ZodObject,
  Out extends z.ZodType,
> {
  id: OperationId;
  method: Method;
  /** With its parameters in braces. */
  path: Path;
  /** The heading it stands under in the documentation. */
  tag: string;
  summary: string;
  description?: string;
  query?: Query;
  /** A strict object: what it does not know is refused by name. */
  body?: Body;
  /** Fields the server sets: accepted in the body when they are what they are already. */
  protectedFields?: readonly string[];
  answer: Out;
  /** Takes `If-Match`, gives `ETag`. */
  versioned?: boolean;
  /** Failures beyond those every operation can have. */
  errors?: readonly Kind[];
  handle(input: Input<Path, z.output<Query>, z.output<Body>>): Promise<Answer<z.input<Out>>>;
}

/** An operation whose own types are done with: what routes and documentation are made from. */
export interface Operation extends Omit<Definition<string, z.ZodObject, z.ZodObject, z.ZodType>, 'handle'> {
  handle(input: Input<string, unknown, unknown>): Promise<Answer<unknown>>;
}

const NOTHING = z.strictObject({});

/** Checks nothing at run time; it is here for the types. */
export function operation<
  const Path extends string,
  Out extends z.ZodType,
  Query extends z.ZodObject = typeof NOTHING,
  Body extends z.ZodObject = typeof NOTHING,
>(definition: Definition<Path, Query, Body, Out>): Operation {
  return definition as unknown as Operation;
}

const ALWAYS: readonly Kind[] = [
  'invalid_argument',
  'unauthenticated',
  'permission_denied',
  'unavailable',
  'internal',
  'resource_exhausted',
];

/** Every kind of failure the operation may answer with. */
export function failuresOf({ method, errors = [] }: Operation): ReadonlySet<Kind> {
  const writes = method !== 'GET';
  return new Set([
    ...ALWAYS,
    ...(writes ? (['too_large', 'unsupported_type', 'aborted', 'precondition_failed'] as const) : []),
    ...errors,
  ]);
}

/** The body of the operation, with its protected fields let through to be compared. */
export function bodySchemaOf({ body = NOTHING, protectedFields = [] }: Operation): z.ZodObject {
  const more = protectedFields.filter((name) => !Object.hasOwn(body.shape, name));
  return body.extend(Object.fromEntries(more.map((name) => [name, ECHOED])));
}

const ECHOED = z.unknown().optional().meta({ description: 'Set by the server: may be sent back as it was read' });
