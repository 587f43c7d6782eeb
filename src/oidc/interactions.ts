/**
 * The engine's interactions for the pages in http/interaction: what is pending, and how a person's answer gets back.
 * The engine ties each one to one browser by a signed cookie; a page that asks here cannot serve another browser's.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { errors } from 'oidc-provider';
import { isIdentityScope } from '../domain/permissions.ts';
import type { Settings } from '../domain/settings.ts';
import { AppError } from '../errors.ts';
import { ourError } from './errors.ts';
import type { Targets } from './resource-servers.ts';
import { requireEnabled } from './sign-in-settings.ts';

type Details = Awaited<ReturnType<Provider['interactionDetails']>>;

export interface InteractionsOptions {
  /** Gives the current provider (it is rebuilt when signing keys change). */
  provider: () => Provider;
  defaultResource: string;
  targets: Targets;
  settings: Pick<Settings, 'current'>;
}

export function createInteractions({ provider, defaultResource, targets, settings }: InteractionsOptions) {
  const loaded = new WeakMap<IncomingMessage, Details>();

  /**
   * Reads it once for a request: the engine asks the database twice for every look.
   * @throws AppError `failed_precondition` when this browser has no such interaction (any more); `unavailable` while the
   *   authorization server is switched off
   */
  async function load(req: IncomingMessage, res: ServerResponse): Promise<Details> {
    const known = loaded.get(req);
    if (known !== undefined) return known;
    await requireEnabled(settings);
    try {
      const details = await provider().interactionDetails(req, res);
      loaded.set(req, details);
      return details;
    } catch (cause) {
      throw unwrap(cause);
    }
  }

  /** Leaves the answer for the engine, as its own `interactionResult` does, and gives the address to continue at. */
  async function answer(interaction: Details, result: NonNullable<Details['result']>): Promise<string> {
    interaction.result = 'error' in result ? result : { ...interaction.lastSubmission, ...result };
    try {
      await interaction.save(interaction.exp - Math.floor(Date.now() / 1000));
    } catch (cause) {
      throw unwrap(cause);
    }
    return interaction.returnTo;
  }

  return {
    /** What is pending, in the shape http/interaction/engine.ts asks for. */
    async details(req: IncomingMessage, res: ServerResponse) {
      const { uid, prompt, params, session } = await load(req, res);
      const missing = prompt.details as {
        missingOIDCScope?: string[];
        missingResourceScopes?: Record<string, string[]>;
      };
      return {
        uid,
        prompt: prompt.name as 'login' | 'consent',
        reasons: prompt.reasons,
        params,
        accountId: session?.accountId,
        requestedScopes: scopesOf(params),
        otherResources: resourcesOf(params).filter((resource) => resource !== defaultResource),
        missingScopes: [
          ...new Set([
            ...(missing.missingOIDCScope ?? []),
            ...Object.values(missing.missingResourceScopes ?? {}).flat(),
          ]),
        ],
        loginAgain: prompt.name === 'login' && session?.accountId !== undefined,
      };
    },

    /** @returns where to send the browser (303) */
    async finishLogin(
      req: IncomingMessage,
      res: ServerResponse,
      { accountId, remember }: { accountId: string; remember: boolean },
    ) {
      return answer(await load(req, res), { login: { accountId, remember, amr: ['pwd'] } });
    },

    /** Grants the requested scopes in one team. `scopes` must be among the requested ones. */
    async finishConsent(
      req: IncomingMessage,
      res: ServerResponse,
      { teamId, scopes }: { teamId: string; scopes: string[] },
    ) {
      const interaction = await load(req, res);
      const { params, session, result } = interaction;
      if (session === undefined) {
        throw new AppError(
          'failed_precondition',
          'You are not logged in any more. Go back to the app and start again.',
        );
      }
      if (result?.consent !== undefined) {
        throw new AppError('failed_precondition', 'This request was answered already. Go back to the app.');
      }
      const requested = new Set(scopesOf(params));
      const granted = scopes.filter((scope) => requested.has(scope));
      const named = await targets.named(params.resource).catch((cause: unknown) => Promise.reject(unwrap(cause)));
      const { Grant } = provider();
      const grant = new Grant({
        accountId: session.accountId,
        clientId: String(params.client_id),
        teamId,
        named: named.map(({ resource }) => resource),
        jti: crypto.randomUUID(),
      } as never);
      grant.addOIDCScope(granted.filter(isIdentityScope).join(' '));
      for (const { resource, hasScope } of named) grant.addResourceScope(resource, granted.filter(hasScope).join(' '));
      const grantId = await grant.save().catch((cause: unknown) => Promise.reject(unwrap(cause)));
      return answer(interaction, { consent: { grantId } });
    },

    /** The person said no: RFC 6749 §4.1.2.1 `access_denied`. */
    async abort(
      req: IncomingMessage,
      res: ServerResponse,
      { error, description }: { error: 'access_denied'; description: string },
    ) {
      return answer(await load(req, res), { error, error_description: description });
    },

    /** The same request again, asking for a login first. */
    async loginAsSomeoneElse(req: IncomingMessage, res: ServerResponse): Promise<string> {
      const { params } = await load(req, res);
      const again = Object.entries({ ...params, prompt: 'login' }).filter(
        ([name]) => name !== 'request' && name !== 'request_uri',
      );
      const pairs = again.flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
      const query = new URLSearchParams(pairs.filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
      return `${provider().pathFor('authorization')}?${query}`;
    },
  };
}

function scopesOf(params: Record<string, unknown>): string[] {
  return typeof params.scope === 'string' && params.scope !== '' ? params.scope.split(' ') : [];
}

function resourcesOf({ resource }: Record<string, unknown>): string[] {
  return resource === undefined ? [] : [resource].flat().map(String);
}

/** What the engine throws in its own words (also for failures of storage) as ours. */
function unwrap(cause: unknown): unknown {
  if (cause instanceof errors.SessionNotFound) {
    return new AppError(
      'failed_precondition',
      'This page has expired or belongs to another browser. Go back to the app and start again.',
      { cause },
    );
  }
  if (cause instanceof errors.InvalidTarget) {
    return new AppError('failed_precondition', 'What the app asks access to is no longer registered here.', { cause });
  }
  return ourError(cause);
}
