/** An API key as the subject of an exchange. Whoever holds it may have its tokens; a client that asks is named in them. */
import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import { type ApiKeys, subjectOf, type VerifiedKey } from '../../domain/api-keys.ts';
import { keyWord } from '../../domain/derivation.ts';
import type { KeyGuesses } from '../../domain/key-guesses.ts';
import { noticeOf, type Retirement } from '../../domain/retirements.ts';
import { noteExchange } from './note.ts';
import { invalidGrant, type Subject, type Times } from './subject.ts';

export interface KeySubjectOptions {
  apiKeys: Pick<ApiKeys, 'check' | 'holdForToken'>;
  keyGuesses: KeyGuesses;
  addressOf: (ctx: KoaContextWithOIDC) => string | undefined;
  /** Identifier of the server's own API, which keys open unless another one is named. */
  defaultResource: string;
}

/** @returns the subject a key's text is; throws `invalid_grant` for one that opens nothing */
export function createKeySubject({ apiKeys, keyGuesses, addressOf, defaultResource }: KeySubjectOptions) {
  async function find(ctx: KoaContextWithOIDC, text: string): Promise<VerifiedKey> {
    const look = () => apiKeys.check(text);
    // A client that has proved who it is needs no bound: it can be switched off.
    const isAnonymous = ctx.oidc.client === undefined;
    const found = await (isAnonymous ? keyGuesses.check(text, addressOf(ctx), look) : look());
    if (found === undefined) throw unknownKey();
    if (!('retired' in found)) return found;
    tell(ctx, found.retired);
    throw invalidGrant('The API key has been retired. The Link header says what to use instead, if anything does.');
  }

  return async (ctx: KoaContextWithOIDC, text: string): Promise<Subject> => {
    noteExchange(ctx, { details: { subject: 'api_key' } });
    const key = await find(ctx, text);
    const { id, kind, teamId, userId } = key;
    noteExchange(ctx, {
      ...(ctx.oidc.client === undefined && {
        actor: { kind: kind === 'team' ? 'team_key' : 'personal_key', id, userId },
      }),
      teamId,
      target: userId === undefined ? undefined : { kind: 'user', id: userId },
      details: { subject: kind === 'team' ? 'team_key' : 'personal_key', key_id: id },
    });
    if (key.retirement !== undefined) tell(ctx, key.retirement);
    const client = ctx.oidc.client?.clientId;
    const claims = {
      sub: subjectOf(key),
      client_id: client ?? keyWord(id),
      team_id: teamId,
      derived_from: [keyWord(id)],
      ...(client !== undefined && { act: { sub: client } }),
    };
    return {
      resource: defaultResource,
      async hold(lifetime): Promise<Times> {
        const held = await apiKeys.holdForToken(id, text, new Date(Date.now() + lifetime * 1000));
        if (held === undefined) throw unknownKey();
        // Nobody could know before that there would be a token to end.
        const { expiresAt } = await find(ctx, text);
        // Not later than what changes the key next, by the clock that change is written with.
        const iat = Math.floor(Math.min(Date.now(), held.now.getTime()) / 1000);
        const ends = [expiresAt, held.expiresAt, held.textExpiresAt].map((one) => one?.getTime() ?? Infinity);
        const exp = Math.floor(Math.min((iat + lifetime) * 1000, ...ends) / 1000);
        if (exp <= iat) throw unknownKey();
        return { iat, exp };
      },
      at(target) {
        if (target.acceptsApiKeys) return { claims, scopes: undefined };
        throw new errors.InvalidTarget('this resource does not accept API keys, nor tokens that were got for one');
      },
    };
  };
}

// One for every reason: whoever tries keys learns nothing from it.
function unknownKey(): Error {
  return invalidGrant('The API key is unknown, revoked or expired, or its owner may not act in its team any more.');
}

function tell(ctx: KoaContextWithOIDC, retirement: Retirement): void {
  ctx.set({ ...noticeOf(retirement) });
}
