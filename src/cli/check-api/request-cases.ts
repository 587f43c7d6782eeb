import { bearer, type Case } from './case.ts';

/** A place for a form may not exist at all. */
const NO_SUCH_POST = [400, 401, 403, 404, 405, 415];

/** Where and how a credential is sent. @param good one the API takes: an access token or an API key. */
export function requestCases(good: string): Case[] {
  return [
    {
      name: 'no credential',
      attempt: {},
      expected: [401],
      challenge: true,
      fault: 'answers whoever asks, or without saying how to authenticate (RFC 6750 §3)',
    },
    {
      name: 'Bearer with nothing after it',
      attempt: { authorization: 'Bearer ' },
      fault: 'takes an empty credential (RFC 6750 §2.1)',
    },
    {
      name: 'Basic with a made-up password',
      attempt: { authorization: `Basic ${Buffer.from('check-api:check-api').toString('base64')}` },
      fault: 'takes any Authorization header for a login (RFC 7617 §2)',
    },
    {
      name: 'good credential under another scheme',
      attempt: { authorization: `Token ${good}` },
      fault: 'does not look at the scheme (RFC 6750 §2.1)',
    },
    {
      name: 'good credential without a scheme',
      attempt: { authorization: good },
      fault: 'does not look at the scheme (RFC 6750 §2.1)',
    },
    {
      name: 'good credential as lower-case bearer',
      attempt: { authorization: `bearer ${good}` },
      expected: 'accepted',
      fault: 'compares the scheme with case, and refuses correct callers (RFC 9110 §11.1)',
    },
    { name: 'garbage', attempt: bearer('garbage'), fault: 'does not check the credential at all (RFC 6750 §3.1)' },
    {
      name: 'garbage that is not base64',
      attempt: bearer('%%%.###.$$$'),
      fault: 'does not check the credential at all (RFC 6750 §3.1)',
    },
    {
      name: 'two Authorization headers, good and bad',
      attempt: { authorization: [`Bearer ${good}`, 'Bearer garbage'] },
      fault: 'picks one of several headers, and a proxy may pick the other (RFC 9110 §5.3)',
    },
    {
      name: 'two credentials in one header',
      attempt: bearer(`${good}, Bearer garbage`),
      fault: 'picks one of several credentials (RFC 6750 §2)',
    },
    {
      name: 'good credential in the query only',
      attempt: { query: { access_token: good } },
      fault: 'takes credentials from URLs, which end up in logs (RFC 9700 §4.3.2)',
    },
    {
      name: 'good credential in the header and the query',
      attempt: { ...bearer(good), query: { access_token: good } },
      fault: 'does not object to a credential sent twice (RFC 6750 §2)',
    },
    {
      name: 'good credential in a cookie',
      attempt: { cookie: `access_token=${good}; token=${good}` },
      fault: 'takes credentials that browsers send by themselves: cross-site requests work (RFC 6750 §5.3)',
    },
    {
      name: 'good credential in a form',
      attempt: { form: { access_token: good } },
      expected: NO_SUCH_POST,
      fault: 'takes credentials from a form, which any page can send (RFC 6750 §2.2)',
    },
  ];
}
