/** What somebody says about keys that are to be given up: which, until when, and what replaces them. */
import { AppError, invalidField } from '../errors.ts';
import { findApiKey } from '../storage/api-keys.ts';
import type { Queryable } from '../storage/pool.ts';
import type { RetirementScope, RetirementSubject } from '../storage/retirements.ts';
import { findTeam } from '../storage/teams.ts';
import { LATEST } from './expiry.ts';
import { isPrefixFree, LONGEST_PREFIX } from './imported-keys.ts';
import { isUuid } from './names.ts';
import { isWebUrl } from './redirect-uris.ts';

/** One of: `keyId`; `teamId`; `prefix`; `teamId` and `prefix`. */
export interface RetirementInput {
  keyId?: string | undefined;
  teamId?: string | undefined;
  /** How the keys begin; `lkp_` and `lkt_` are all personal and all team keys made here. */
  prefix?: string | undefined;
  retiresAt: Date;
  /** https, or http on loopback. */
  replacementUrl?: string | null | undefined;
}

const SHORTEST_PREFIX = 4;
const OWN_PREFIX = /^lk[pt]_/;
/** As much as is kept of a key made here, which identifies one key already. */
const LONGEST_OWN_PREFIX = 8;
const LONGEST_URL = 2_000;
// RFC 3986 §2: anything else has to be percent-encoded in a URI, and none of it ends a header's `<…>`.
const URI_CHARACTERS = /^[A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]+$/;
/** Clocks differ: what is "now" at the caller may have passed here. */
const GRACE_MS = 5_000;

/** @throws AppError `invalid_argument` for a time that has passed, or is none */
export function checkRetiresAt(value: Date | undefined): Date {
  const time = value?.getTime() ?? Number.NaN;
  if (Number.isNaN(time) || time > LATEST)
    throw invalidField('retires_at', 'must be a time such as 2030-01-31T00:00:00Z');
  if (time < Date.now() - GRACE_MS) throw invalidField('retires_at', 'must not be in the past');
  return value!;
}

/** @throws AppError `invalid_argument` for what is neither https nor http on loopback, or would not fit a header */
export function checkReplacementUrl(value: string | null | undefined): string | null {
  if (value === undefined || value === null) return null;
  if (!/^https?:\/\//.test(value)) {
    throw invalidField('replacement_url', 'must begin with https:// (or with http:// on loopback)');
  }
  const url = value.length <= LONGEST_URL && URI_CHARACTERS.test(value) ? URL.parse(value) : null;
  if (url === null) {
    throw invalidField('replacement_url', `must be a percent-encoded URL of at most ${LONGEST_URL} characters`);
  }
  // As it is written, and as it is read: a parser skips any number of slashes before a user name.
  if (!isWebUrl(url) || !/^https?:\/\/[^/]/.test(value)) {
    throw invalidField('replacement_url', 'must be an https URL, or an http URL on loopback');
  }
  if (url.username !== '' || url.password !== '' || /^https?:\/\/[^/?#]*@/.test(value)) {
    throw invalidField('replacement_url', 'must not have a user name or password');
  }
  return value;
}

/**
 * Which keys are meant.
 * @param scope whose keys may be meant
 * @throws AppError `invalid_argument`; `not_found` when there is no such key or team within the scope
 */
export async function toSubject(
  tx: Queryable,
  { keyId, teamId, prefix }: RetirementInput,
  scope: RetirementScope,
): Promise<RetirementSubject> {
  if (keyId !== undefined) {
    if (prefix !== undefined) throw invalidField('prefix', 'does not go with key_id');
    const key = isUuid(keyId) ? await findApiKey(tx, keyId, scope) : undefined;
    if (key === undefined) throw new AppError('not_found', 'There is no such API key.');
    if (teamId !== undefined && teamId !== key.teamId) throw noSuchTeam();
    return { keyId, teamId: key.teamId, prefix: null };
  }
  if (teamId === undefined && prefix === undefined) throw invalidField('key_id', 'or team_id or prefix must be given');
  if (teamId === undefined && scope.teamId !== undefined) {
    throw invalidField('team_id', 'must be given: only the root team retires a prefix in every team');
  }
  if (prefix !== undefined) checkPrefix(prefix);
  if (teamId !== undefined && !(await isTeamWithin(tx, teamId, scope))) throw noSuchTeam();
  return { keyId: null, teamId: teamId ?? null, prefix: prefix ?? null };
}

function checkPrefix(prefix: string): void {
  const isOwn = OWN_PREFIX.test(prefix);
  const longest = isOwn ? LONGEST_OWN_PREFIX : LONGEST_PREFIX;
  if (prefix.length < SHORTEST_PREFIX || prefix.length > longest || !/^[\x21-\x7e]+$/.test(prefix)) {
    throw invalidField(
      'prefix',
      isOwn
        ? `must have at most ${longest} characters of a key made here; for one key, give its key_id`
        : `must be ${SHORTEST_PREFIX} to ${longest} visible characters`,
    );
  }
  if (!isOwn && !isPrefixFree(prefix)) throw invalidField('prefix', 'is none that an API key can have');
}

async function isTeamWithin(tx: Queryable, teamId: string, scope: RetirementScope): Promise<boolean> {
  if (!isUuid(teamId) || (scope.teamId !== undefined && teamId !== scope.teamId)) return false;
  return (await findTeam(tx, teamId)) !== undefined;
}

function noSuchTeam(): AppError {
  return new AppError('not_found', 'There is no such team.');
}
