/**
 * The engine's Adapter contract (https://github.com/panva/node-oidc-provider/blob/main/example/my_adapter.js) over our storage.
 * The engine reads, checks and then writes, and ignores what a write answers: single use is therefore enforced here,
 * by statements of which exactly one succeeds, on any number of instances.
 */
import Provider, { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import { isUuid } from '../domain/names.ts';
import type { Sealing } from '../domain/sealing.ts';
import { digestOf } from '../domain/secret-text.ts';
import { isMissingReference } from '../storage/errors.ts';
import { deleteGrant, findGrant, upsertGrant } from '../storage/grants.ts';
import * as payloads from '../storage/oidc-payloads.ts';
import type { Queryable } from '../storage/pool.ts';
import { engineError } from './errors.ts';
import { createSessionAdapter, type SessionAdapter } from './session-adapter.ts';

export interface AdapterOptions {
  db: Queryable;
  sealing: Sealing;
  /** Seconds within which a second use of a code or refresh token fails without further consequence. */
  reuseGrace: number;
}

/** A payload as our grants carry it: the team and the APIs consented to are ours, everything else the engine's. */
export type GrantPayload = AdapterPayload & { teamId?: string; named?: string[] };

/**
 * The APIs a consent lets an app have tokens for, by their identifiers. The engine knows only those with a scope.
 * @param defaultResource what consents of before they were written down are for
 */
export function namedBy({ named }: { named?: string[] }, defaultResource: string): readonly string[] {
  return named ?? [defaultResource];
}

// A second use within the grace is most often one client racing itself, not a thief.
const GRACED = new Set(['AuthorizationCode', 'RefreshToken']);

/** @returns the factory the engine calls once for each of its models */
export function createAdapterFactory(options: AdapterOptions): (model: string) => Adapter {
  return (model) => {
    if (model === 'Session') return guardedSessions(options);
    return guarded(model === 'Grant' ? grantAdapter(options) : payloadAdapter(model, options));
  };
}

function payloadAdapter(model: string, { db, sealing, reuseGrace }: AdapterOptions): Adapter {
  const open = (digest: Buffer, record: payloads.OidcPayloadRecord | undefined): AdapterPayload | undefined => {
    if (record === undefined) return undefined;
    const payload = JSON.parse(
      sealing.open(record.payload, `${model} ${digest.toString('hex')}`).toString(),
    ) as AdapterPayload;
    const graced = GRACED.has(model) && Provider.ctx?.oidc?.route === 'token' && (record.consumedFor ?? 0) < reuseGrace;
    if (record.consumedAt !== null && !graced) payload.consumed = Math.floor(record.consumedAt.getTime() / 1000);
    return payload;
  };

  return {
    async upsert(id, payload, expiresIn = 0) {
      const digest = digestOf(id);
      const row = {
        model,
        id: digest,
        grantId: payload.grantId && model !== 'Interaction' ? payload.grantId : undefined,
        // A login that was not gone on with yet ends with the sessions of its user.
        userId: payload.accountId ?? answeredLogin(payload),
        payload: sealing.seal(Buffer.from(JSON.stringify(payload)), `${model} ${digest.toString('hex')}`),
        expiresIn,
      };
      if (model === 'ReplayDetection') {
        if (!(await payloads.insertOidcPayloadOnce(db, row))) throw replayed();
      } else if (model === 'Interaction' && payload.result !== undefined) {
        // An answer that comes after the interaction has ended must not bring it back.
        if (!(await payloads.updateOidcPayload(db, row))) throw interactionGone();
      } else {
        await payloads.upsertOidcPayload(db, row);
      }
    },
    async find(id) {
      const digest = digestOf(id);
      return open(digest, await payloads.findOidcPayload(db, model, digest));
    },
    async findByUid() {
      return undefined;
    },
    async findByUserCode() {
      return undefined;
    },
    async consume(id) {
      if (!(await payloads.consumeOidcPayload(db, model, digestOf(id)))) throw alreadyUsed(model);
    },
    async destroy(id) {
      const deleted = await payloads.deleteOidcPayload(db, model, digestOf(id));
      // Two parallel returns from one login or consent: the one that finds the interaction gone must not go on.
      if (!deleted && model === 'Interaction') throw interactionGone();
    },
    async revokeByGrantId(grantId) {
      await payloads.deleteOidcPayloadsOfGrant(db, model, grantId);
    },
  };
}

function grantAdapter({ db }: AdapterOptions): Adapter {
  return {
    async upsert(id, payload: GrantPayload, expiresIn = 0) {
      const { accountId, clientId, teamId } = payload;
      if (!accountId || !clientId || !teamId) throw new TypeError('a grant needs a user, an app and a team');
      await upsertGrant(db, { id, userId: accountId, teamId, clientId, payload: { ...payload } }, expiresIn);
    },
    async find(id) {
      const grant = isUuid(id) ? await findGrant(db, id) : undefined;
      return grant && ({ ...grant.payload, teamId: grant.teamId } as GrantPayload);
    },
    async findByUid() {
      return undefined;
    },
    async findByUserCode() {
      return undefined;
    },
    async consume() {},
    async destroy(id) {
      await deleteGrant(db, id);
    },
    async revokeByGrantId() {},
  };
}

/** Who the answer to an interaction logs in. */
function answeredLogin({ result }: AdapterPayload): string | undefined {
  return (result as { login?: { accountId?: string } } | undefined)?.login?.accountId;
}

function interactionGone(): Error {
  return new errors.SessionNotFound('interaction session not found');
}

function alreadyUsed(model: string): Error {
  return model === 'PushedAuthorizationRequest'
    ? new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
    : new errors.InvalidGrant('already used');
}

function replayed(): Error {
  const dpop = Provider.ctx?.get('dpop');
  return dpop && !Provider.ctx?.oidc?.params?.client_assertion
    ? new errors.InvalidDpopProof('DPoP proof was already used')
    : new errors.InvalidClientAuth('client assertion was already used');
}

function guard<Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) {
  return (...args: Args): Promise<Result> =>
    work(...args).catch((error: unknown) => {
      // The grant was ended while something was being issued under it.
      if (isMissingReference(error)) throw new errors.InvalidGrant('grant not found');
      throw engineError(error);
    });
}

function guardedSessions(options: AdapterOptions): SessionAdapter {
  const adapter = createSessionAdapter(options);
  return { ...guarded(adapter), renew: guard(adapter.renew) };
}

/** Every failure of storage leaves as one the engine can render. */
function guarded(adapter: Adapter): Adapter {
  return {
    upsert: guard(adapter.upsert.bind(adapter)),
    find: guard(adapter.find.bind(adapter)),
    findByUid: guard(adapter.findByUid.bind(adapter)),
    findByUserCode: guard(adapter.findByUserCode.bind(adapter)),
    consume: guard(adapter.consume.bind(adapter)),
    destroy: guard(adapter.destroy.bind(adapter)),
    revokeByGrantId: guard(adapter.revokeByGrantId.bind(adapter)),
  } as Adapter;
}
