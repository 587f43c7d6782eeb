/** Users (wire contract): who they are, which roles they have in which team, and what the caller may do with them. */
import { z } from 'zod';
import { type Caller, teamReach } from '../../domain/authorization.ts';
import { DIGEST_FREQUENCIES, PERSONAS } from '../../domain/user-input.ts';
import type { UserOptions } from '../../domain/user-options.ts';
import type { NamedTeamRoles, User, Users } from '../../domain/users.ts';
import { found } from '../found.ts';
import { byNumber, growingText, movingTime, requireUnchanged } from './echo.ts';
import { enumeration } from './enumeration.ts';
import { filter } from './filter.ts';
import { list } from './list.ts';
import { operation } from './operation.ts';
import type { Noun } from './routes.ts';
import { time } from './schemas.ts';

const PERSONA = enumeration(PERSONAS);
const FREQUENCY = enumeration(DIGEST_FREQUENCIES);
const AUTH_PROVIDER = enumeration({ LOCAL: 1 });

const OPTIONS = z
  .object({
    can_change_password: z.boolean(),
    has_mfa: z.boolean(),
    can_change_roles: z.boolean(),
    can_disable: z.boolean(),
    can_delete: z.boolean(),
    can_edit_name: z.boolean(),
    can_extend_support: z.boolean(),
    can_remove_from_teams: z.boolean(),
  })
  .meta({ id: 'UserOptions', description: 'What you may do with this user, with the credential you came with' });

const TEAM_ROLE = z
  .object({ team_id: z.string(), team_name: z.string(), role_id: z.string(), role_name: z.string() })
  .meta({ id: 'TeamRole' });

const DIGEST = { digest_id: z.string(), digest_name: z.string() };

const USER = z
  .object({
    id: z.string(),
    name: z.string(),
    display_name: z.string(),
    given_name: z.string(),
    family_name: z.string(),
    email: z.string(),
    enabled: z.boolean(),
    last_login_at: time.nullable(),
    last_refresh_at: time.nullable(),
    created_at: time,
    updated_at: time,
    logins_lifetime: z.string().meta({ description: 'How many logins there were: a whole number as text' }),
    auth_provider_type: AUTH_PROVIDER.output,
    auth_provider_id: z.string(),
    persona: PERSONA.output,
    options: OPTIONS,
    team_roles: z.array(TEAM_ROLE).meta({ description: 'From within a team: the roles in that team' }),
    digest_settings: z.array(z.object({ ...DIGEST, frequency: FREQUENCY.output })),
    expires_at: time.nullable(),
  })
  .meta({ id: 'User' });

// What a user can be made with, and changed in.
const WRITABLE = {
  name: z.string().optional(),
  display_name: z.string().optional(),
  given_name: z.string().optional(),
  family_name: z.string().optional(),
  password: z.string().optional(),
  persona: PERSONA.input.optional(),
  digest_settings: z
    .array(z.strictObject({ ...DIGEST, frequency: FREQUENCY.input }))
    .max(20)
    .optional(),
  expires_at: time.nullable().optional(),
};

const ECHO = {
  last_login_at: movingTime,
  last_refresh_at: movingTime,
  logins_lifetime: growingText,
  auth_provider_type: byNumber(AUTH_PROVIDER),
  persona: byNumber(PERSONA),
  digest_settings: { frequency: byNumber(FREQUENCY) },
  // They depend on others too, and are not read.
  options: () => true,
};

const MOST_ROLES = 1_000;
const ROLE_ID = z.guid('must be the id of a role');
const NEW_TEAM_ROLE = z.strictObject({ team_id: z.string(), role_id: ROLE_ID });
const NAMED_TEAM_ROLE = NEW_TEAM_ROLE.extend({ team_name: z.string().optional(), role_name: z.string().optional() });

const TAG = 'Users';
const PATH = '/api/v1/users';
const VALUE = z.object({ value: USER });

export function createUserOperations({ users }: { users: Users }): Noun {
  async function toAnswer(user: User, caller: Caller) {
    const [seen] = await users.withOptions([user], caller);
    return { body: { value: toWire(seen!) }, version: user.version };
  }

  return [
    list({
      id: 'users.list',
      path: PATH,
      tag: TAG,
      summary: 'List users: the members of your team, or everybody from the root team',
      item: USER,
      filters: { email: filter.text, name: filter.text, enabled: filter.boolean, team_id: filter.uuid },
      orders: ['created_at', 'name', 'email', 'last_login_at'],
      search: 'the names or the email address',
      rows: async ({ caller, page }) => users.withOptions(await users.list(teamReach(caller), page), caller),
      toWire,
    }),
    operation({
      id: 'users.create',
      method: 'POST',
      path: PATH,
      tag: TAG,
      summary: 'Create a user',
      description:
        'From within a team: with at least one role in that team, and none elsewhere. Without a password the user cannot log in.',
      body: z.strictObject({
        email: z.string(),
        ...WRITABLE,
        team_roles: z.array(NEW_TEAM_ROLE).max(MOST_ROLES).optional(),
      }),
      answer: z.object({ id: z.string() }),
      errors: ['not_found', 'already_exists'],
      async handle({ body: { email, team_roles = [], ...fields }, caller }) {
        const { expiresAt, ...input } = toInput(fields);
        const user = await users.create(
          { ...input, email, expiresAt, teamRoles: toTeamRoles(team_roles) },
          caller.actor,
          teamReach(caller),
        );
        return { body: { id: user.id } };
      },
    }),
    operation({
      id: 'users.get',
      method: 'GET',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Read a user; `self` is who you are',
      description: 'The same user twice: bare, and as `value` like every other object of this API.',
      versioned: true,
      answer: z.object({ ...USER.shape, value: USER }),
      errors: ['not_found'],
      async handle({ params, caller }) {
        const id = params.id === 'self' ? (caller.userId ?? '') : params.id;
        const { body, version } = await toAnswer(found(await users.find(id, teamReach(caller)), 'user'), caller);
        return { body: { ...body.value, ...body }, version };
      },
    }),
    operation({
      id: 'users.update',
      method: 'PATCH',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Change what is sent',
      description:
        '`team_roles` are the roles from now on: who has none left in a team is no member of it any more. From within a team they are the roles in that team, and nothing else can be changed. `options` are not read.',
      versioned: true,
      body: z.strictObject({
        email: z.string().optional(),
        enabled: z.boolean().optional(),
        ...WRITABLE,
        auth_provider_type: AUTH_PROVIDER.input.optional(),
        auth_provider_id: z.string().optional(),
        options: z.strictObject(OPTIONS.shape).partial().optional(),
        team_roles: z.array(NAMED_TEAM_ROLE).max(MOST_ROLES).optional(),
      }),
      protectedFields: [
        'id',
        'last_login_at',
        'last_refresh_at',
        'created_at',
        'updated_at',
        'logins_lifetime',
        'value',
      ],
      answer: VALUE,
      errors: ['not_found', 'already_exists', 'failed_precondition'],
      async handle({ params, body, echoed, caller, version }) {
        const before = found(await users.find(params.id, teamReach(caller)), 'user');
        const { value } = (await toAnswer(before, caller)).body;
        requireUnchanged({ ...value, value }, echoed, { ...ECHO, value: ECHO });
        const { team_roles, options: _, auth_provider_type: __, email, enabled, auth_provider_id, ...fields } = body;
        const user = await users.update(
          params.id,
          {
            ...toInput(fields),
            ...{ email, enabled, authProviderId: auth_provider_id },
            teamRoles: team_roles && toTeamRoles(team_roles),
          },
          { ...teamReach(caller), version },
          caller.actor,
        );
        return toAnswer(user, caller);
      },
    }),
    operation({
      id: 'users.delete',
      method: 'DELETE',
      path: `${PATH}/{id}`,
      tag: TAG,
      summary: 'Delete a user with personal keys, sessions and consents',
      versioned: true,
      answer: VALUE,
      errors: ['not_found', 'failed_precondition'],
      async handle({ params, caller, version }) {
        const [seen] = await users.withOptions([found(await users.find(params.id, teamReach(caller)), 'user')], caller);
        const user = await users.delete(params.id, caller.actor, { ...teamReach(caller), version });
        return { body: { value: toWire({ ...user, options: seen!.options }) } };
      },
    }),
  ];
}

type Writable = z.output<z.ZodObject<typeof WRITABLE>>;

function toInput({ display_name, given_name, family_name, digest_settings, expires_at, ...same }: Writable) {
  return {
    ...same,
    displayName: display_name,
    givenName: given_name,
    familyName: family_name,
    digestSettings: digest_settings?.map(({ digest_id, digest_name, frequency }) => ({
      digestId: digest_id,
      digestName: digest_name,
      frequency,
    })),
    expiresAt: typeof expires_at === 'string' ? new Date(expires_at) : expires_at,
  };
}

function toTeamRoles(entries: readonly z.output<typeof NAMED_TEAM_ROLE>[]): NamedTeamRoles[] {
  return entries.map(({ team_id, team_name, role_id, role_name }) => ({
    teamId: team_id,
    teamName: team_name,
    roles: [role_id],
    roleName: role_name,
  }));
}

function toWire(user: User & { options: UserOptions }) {
  const { options } = user;
  return {
    id: user.id,
    name: user.name,
    display_name: user.displayName,
    given_name: user.givenName,
    family_name: user.familyName,
    email: user.email,
    enabled: user.enabled,
    last_login_at: user.lastLoginAt?.toISOString() ?? null,
    last_refresh_at: user.lastRefreshAt?.toISOString() ?? null,
    created_at: user.createdAt.toISOString(),
    updated_at: user.updatedAt.toISOString(),
    logins_lifetime: user.loginsLifetime,
    auth_provider_type: AUTH_PROVIDER.nameOf(1),
    auth_provider_id: user.authProviderId,
    persona: PERSONA.nameOf(user.persona),
    options: {
      can_change_password: options.canChangePassword,
      has_mfa: options.hasMfa,
      can_change_roles: options.canChangeRoles,
      can_disable: options.canDisable,
      can_delete: options.canDelete,
      can_edit_name: options.canEditName,
      can_extend_support: options.canExtendSupport,
      can_remove_from_teams: options.canRemoveFromTeams,
    },
    team_roles: user.teamRoles.map(({ teamId, teamName, roleId, roleName }) => ({
      team_id: teamId,
      team_name: teamName,
      role_id: roleId,
      role_name: roleName,
    })),
    digest_settings: user.digestSettings.map(({ digestId, digestName, frequency }) => ({
      digest_id: digestId,
      digest_name: digestName,
      frequency: FREQUENCY.nameOf(frequency),
    })),
    expires_at: user.expiresAt?.toISOString() ?? null,
  };
}
