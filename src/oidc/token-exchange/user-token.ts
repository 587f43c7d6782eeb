/** A user's access token as the subject of an exchange: a client passes on, narrower, what was given to it or sent to it. */
import { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider';
import { type Derivation, derivationOf, MOST_HOPS, tokenWords } from '../../domain/derivation.ts';
import { rightsBehind, type TokenRightsOptions } from '../../domain/token-rights.ts';
import type { AccessTokenClaims, VerifyAccessToken } from '../access-tokens.ts';
import { type GrantPayload, namedBy } from '../adapter.ts';
import { concernOf } from '../introspection-policy.ts';
import type { Target, Targets } from '../resource-servers.ts';
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
  async function findClaims(client: Client, token: string): Promise<AccessTokenClaims> {
    const claims = await options.verifyAccessToken(token);
    const target = claims && (await options.targets.find(claims.aud));
    if (claims === undefined || target === undefined || claims.iat < target.since) throw ended();
    const { client_id: clientId, team_id: teamId } = claims;
    if (concernOf(client, { clientId, teamId, targets: [target] }).length === 0) {
      throw invalidGrant(
        'The subject token was issued to another client, and is not for a resource server of this one.',
      );
    }
    return claims;
  }

  return async (ctx: KoaContextWithOIDC, token: string): Promise<Subject> => {
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
    const former = (claims.derived_from as string[] | undefined) ?? [];
    return {
      claims: {
        sub: claims.sub,
        client_id: client.clientId,
        team_id: claims.team_id!,
        grant_id: grantId,
        derived_from: [...former, ...tokenWords({ jti: claims.jti, clientId: claims.client_id })],
        act: { sub: client.clientId, ...(claims.act !== undefined && { act: claims.act }) },
      },
      resource: claims.aud,
      jkt: claims.cnf?.jkt,
      scopesAt(target: Target) {
        if (target.resource === claims.aud) return words(claims.scope).filter((scope) => rights.has(scope));
        if (namedBy(consent, options.defaultResource).includes(target.resource)) {
          return words(consent.getResourceScope(target.resource));
        }
        throw new errors.InvalidTarget('the user has not consented to access to this resource');
      },
      async hold(lifetime) {
        const iat = Math.floor(Date.now() / 1000);
        const exp = Math.min(iat + lifetime, claims.exp);
        if (exp <= iat) throw ended();
        return { iat, exp };
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

function words(scope: string | undefined): string[] {
  return scope ? scope.split(' ') : [];
}

// One for every reason, so that nobody learns which tokens there were.
function ended(): Error {
  return invalidGrant('The subject token is not an access token of this server, or has expired or been revoked.');
}
