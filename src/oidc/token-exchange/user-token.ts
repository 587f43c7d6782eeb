/** A user's access token as the subject of an exchange: a client passes on, narrower, what was given to it or sent to it. */
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider';
import { type Derivation, derivationOf, MOST_HOPS, tokenWords } from '../../domain/derivation.ts';
import { rightsBehind, type TokenRightsOptions } from '../../domain/token-rights.ts';
import type { AccessTokenClaims, VerifyAccessToken } from '../access-tokens.ts';
import { type GrantPayload, namedBy } from '../adapter.ts';
import { concernOf } from '../introspection-policy.ts';
import type { Target, Targets } from '../resource-servers.ts';
import { wordsOf } from '../scopes.ts';
import { noteExchange } from './note.ts';
import { invalidGrant, type Subject } from './subject.ts';

export interface TokenSubjectOptions extends TokenRightsOptions {
  verifyAccessToken: VerifyAccessToken;
  targets: Pick<Targets, 'find'>;
  defaultResource: string;
}

type Consent = GrantPayload & { getResourceScope(resource: string): string };

/** @returns the subject a token is; throws `invalid_grant` for one that has ended or is not the client's to pass on */
export function createTokenSubject(options: TokenSubjectOptions) {
  const { targets } = options;

  async function findClaims(client: Client, token: string): Promise<AccessTokenClaims> {
    const claims = await options.verifyAccessToken(token);
    const target = claims && (await targets.find(claims.aud));
    if (claims === undefined || target === undefined || claims.iat < target.since) throw ended();
    if (await isIts(client, claims, target)) return claims;
    throw ended('the token was issued to another client, and is not for a resource server of this one');
  }

  /**
   * Whether the client is the app the user let act, or a resource server to which the token came. Who has passed it on
   * already has it as the resource server it was then, and only as long as it is one.
   */
  async function isIts(client: Client, claims: AccessTokenClaims, target: Target): Promise<boolean> {
    const { client_id: clientId, team_id: teamId } = claims;
    if (concernOf(client, { clientId, teamId, targets: [target] }).length === 0) return false;
    const { clientIds = [], left = [] } = derivationOf(claims) ?? {};
    if ((clientIds[0] ?? clientId) === client.clientId) return true;
    const reached = await Promise.all(left.map(targets.find));
    const all = [target, ...reached.filter((one) => one !== undefined)];
    return concernOf(client, { teamId, targets: all }).length > 0;
  }

  return async (ctx: KoaContextWithOIDC, token: string): Promise<Subject> => {
    // Before anything is looked at: what ends after that ends the token to be.
    const iat = Math.floor(Date.now() / 1000);
    noteExchange(ctx, { details: { subject: 'access_token' } });
    const client = ctx.oidc.client!;
    const claims = await findClaims(client, token);
    noteExchange(ctx, { teamId: claims.team_id!, details: { subject_jti: claims.jti } });
    const derivation = derivationOf(claims);
    const grantId = requirePassable(claims, derivation);
    noteExchange(ctx, { target: { kind: 'user', id: claims.sub } });
    const rights = await rightsBehind(options, claims);
    const consent = await findConsent(ctx, grantId, claims, derivation);
    if (rights === undefined || consent === undefined) throw ended();

    function scopesAt({ resource }: Target): string[] {
      const consented = wordsOf(consent!.getResourceScope(resource));
      // What the user agreed to can end, and be asked for anew: it is not the token's again by that.
      if (resource === claims.aud)
        return wordsOf(claims.scope).filter((one) => rights!.has(one) && consented.includes(one));
      if (derivation?.left.includes(resource)) {
        throw new errors.InvalidTarget(
          'the subject token comes from one for this resource, and may say less: use that one',
        );
      }
      if (namedBy(consent!, options.defaultResource).includes(resource)) return consented;
      throw new errors.InvalidTarget('the user has not consented to access to this resource');
    }

    return {
      resource: claims.aud,
      jkt: claims.cnf?.jkt,
      async hold(lifetime) {
        const exp = Math.min(iat + lifetime, claims.exp);
        if (exp <= iat) throw ended();
        return { iat, exp };
      },
      at(target) {
        const parent = { jti: claims.jti, clientId: claims.client_id };
        const left = target.resource === claims.aud ? {} : { left: claims.aud };
        return {
          claims: {
            sub: claims.sub,
            client_id: client.clientId,
            team_id: claims.team_id!,
            grant_id: grantId,
            derived_from: [...(claims.derived_from ?? []), ...tokenWords({ ...parent, ...left })],
            act: { sub: client.clientId, ...(claims.act !== undefined && { act: claims.act }) },
          },
          scopes: scopesAt(target),
        };
      },
    };
  };
}

/** The consent a token hangs on. @throws InvalidRequest for a token without, or at the end of what can be passed on */
function requirePassable({ sub, client_id, grant_id }: AccessTokenClaims, derivation: Derivation | undefined): string {
  if (sub === client_id) {
    throw new errors.InvalidRequest('a token without a user cannot be exchanged: ask for one with client_credentials');
  }
  if (derivation?.keyId !== undefined || grant_id === undefined) {
    throw new errors.InvalidRequest('a token that was got for an API key cannot be exchanged again: exchange the key');
  }
  if ((derivation?.hops ?? 0) >= MOST_HOPS) {
    throw new errors.InvalidRequest(`a token can be passed on ${MOST_HOPS} times, and this one was`);
  }
  return grant_id;
}

async function findConsent(
  ctx: KoaContextWithOIDC,
  grantId: string,
  { sub, client_id, team_id }: AccessTokenClaims,
  derivation: Derivation | undefined,
): Promise<Consent | undefined> {
  const grant = await ctx.oidc.provider.Grant.find(grantId);
  const consent = grant as unknown as Consent | undefined;
  const appId = derivation?.clientIds[0] ?? client_id;
  const isIts = consent?.accountId === sub && consent.teamId === team_id && consent.clientId === appId;
  if (!isIts) return undefined;
  ctx.oidc.entity('Grant', grant);
  return consent;
}

// One for every reason, so that nobody learns which tokens there were.
function ended(detail?: string): Error {
  return invalidGrant(
    'The subject token is not an access token of this server that is yours to exchange, or has expired or been revoked.',
    detail,
  );
}
