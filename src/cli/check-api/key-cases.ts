import { createSecretText } from '../../domain/secret-text.ts';
import { bearer, type Case } from './case.ts';

/** Credentials of the operator for cases that cannot be made up. */
export interface GivenKeys {
  key?: string | undefined;
  revokedKey?: string | undefined;
  otherTeamKey?: string | undefined;
}

/** API keys that open nothing; around the good one, if there is one. */
export function keyCases({ key, revokedKey, otherTeamKey }: GivenKeys): Case[] {
  const unknown = createSecretText('lkp_').text;
  const damaged = unknown.slice(0, 20) + (unknown[20] === 'A' ? 'B' : 'A') + unknown.slice(21);
  const needsKey = key === undefined ? { needs: '--key' } : {};
  return [
    {
      name: 'API key of a wrong shape',
      attempt: bearer('lkp_check-api'),
      fault: 'goes by the prefix of a key alone (RFC 6750 §3.1)',
    },
    {
      name: 'API key with a wrong checksum',
      attempt: bearer(damaged),
      fault: 'does not look keys up (RFC 6750 §3.1)',
    },
    {
      name: 'API key that nobody was given',
      attempt: bearer(unknown),
      fault: 'takes every well-formed key (RFC 6750 §3.1)',
    },
    {
      name: 'team key that nobody was given',
      attempt: bearer(createSecretText('lkt_').text),
      fault: 'takes every well-formed key (RFC 6750 §3.1)',
    },
    {
      name: 'client secret instead of a key',
      attempt: bearer(createSecretText('lks_').text),
      fault: 'takes client secrets for credentials of an API (RFC 6749 §2.3)',
    },
    {
      name: 'good API key, truncated',
      ...needsKey,
      attempt: key === undefined ? undefined : bearer(key.slice(0, -1)),
      fault: 'compares the beginning of a key only (RFC 6750 §3.1)',
    },
    {
      name: 'good API key with a letter more',
      ...needsKey,
      attempt: key === undefined ? undefined : bearer(`${key}A`),
      fault: 'compares the beginning of a key only (RFC 6750 §3.1)',
    },
    {
      name: 'good API key in the query only',
      ...needsKey,
      attempt: key === undefined ? undefined : { query: { api_key: key } },
      fault: 'takes keys from URLs, which end up in logs (RFC 9700 §4.3.2)',
    },
    {
      name: 'revoked API key',
      needs: '--revoked-key',
      attempt: revokedKey === undefined ? undefined : bearer(revokedKey),
      fault: 'goes on taking a key that was revoked (RFC 7009 §2)',
    },
    {
      name: "another team's API key",
      needs: '--other-team-key',
      attempt: otherTeamKey === undefined ? undefined : bearer(otherTeamKey),
      // That there is such a thing may be a secret of the team it belongs to.
      expected: [401, 403, 404],
      fault: "shows one team's data to another (RFC 6750 §3.1, insufficient_scope)",
    },
  ];
}
