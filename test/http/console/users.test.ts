import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../../src/domain/audit.ts';
import { ROLE_IDS, ROOT_TEAM_ID } from '../../../src/domain/permissions.ts';
import { type Browser, createBrowser, formOn, type Visit } from '../../support/browser.ts';
import { fillIn, logInAt, wordsOf } from '../../support/console.ts';
import { connect, createPerson, PASSWORD, refresh } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';

const USERS = '/console/users';

let server: TestServer;
/** A root administrator. */
let admin: Browser;
let adminId: string;
/** The administrator of a team, and a user in no team of theirs. */
let boss: { browser: Browser; teamId: string; userId: string };
let stranger: Awaited<ReturnType<typeof createPerson>>;
beforeAll(async () => {
  server = await startTestServer();
  const person = await createPerson(server, { teamId: ROOT_TEAM_ID });
  adminId = person.userId;
  admin = await logInAt(server, person);
  const other = await createPerson(server);
  boss = { ...other, browser: await logInAt(server, other) };
  stranger = await createPerson(server);
});
afterAll(() => server.close());

const open = (path: string, browser = admin) => browser.get(`${server.origin}${path}`);
const press = (path: string, changes: Record<string, string | undefined> = {}, browser = admin, action?: string) =>
  fillIn(server, browser, path, changes, action);
const role = (name: keyof typeof ROLE_IDS) => `team_roles:${ROLE_IDS[name]}`;
const idIn = (visit: Visit) => new URL(visit.url).pathname.split('/').pop()!;
let count = 0;
const newEmail = () => `new-${++count}@example.com`;
const answerOf = (visit: Visit) => [visit.status, wordsOf(visit)];
const saying = (text: string) => expect.stringContaining(text);

describe('the list', () => {
  test('shows everybody to the root team, with teams, roles and status', async () => {
    const { id } = await server.domain.users.create(
      {
        email: 'grace@list.example',
        name: 'Grace Hopper',
        teamRoles: [{ teamId: boss.teamId, roles: ['Viewer', 'Operator'] }],
      },
      OPERATOR,
    );
    await server.domain.users.setEnabled(id, false, OPERATOR);
    const words = wordsOf(await open(`${USERS}?q=grace@list`));
    const team = (await server.domain.teams.find(boss.teamId))!;
    expect(words).toContain('Grace Hopper grace@list.example');
    expect(words).toContain(`${team.name}: Operator, Viewer Disabled`);
  });

  test('is searched by words of name and email, and filtered by status and team', async () => {
    const make = (name: string, more = {}) =>
      server.domain.users.create({ email: `${name}@filter.example`, name: `Filter ${name}`, ...more }, OPERATOR);
    await make('active');
    const off = await make('disabled');
    await server.domain.users.setEnabled(off.id, false, OPERATOR);
    const over = await make('expired');
    await server.domain.users.update(over.id, { expiresAt: new Date('2001-01-01') }, {}, OPERATOR);
    await make('member', { teamRoles: [{ teamId: stranger.teamId, roles: ['Viewer'] }] });
    const found = async (query: string) =>
      [...wordsOf(await open(`${USERS}?q=filter&${query}`)).matchAll(/(\w+)@filter\.example/g)].map(([, name]) => name);
    expect(await found('sort=name')).toEqual(['active', 'disabled', 'expired', 'member']);
    expect(await found('sort=-name')).toEqual(['member', 'expired', 'disabled', 'active']);
    expect(await found('status=disabled')).toEqual(['disabled']);
    expect(await found('status=expired')).toEqual(['expired']);
    expect(await found('status=active&sort=email')).toEqual(['active', 'member']);
    expect(await found(`team=${stranger.teamId}`)).toEqual(['member']);
    expect(wordsOf(await open(`${USERS}?q=nobodywouldhavethis`))).toContain('Nothing here matches.');
  });

  test('goes on page by page, each user once', async () => {
    const team = await server.domain.teams.create({ name: 'Many people' }, OPERATOR);
    for (let n = 0; n < 30; n += 1) {
      await server.domain.users.create(
        { email: `many-${n}@example.com`, teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] },
        OPERATOR,
      );
    }
    const seen: string[] = [];
    let next: string | undefined = `${USERS}?team=${team.id}&sort=email`;
    while (next !== undefined) {
      const page: Visit = await open(next);
      seen.push(
        ...[...page.text.matchAll(/<bdi>(many-\d+@example\.com)<\/bdi><\/td>|data-label="Email">\s*<bdi>([^<]*)/g)].map(
          ([, a, b]) => (a ?? b)!,
        ),
      );
      next = /href="([^"]*)" rel="next"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&');
    }
    expect(seen).toHaveLength(30);
    expect(new Set(seen).size).toBe(30);
    expect(seen).toEqual([...seen].sort());
  });

  test('row 110: shows a team’s administrator the members of the team alone, with their roles there', async () => {
    const { userId, email } = await createPerson(server, { teamId: boss.teamId, role: 'Viewer' });
    const elsewhere = { userId, teamId: stranger.teamId, roles: ['Operator'] };
    await server.domain.memberships.setRoles(elsewhere, OPERATOR);
    const words = wordsOf(await open(USERS, boss.browser));
    expect(words).toContain(email);
    const looked = await open(`${USERS}?q=${encodeURIComponent(stranger.email)}`, boss.browser);
    expect(wordsOf(looked)).toContain('Nothing here matches.');
    expect(wordsOf(await open(`${USERS}?q=${encodeURIComponent(email)}`, boss.browser))).toContain(email);
    const other = (await server.domain.teams.find(stranger.teamId))!;
    for (const path of ['', '/edit', '/password', '/disable', '/delete'].map((end) => `${USERS}/${userId}${end}`)) {
      const page = await open(path, boss.browser);
      expect([path, page.text.includes(other.name), page.text.includes(other.id)]).toEqual([path, false, false]);
    }
    expect(wordsOf(await open(`${USERS}?team=${stranger.teamId}`, boss.browser))).not.toContain(stranger.email);
  });
});

describe('creating a user', () => {
  test('with a password, a first team and a role; they can log in', async () => {
    const email = newEmail();
    const made = await press(`${USERS}/new`, {
      email,
      name: 'Ada Lovelace',
      display_name: 'Countess',
      password: PASSWORD,
      team_id: boss.teamId,
      [role('Operator')]: 'on',
      expires_at: '2091-03-01',
    });
    expect(answerOf(made)).toEqual([200, saying('It is created.')]);
    expect(await server.domain.users.find(idIn(made))).toMatchObject({
      email,
      name: 'Ada Lovelace',
      displayName: 'Countess',
      hasPassword: true,
      expiresAt: new Date('2091-03-02T00:00:00Z'),
      // Viewer is there already: it is what the form proposes.
      teamRoles: [
        { teamId: boss.teamId, roleName: 'Operator' },
        { teamId: boss.teamId, roleName: 'Viewer' },
      ],
    });
    await logInAt(server, { email });
  });

  test('what is wrong is said at the field, and what was typed stays but for the password', async () => {
    const wrong = await press(`${USERS}/new`, { email: 'no address', name: 'Kept', password: 'the secret they typed' });
    expect(answerOf(wrong)).toEqual([422, saying('Email must be an email address such as ada@example.com.')]);
    expect(wrong.text).toContain('value="Kept"');
    expect(wrong.text).not.toContain('the secret they typed');
    const short = await press(`${USERS}/new`, { email: newEmail(), password: 'x' });
    expect(answerOf(short)).toEqual([422, saying('Password must have at least')]);
    const taken = await press(`${USERS}/new`, { email: stranger.email.toUpperCase() });
    expect(answerOf(taken)).toEqual([409, saying('Email belongs to another user already.')]);
    const noRole = await press(`${USERS}/new`, {
      email: newEmail(),
      team_id: boss.teamId,
      [role('Viewer')]: undefined,
    });
    expect(answerOf(noRole)).toEqual([422, saying('Roles must be one at least.')]);
    const noTeam = await press(`${USERS}/new`, { email: newEmail(), team_id: crypto.randomUUID() });
    expect(answerOf(noTeam)).toEqual([422, saying('Team is not the name of a team.')]);
    const past = await press(`${USERS}/new`, { email: newEmail(), expires_at: '2001-01-01' });
    expect(answerOf(past)).toEqual([422, saying('Expires must not be over yet.')]);
    const noDay = await press(`${USERS}/new`, { email: newEmail(), expires_at: '2031-02-31' });
    expect(answerOf(noDay)).toEqual([422, saying('Expires must be a day such as 2030-01-31.')]);
    const notThere = await press(`${USERS}/new`, {
      email: newEmail(),
      team_id: ROOT_TEAM_ID,
      [role('oaa_push')]: 'on',
    });
    expect(answerOf(notThere)).toEqual([422, saying('oaa_push cannot be given in the root team')]);
  });

  test('row 110: from within a team only into that team, whatever the form says', async () => {
    const email = newEmail();
    const page = await open(`${USERS}/new`, boss.browser);
    expect(page.text).not.toContain('name="team_id"');
    expect(page.text).not.toContain(stranger.teamId);
    const made = await fillIn(server, boss.browser, page, { email, team_id: ROOT_TEAM_ID });
    expect((await server.domain.users.findByEmail(email))!.teamRoles).toMatchObject([{ teamId: boss.teamId }]);
    expect(made.status).toBe(200);
    const taken = await press(`${USERS}/new`, { email: stranger.email }, boss.browser);
    expect(answerOf(taken)).toEqual([409, saying('An administrator of the root team can add them to yours.')]);
    expect(wordsOf(taken)).not.toContain('another user already');
  });

  test('row 112: what is not on the form cannot be set', async () => {
    const email = newEmail();
    const forged = { id: adminId, enabled: '', created_at: '2001-01-01', auth_provider_id: 'x', role: 'Admin' };
    await press(`${USERS}/new`, { email, ...forged, [`team_roles:${ROLE_IDS.Admin}:x`]: 'on' });
    expect(await server.domain.users.findByEmail(email)).toMatchObject({
      enabled: true,
      authProviderId: '',
      teamRoles: [],
    });
  });
});

describe('changing a user', () => {
  test('names, email and expiry; an expiry that is not touched keeps its time of day', async () => {
    const one = await createPerson(server);
    const path = `${USERS}/${one.userId}`;
    await server.domain.users.update(one.userId, { expiresAt: new Date('2092-05-05T10:30:00Z') }, {}, OPERATOR);
    const email = newEmail();
    const after = await press(`${path}/edit`, { email, given_name: 'Ada', family_name: '<i>Lovelace</i>' });
    expect(answerOf(after)).toEqual([200, saying('Your changes are saved.')]);
    expect(wordsOf(after)).toContain('<i>Lovelace</i>');
    const read = () => server.domain.users.find(one.userId);
    const expiresAt = new Date('2092-05-05T10:30:00Z');
    expect(await read()).toMatchObject({ email, givenName: 'Ada', familyName: '<i>Lovelace</i>', expiresAt });
    await press(`${path}/edit`, { expires_at: '2093-01-31' });
    expect(await read()).toMatchObject({ expiresAt: new Date('2093-02-01T00:00:00Z') });
    await press(`${path}/edit`, { expires_at: '' });
    expect(await read()).toMatchObject({ expiresAt: null });
  });

  test('stopping somebody by an expiry is refused: it would show nothing of what stops', async () => {
    const one = await createPerson(server);
    const answer = await press(`${USERS}/${one.userId}/edit`, { expires_at: '2020-01-01' });
    expect(answerOf(answer)).toEqual([422, saying('To stop the user now, disable them')]);
    // Who has expired already can be renamed all the same.
    await server.domain.users.update(one.userId, { expiresAt: new Date('2020-01-01T12:00:00Z') }, {}, OPERATOR);
    const renamed = await press(`${USERS}/${one.userId}/edit`, { name: 'Renamed' });
    expect(answerOf(renamed)).toEqual([200, saying('Renamed Expired')]);
  });

  test('a form that somebody else’s change has overtaken changes nothing', async () => {
    const one = await createPerson(server);
    const page = await open(`${USERS}/${one.userId}/edit`);
    await server.domain.users.update(one.userId, { name: 'By somebody else' }, {}, OPERATOR);
    const answer = await fillIn(server, admin, page, { name: 'Mine' });
    expect(answerOf(answer)).toEqual([412, saying('It was changed since you read it.')]);
    expect(await server.domain.users.find(one.userId)).toMatchObject({ name: 'By somebody else' });
    expect((await fillIn(server, admin, answer)).status).toBe(200);
    expect(await server.domain.users.find(one.userId)).toMatchObject({ name: 'Mine' });
  });

  test('one’s own password is changed with the former one, not here', async () => {
    const person = await createPerson(server, { teamId: ROOT_TEAM_ID });
    const browser = await logInAt(server, person);
    const path = `${server.origin}${USERS}/${person.userId}/password`;
    const { csrf } = formOn(await open('/account', browser), '/logout').fields;
    const answers = [
      await browser.get(path),
      await browser.post(path, { csrf: csrf!, team: person.teamId, password: 'another long password' }),
    ];
    for (const { status, location } of answers) {
      expect([status, location]).toEqual([303, `${server.origin}/account/password`]);
    }
    await logInAt(server, person);
  });

  test('row 102: a new password ends sessions and connected apps, and the page says so', async () => {
    const { person, app, browser, tokens } = await connect(server);
    const path = `${USERS}/${person.userId}/password`;
    const key = await server.domain.apiKeys.createPersonal({ ...person, name: 'Stays' }, OPERATOR);
    expect(wordsOf(await open(path))).toContain('Every session of theirs ends');
    expect(answerOf(await press(path, { password: 'x' }))).toEqual([422, saying('New password must have at least')]);
    const after = await press(path, { password: 'another long password' });
    expect(answerOf(after)).toEqual([200, saying('saved')]);
    expect((await browser.get(`${server.origin}/console/team`)).status).toBe(303);
    expect((await refresh(server, app, tokens.refresh_token)).status).toBe(400);
    expect(await server.domain.apiKeys.verify(key.text)).toMatchObject({ kind: 'personal' });
    await logInAt(server, person, 'another long password');
  });

  test('enabling is one press', async () => {
    const one = await createPerson(server);
    await server.domain.users.setEnabled(one.userId, false, OPERATOR);
    const path = `${USERS}/${one.userId}`;
    expect(wordsOf(await press(path, {}, admin, '/enable'))).toContain('It is switched on.');
    expect(await server.domain.users.find(one.userId)).toMatchObject({ enabled: true });
  });
});

describe('roles', () => {
  test('are changed in one team, and the others stay', async () => {
    const one = await createPerson(server, { role: 'Viewer' });
    await server.domain.memberships.setRoles({ ...one, teamId: stranger.teamId, roles: ['Viewer'] }, OPERATOR);
    const path = `${USERS}/${one.userId}/teams/${one.teamId}`;
    const page = await open(path);
    expect(formOn(page, path).fields).toMatchObject({ [role('Viewer')]: 'on' });
    await fillIn(server, admin, page, { [role('Viewer')]: undefined, [role('Operator')]: 'on' });
    const roles = (await server.domain.users.find(one.userId))!.teamRoles.map((held) => [held.teamId, held.roleName]);
    expect(new Map(roles as [string, string][])).toEqual(
      new Map([
        [one.teamId, 'Operator'],
        [stranger.teamId, 'Viewer'],
      ]),
    );
    const none = await press(path, { [role('Operator')]: undefined });
    expect(answerOf(none)).toEqual([422, saying('Roles must be one at least.')]);
  });

  test('what somebody else took away meanwhile is not given back, nor is a membership ended unseen', async () => {
    const one = await createPerson(server);
    const path = `${USERS}/${one.userId}/teams/${one.teamId}`;
    const [page, removal] = [await open(path), await open(`${path}/remove`)];
    await server.domain.memberships.setRoles({ ...one, roles: ['Viewer'] }, OPERATOR);
    for (const form of [page, removal]) {
      const answer = await fillIn(server, admin, form);
      expect(answerOf(answer)).toEqual([412, saying('It was changed since you read it.')]);
    }
    const { teamRoles } = (await server.domain.users.find(one.userId))!;
    expect(teamRoles.map(({ roleName }) => roleName)).toEqual(['Viewer']);
  });

  test('are given in another team from the root team', async () => {
    const one = await createPerson(server);
    const path = `${USERS}/${one.userId}/teams/new`;
    const after = await press(path, { team_id: stranger.teamId, [role('Viewer')]: 'on' });
    expect(answerOf(after)).toEqual([200, saying('Your changes are saved.')]);
    expect((await server.domain.users.find(one.userId))!.teamRoles).toHaveLength(2);
    const again = await press(path, { team_id: stranger.teamId, [role('Admin')]: 'on' });
    expect(answerOf(again)).toEqual([422, saying('Team has this user as a member already')]);
    const none = await press(path, { team_id: '', [role('Admin')]: 'on' });
    expect(answerOf(none)).toEqual([422, saying('Team must be chosen.')]);
    expect((await open(`${USERS}/${boss.userId}/teams/new`, boss.browser)).status).toBe(403);
  });

  test('nobody gives what they lack: the page says what', async () => {
    const { rows } = await server.db.query<{ id: string }>(
      "INSERT INTO roles (name, permissions) VALUES ('Doorkeeper', '{users:read,users:write}') RETURNING id",
    );
    const keeper = await createPerson(server, { teamId: boss.teamId });
    await server.domain.memberships.setRoles({ ...keeper, roles: [rows[0]!.id] }, OPERATOR);
    const browser = await logInAt(server, keeper);
    const one = await createPerson(server, { teamId: boss.teamId, role: 'Viewer' });
    const path = `${USERS}/${one.userId}/teams/${boss.teamId}`;
    const answer = await press(path, { [role('Operator')]: 'on' }, browser);
    expect(answerOf(answer)).toEqual([403, saying('Giving the role Operator needs all that it permits.')]);
    expect(answer.text).toContain(`name="${role('Operator')}" value="on" checked`);
    const made = await press(`${USERS}/new`, { email: newEmail(), [role('Admin')]: 'on' }, browser);
    expect(answerOf(made)).toEqual([403, saying('Giving the role')]);
    // Taking away, and giving what one has, need no more.
    const less = await press(path, { [role('Viewer')]: undefined, [`team_roles:${rows[0]!.id}`]: 'on' }, browser);
    expect(less.status).toBe(200);
  });

  test('row 110: a user or team of others is not found, by whichever id', async () => {
    const mine = await createPerson(server, { teamId: boss.teamId, role: 'Viewer' });
    const paths = [
      `/${stranger.userId}`,
      `/${stranger.userId}/edit`,
      `/${stranger.userId}/password`,
      `/${stranger.userId}/teams/${stranger.teamId}`,
      `/${stranger.userId}/teams/${boss.teamId}`,
      `/${mine.userId}/teams/${stranger.teamId}`,
      `/${mine.userId}/teams/${ROOT_TEAM_ID}`,
      '/no-id',
      `/${crypto.randomUUID()}`,
    ];
    const { csrf, team } = formOn(await open(`${USERS}/new`, boss.browser), '/new').fields;
    const fields = { csrf: csrf!, team: team!, password: 'a long new password', [role('Admin')]: 'on', name: 'x' };
    for (const path of paths) {
      expect([path, (await open(`${USERS}${path}`, boss.browser)).status]).toEqual([path, 404]);
      const posted = await boss.browser.post(`${server.origin}${USERS}${path}`, fields);
      expect([path, [404, 405].includes(posted.status)]).toEqual([path, true]);
    }
    const enabled = await boss.browser.post(`${server.origin}${USERS}/${stranger.userId}/enable`, fields);
    expect(enabled.status).toBe(404);
  });

  test('from within a team a member’s account is not changed, only their roles', async () => {
    const mine = await createPerson(server, { teamId: boss.teamId, role: 'Viewer' });
    const path = `${USERS}/${mine.userId}`;
    const words = wordsOf(await open(path, boss.browser));
    expect(words).toContain('Change roles');
    expect(words).not.toMatch(/Set password|Disable|Delete|Edit/);
    const { csrf, team } = formOn(await open(`${path}/teams/${boss.teamId}`, boss.browser), boss.teamId).fields;
    const fields = { csrf: csrf!, team: team!, name: 'Taken over', email: newEmail(), password: 'a long new password' };
    for (const end of ['edit', 'password', 'disable', 'delete', 'teams/new']) {
      const refused = [end, 403, expect.stringMatching(/root team|From within a team/)];
      expect([end, ...answerOf(await open(`${path}/${end}`, boss.browser))]).toEqual(refused);
      expect([end, ...answerOf(await boss.browser.post(`${server.origin}${path}/${end}`, fields))]).toEqual(refused);
    }
    expect(await server.domain.users.find(mine.userId)).toMatchObject({ email: mine.email, enabled: true });
  });
});

test('row 109: nobody sees or does anything without the right to', async () => {
  const one = await createPerson(server, { teamId: boss.teamId, role: 'Viewer' });
  const viewer = await logInAt(server, one);
  const anonymous = createBrowser();
  const target = boss.userId;
  const at = `${USERS}/${target}`;
  const membership = `${at}/teams/${boss.teamId}`;
  const writes = [`${USERS}/new`, `${at}/edit`, `${at}/password`, `${at}/disable`, `${at}/delete`, membership];
  const all = [...writes, `${at}/teams/new`, `${membership}/remove`, `${at}/hand-over/${crypto.randomUUID()}`];
  const page = await open('/console/team', viewer);
  const { csrf = '', team = '' } = Object.fromEntries(
    [...page.text.matchAll(/name="(csrf|team)" value="([^"]*)"/g)].map(([, name, value]) => [name!, value!]),
  );
  for (const path of [...all, `${at}/enable`]) {
    if (!path.endsWith('/enable')) {
      expect([path, (await open(path, viewer)).status]).toEqual([path, 403]);
      expect((await open(path, anonymous)).location).toContain('/login?');
    }
    const posted = await viewer.post(`${server.origin}${path}`, { csrf, team: team || boss.teamId });
    expect([path, posted.status]).toEqual([path, 403]);
    expect((await anonymous.post(`${server.origin}${path}`, { csrf })).status).not.toBe(200);
  }
  expect((await open(USERS, viewer)).status).toBe(200);
  const words = wordsOf(await open(at, viewer));
  expect(words).not.toMatch(/Change roles|Remove|What acts/);
  expect(await server.domain.users.find(target)).toMatchObject({ enabled: true });
});

test('names are text, whatever is in them', async () => {
  const name = `<script>alert(1)</script>"'&<img src=x onerror=alert(1)> שלום 👩‍💻 ${'x'.repeat(170)}`;
  const team = await server.domain.teams.create({ name: `<b>Bold</b> & "quoted" 'team' ${'é'.repeat(200)}` }, OPERATOR);
  const email = `"><svg/onload=x>@example.com`;
  const { id } = await server.domain.users.create(
    { email, name, teamRoles: [{ teamId: team.id, roles: ['Viewer'] }] },
    OPERATOR,
  );
  await server.domain.apiKeys.createPersonal({ userId: id, teamId: team.id, name }, OPERATOR);
  const at = `${USERS}/${id}`;
  const member = `${at}/teams/${team.id}`;
  const pages = [
    `${USERS}?team=${team.id}`,
    at,
    `${at}/edit`,
    `${at}/delete`,
    `${at}/password`,
    member,
    `${member}/remove`,
  ];
  for (const path of pages) {
    const page = await open(path);
    expect([path, page.status]).toEqual([path, 200]);
    expect(page.text).not.toMatch(/<(script>|img src=x|b>Bold|svg)/);
    expect(page.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page.text.length).toBeLessThan(100_000);
  }
});
