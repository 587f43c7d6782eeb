/** What APIs do while the authorization server is dead, and when it is back: they are processes of their own, one a fail mode. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OPERATOR } from '../../src/domain/audit.ts';
import { createSecretText } from '../../src/domain/secret-text.ts';
import { createKey, type IssuerKey, signToken } from '../resource/issuer.ts';
import { type Api, type Cluster, startCluster, startResourceServer } from '../support/cluster.ts';
import { clientCredentials, createPerson, createTestClient } from '../support/flows.ts';
import { soon } from '../support/soon.ts';

const MODES = ['known-good', 'closed', 'verified'] as const;
/** Seconds: how long an API's view of what was revoked counts as fresh, and how long it goes on with an old one. */
const FRESH = 5;
const MAX_STALE = 8;

interface Asked {
  /** Whom and with what. */
  what: string;
  /** Seconds since the server was killed; negative before. */
  at: number;
  status: number;
}

describe('the authorization server is killed during traffic', () => {
  let cluster: Cluster;
  let apis: Record<(typeof MODES)[number], Api>;
  let forger: IssuerKey;
  let team: string;

  beforeAll(async () => {
    cluster = await startCluster(1);
    const { server, issuer } = cluster;
    const { teamId } = await createPerson(server);
    const asker = await createTestClient(server, teamId, { allowedScopes: ['credentials:introspect'] });
    const introspection = { clientId: asker.clientId, clientSecret: asker.clientSecret };
    const options = { issuer, audience: server.audience, introspection, maxStale: MAX_STALE };
    const started = await Promise.all(MODES.map((failMode) => startResourceServer({ ...options, failMode })));
    apis = Object.fromEntries(MODES.map((mode, at) => [mode, started[at]])) as typeof apis;
    forger = await createKey((await publishedKids())[0]!);
    team = teamId;
  }, 60_000);

  afterAll(async () => {
    await Promise.all(Object.values(apis ?? {}).map((api) => api.stop()));
    await cluster?.close();
  });

  async function publishedKids(): Promise<string[]> {
    const { keys } = (await (await fetch(`${cluster.issuer}/oauth2/jwks`)).json()) as { keys: { kid: string }[] };
    return keys.map(({ kid }) => kid);
  }

  async function createToken() {
    const client = await createTestClient(cluster.server, team, { tokenEndpointAuthMethod: 'client_secret_post' });
    const { body } = await clientCredentials(cluster.server, client);
    return { id: client.id, token: body.access_token as string };
  }

  const createKeyText = async () =>
    (await cluster.domain.apiKeys.createTeam({ teamId: team, name: 'Key' }, OPERATOR)).text;

  test('row 84: what was good goes on as documented, nothing unverified is let in, and it recovers by itself', async () => {
    const [known, revoked, fresh] = [await createToken(), await createToken(), await createToken()];
    const [key, unseenKey] = [await createKeyText(), await createKeyText()];
    const forged = await signToken(cluster.issuer, forger, { aud: cluster.server.audience }, {});
    const wrongKey = createSecretText('lkt_').text;
    const traffic = { known: known.token, revoked: revoked.token, key, forged, wrongKey };
    const journal: Asked[] = [];
    let killedAt = Number.POSITIVE_INFINITY;
    let on = true;

    async function ask(mode: (typeof MODES)[number], name: string, credential: string): Promise<number> {
      const { status } = await apis[mode].ask(credential);
      journal.push({ what: `${mode} ${name}`, at: (performance.now() - killedAt) / 1000, status });
      return status;
    }
    const everywhere = (name: string, credential: string) =>
      Promise.all(MODES.map((mode) => ask(mode, name, credential)));
    const loop = (async () => {
      for (let round = 0; on && round < 2_000; round += 1) {
        for (const [name, credential] of Object.entries(traffic)) await everywhere(name, credential);
        await sleep(30);
      }
    })();
    await sleep(500);

    await cluster.instances[0]!.stop('SIGKILL');
    killedAt = performance.now();
    // Nobody can tell the APIs; but it is written down.
    await cluster.domain.oauthClients.disable(revoked.id, {}, OPERATOR);
    await sleep((FRESH + 0.5) * 1000);
    expect(await everywhere('fresh', fresh.token)).toEqual([503, 503, 200]);
    expect(await everywhere('fresh', fresh.token)).toEqual([503, 503, 200]);
    expect(await everywhere('known', known.token)).toEqual([200, 503, 200]);
    expect(await everywhere('unseen key', unseenKey)).toEqual([503, 503, 503]);
    await sleep((MAX_STALE + 0.5) * 1000 - (performance.now() - killedAt));
    expect(await everywhere('known', known.token)).toEqual([503, 503, 503]);
    expect(await everywhere('fresh', fresh.token)).toEqual([503, 503, 503]);
    expect(await everywhere('forged', forged)).not.toContain(200);

    await cluster.start(0);
    const soonEverywhere = async (name: string, credential: string, status: number) => {
      const says = async () => (await everywhere(name, credential)).every((one) => one === status);
      expect({ [name]: await soon(says) }).toEqual({ [name]: true });
    };
    const good = { known: known.token, fresh: fresh.token, key, unseenKey };
    for (const [name, credential] of Object.entries(good)) await soonEverywhere(name, credential, 200);
    await soonEverywhere('revoked', revoked.token, 401);
    on = false;
    await loop;

    for (const mode of MODES) {
      const of = (name: string) => journal.filter(({ what }) => what === `${mode} ${name}`);
      for (const name of ['forged', 'wrongKey']) {
        expect(of(name).length).toBeGreaterThan(50);
        expect({ [name]: of(name).filter(({ status }) => status === 200) }).toEqual({ [name]: [] });
      }
      // A good credential is never called a bad one, whatever is dead.
      for (const name of ['known', 'key']) {
        expect({ [name]: of(name).filter(({ status }) => status !== 200 && status !== 503) }).toEqual({ [name]: [] });
      }
      const within = of('known').filter(({ at }) => at > 0 && at < FRESH - 1);
      expect(within.every(({ status }) => status === 200)).toBe(true);
    }
  }, 60_000);
});
