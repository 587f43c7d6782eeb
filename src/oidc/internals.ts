/**
 * The only file that reaches into the engine's internals (oidc-provider 9.13.3, pinned exactly). An engine upgrade that
 * breaks us breaks here; every assumption is checked at start.
 *
 * The engine runs an endpoint as an ordered array of named steps. Some of its steps do not fit our policy, and no option
 * changes them, so they are replaced in place; the replacement finds its policy by provider, so any number of
 * providers in one process keep their own (and one we did not create keeps the engine's behaviour).
 */
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
// @ts-expect-error
import getAuthorization from 'oidc-provider/lib/actions/authorization/index.js';
// @ts-expect-error the engine publishes no types for its internals
import introspection from 'oidc-provider/lib/actions/introspection.js';
// @ts-expect-error
import revocation from 'oidc-provider/lib/actions/revocation.js';
// @ts-expect-error
import token from 'oidc-provider/lib/actions/token.js';
// @ts-expect-error
import validateDpop, { checkDpopReplay } from 'oidc-provider/lib/helpers/validate_dpop.js';

export type Step = (ctx: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void>;

export interface ReplacedSteps {
  /** Whether anything is authorized or issued at all. Comes before whatever looks at the request. */
  requireEnabled: Step;
  /** Which scopes an authorization request may ask for. Replaces the rule that drops offline_access without prompt=consent. */
  checkScope: Step;
  /** What happens before the engine authenticates a client. */
  requireAuthentication: Step;
  /** Whether the client may use the grant. Replaces a refusal with another error code. */
  checkGrantType: Step;
  /** Introspection of what the engine does not store: JWT access tokens and API keys. Replaces the refusal of JWTs. */
  introspect: Step;
  /** Revocation of the same. */
  revoke: Step;
}

const replaced = new WeakMap<Provider, ReplacedSteps>();

/** Makes `provider` use `steps`. Call it right after the provider is built. */
export function useSteps(provider: Provider, steps: ReplacedSteps): void {
  replaced.set(provider, steps);
}

/**
 * Lets grants or sessions carry a property of ours through the engine's storage.
 * The engine keeps only the payload names a model lists.
 */
export function addProperty(provider: Provider, model: 'Grant' | 'Session', name: string): void {
  const names = (provider[model] as unknown as { IN_PAYLOAD: string[] }).IN_PAYLOAD;
  Object.defineProperty(provider[model], 'IN_PAYLOAD', { get: () => [...names, name] });
}

/** A DPoP proof (RFC 9449 §4) that came with a request. */
export interface DpopProof {
  /** Thumbprint of the key it was made with. */
  jkt: string;
  /** Uses the proof up. @throws InvalidGrant when it was used before by this client */
  use(clientId: string): Promise<void>;
}

/** The proof of a request to a grant of ours, checked as for every other. @throws InvalidDpopProof; undefined without one */
export async function checkDpopProof(ctx: KoaContextWithOIDC): Promise<DpopProof | undefined> {
  const { provider } = ctx.oidc;
  const proof = (await validateDpop(provider, ctx)) as { thumbprint: string } | undefined;
  return (
    proof && {
      jkt: proof.thumbprint,
      use: (clientId) => checkDpopReplay(provider, ctx, proof, clientId) as Promise<void>,
    }
  );
}

function replaceStep(stack: Step[], name: string, pick: (steps: ReplacedSteps, original: Step) => Step): void {
  const index = stack.findIndex((step) => step.name === name);
  const original = stack[index];
  if (original === undefined)
    throw new Error(`oidc-provider has changed: no step ${name}. Review src/oidc/internals.ts`);
  stack[index] = Object.defineProperty(
    (ctx: KoaContextWithOIDC, next: () => Promise<void>) => {
      const steps = replaced.get(ctx.oidc.provider);
      return steps === undefined ? original(ctx, next) : pick(steps, original)(ctx, next);
    },
    'name',
    { value: name },
  );
}

for (const endpoint of ['authorization', 'pushed_authorization_request']) {
  replaceStep(getAuthorization(endpoint), 'checkScope', (steps) => steps.checkScope);
}
for (const stack of [token, introspection, revocation, getAuthorization('pushed_authorization_request')]) {
  replaceStep(
    stack,
    'authenticateClient',
    (steps, original) => (ctx, next) => steps.requireAuthentication(ctx, () => original(ctx, next)),
  );
}
for (const [stack, first] of [
  [token, 'authenticateClient'],
  [getAuthorization('pushed_authorization_request'), 'authenticateClient'],
  [getAuthorization('authorization'), 'checkClient'],
  [getAuthorization('resume'), 'resumeAction'],
]) {
  replaceStep(stack, first, (steps, original) => (ctx, next) => steps.requireEnabled(ctx, () => original(ctx, next)));
}
replaceStep(token, 'allowedGrantTypeCheck', (steps) => steps.checkGrantType);
replaceStep(introspection, 'rejectStructuredTokens', (steps) => steps.introspect);
replaceStep(revocation, 'rejectStructuredTokens', (steps) => steps.revoke);
