/** API keys, personal and of teams: their two tabs under API Keys, and what a person's own keys are managed by elsewhere. */
import { authorize } from '../../../domain/authorization.ts';
import type { Kit } from '../index.ts';
import { mayUse } from '../navigation.ts';
import { redirect } from '../routes.ts';
import type { Visitor } from '../visitor.ts';
import { addKeyChanges } from './changes.ts';
import { addKeyCreation } from './create.ts';
import { addKeyDetail } from './detail.ts';
import { API_KEYS, apiKeyGuide, apiKeyTabs, firstTab } from './guide.ts';
import { createKeyList, newKey } from './list.ts';
import { type KeyPlace, needOf, operationOf, PERSONAL, TEAM } from './place.ts';

const LEADS: Record<KeyPlace['kind'], string> = {
  personal: 'A personal key acts as its owner, in one team, and ends when its owner leaves the team.',
  team: 'A team key acts as the service account of its team, and stays when whoever made it leaves.',
};

export function addApiKeys(kit: Kit): void {
  kit.routes.get(API_KEYS, 'self', (ctx, visitor) => {
    const first = firstTab(visitor);
    if (first === undefined) authorize(visitor.caller, 'api_keys.list');
    else redirect(ctx, first);
  });
  for (const place of [PERSONAL, TEAM]) addKeyPlace(kit, place);
}

/** The list of a place and everything below it. */
export function addKeyPlace(kit: Kit, place: KeyPlace): void {
  const { routes, show } = kit;
  const lists = { forMakers: createKeyList(kit, place, true), forReaders: createKeyList(kit, place, false) };

  routes.get(place.path, needOf(place, 'list'), async (ctx, visitor) => {
    const makes = mayCreate(visitor);
    const list = makes ? lists.forMakers : lists.forReaders;
    const teamId = typeof ctx.query.team === 'string' ? ctx.query.team : undefined;
    show.list(ctx, visitor, {
      title: place.title,
      lead: place.isAccount ? 'The keys that act as you, in all your teams.' : LEADS[place.kind],
      ...(!place.isAccount && { tabs: apiKeyTabs(visitor, place.kind), guide: apiKeyGuide() }),
      ...(makes && { actions: [newKey(place)] }),
      list: await list(ctx, visitor, { teamId }),
    });
  });

  addKeyCreation(kit, place);
  addKeyChanges(kit, place);
  // After the fixed paths, which would be ids otherwise.
  addKeyDetail(kit, place);

  function mayCreate(visitor: Visitor): boolean {
    const create = operationOf(place, 'create');
    if (!place.isAccount) return mayUse(visitor, create);
    return visitor.teams.some(({ id }) => {
      const caller = visitor.callerIn(id);
      return caller !== undefined && mayUse({ caller }, create);
    });
  }
}
