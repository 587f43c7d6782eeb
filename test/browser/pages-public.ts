/** What can be seen without being logged in here, and what apps send people to. */
import { createPkce } from '../support/flows.ts';
import { logIn } from './log-in.ts';
import type { ListedPage } from './pages.ts';
import type { Sample } from './sample.ts';
import { reads } from './sees.ts';

function authorization({ apps }: Sample, prompt: string): string {
  const query = new URLSearchParams({
    client_id: apps.reports.clientId,
    response_type: 'code',
    redirect_uri: apps.reports.redirectUris[0]!,
    scope: 'openid offline_access providers:read',
    prompt,
    code_challenge: createPkce().challenge,
    code_challenge_method: 'S256',
  });
  return `/oauth2/authorize?${query}`;
}

const wrongPassword: ListedPage['act'] = async (page) => {
  await logIn(page, 'nobody@example.com');
  await reads(page, 'Email or password is wrong.');
};

const interaction = { route: '/interaction/:uid' };
const nobody = { as: 'nobody' } as const;

export const PUBLIC_PAGES: readonly ListedPage[] = [
  { name: 'home', route: '/', ...nobody },
  // The whole API on one page.
  { name: 'docs', route: '/docs', ...nobody, mostBytes: 400 * 1_024 },
  { name: 'not-found', route: '*', path: () => '/nothing-here', ...nobody },
  { name: 'login', route: '/login', ...nobody },
  { name: 'login-wrong', route: '/login', ...nobody, act: wrongPassword },
  { name: 'logged-out', route: '/login', path: () => '/login?done=logged-out', ...nobody },
  { name: 'app-login', ...interaction, path: (sample) => authorization(sample, 'login'), ...nobody },
  {
    ...{ name: 'app-login-wrong', ...interaction, path: (sample) => authorization(sample, 'login'), ...nobody },
    act: wrongPassword,
  },
  { name: 'app-consent', ...interaction, path: (sample) => authorization(sample, 'consent'), as: 'admin' },
  { name: 'app-logout', route: '/oauth2/logout', as: 'admin' },
  { name: 'app-error', route: '/oauth2/authorize', path: () => '/oauth2/authorize?client_id=nobody', ...nobody },
  { name: 'setup-link-used', route: '/setup', path: () => '/setup?token=used', ...nobody },
];
