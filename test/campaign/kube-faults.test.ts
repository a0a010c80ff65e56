/**
 * Faults of a real Kubernetes around a mesh under traffic: what others installed, an API server that is away or forgets, a database
 * from a backup, rights that are taken, control planes that are killed, a node that boots again. `npm run faults` has them at length.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { type KubeCluster, missingCluster, startCluster } from '#test/kube/cluster.ts';
import { statePaths } from '#test/kube/state.ts';
import { eventually } from '#test/support/lab.ts';
import { imageArchive } from '#test/support/tulle-image.ts';
import { DENY, FaultyMesh, foreignCrds, POLICIES, policy } from './kube-faults/mesh.ts';
import { NODES, WAIT_FLAG, WAIT_MS } from './kube-faults/replicas.ts';

const why = missingCluster(['curl', 'pgrep', 'nft', 'ss']);

const NAME = `faults-${process.pid}`;
const START_MS = 900_000; // the first on a machine builds Kubernetes and the image
const LONG = process.env.TULLE_FAULTS === 'long';
/** Longer than the lease of a leader (10 s) when there is time. */
const AWAY_MS = LONG ? 600_000 : 3_000;
/** Each wait in a case fails by itself first, and says for what. */
const CASE_MS = AWAY_MS + 8 * WAIT_MS;
const STORM = LONG ? 10 : 2;
const BUNDLE = 'gateway.networking.k8s.io/bundle-version';
const SECURITY = 'security.istio.io';
/** Authorization policies, and the two authentications. */
const SECURITY_KINDS = 3;

describe.skipIf(why !== undefined)('faults of Kubernetes', () => {
  let cluster: KubeCluster;
  let mesh: FaultyMesh;

  beforeAll(async () => {
    cluster = await startCluster({ name: NAME, nodes: 2 });
    using image = await imageArchive();
    await cluster.loadImage(image.path);
    mesh = new FaultyMesh(cluster);
  }, START_MS);
  afterAll(() => cluster?.down(), WAIT_MS);

  /** A case that fails leaves the next ones the mesh that it found. */
  let isWhole = true;
  const fault = (title: string, work: () => Promise<unknown>) =>
    test(
      title,
      async () => {
        isWhole = false;
        await work();
        isWhole = true;
      },
      CASE_MS,
    );
  afterEach(async () => {
    if (!isWhole) await mesh.restore();
    isWhole = true;
  }, CASE_MS);

  const says = (want: boolean) =>
    eventually(
      'the problem in tulle status',
      async () => {
        const { stdout } = await mesh.tulle('status');
        if (!stdout.includes('control plane')) return undefined;
        return stdout.includes(`may not list ${POLICIES}`) === want || undefined;
      },
      WAIT_MS,
    );

  fault(
    'definitions of others: one too old is refused by name, newer ones are left as they are',
    async () => {
      const [istio] = foreignCrds(/^authorizationpolicies/);
      const old = istio.spec.versions
        .filter(({ name }) => name === 'v1beta1')
        .map((version) => ({ ...version, storage: true }));
      await mesh.apply({ ...istio, spec: { ...istio.spec, versions: old } });
      const refused = await mesh.tulle('install', '--dry-run');
      expect(refused.status).toBe(3);
      expect(refused.stderr).toContain(POLICIES);
      expect(refused.stderr).toContain('serves v1beta1, and v1 is read');
      await mesh.apply(istio, ...foreignCrds(/\.gateway\.networking\.k8s/, { [BUNDLE]: 'v9.0.0' }));
    },
  );

  fault(
    'two installs at once: one does it, the other does the same after it or says who holds the lock',
    async () => {
      const both = await Promise.all([mesh.tulle('install'), mesh.tulle('install')]);
      expect(both.map(({ status }) => status)).toContain(0);
      for (const { status, stderr } of both)
        if (status !== 0) expect(stderr).toContain('installs or removes Tulle right now');
      const path = `jsonpath={.items[*].metadata.annotations.${BUNDLE.replaceAll('.', '\\.')}}`;
      const crds = await mesh.kubectl('get', 'crds', '-o', path);
      expect(new Set(crds.split(' '))).toEqual(new Set(['v9.0.0']));
      await mesh.openShop();
    },
  );

  fault(
    'an API server that is away, and has forgotten every version when it is back: traffic goes on, changes arrive',
    async () => {
      const lost = await mesh.lostDuring(async () => {
        for (let round = 0; round < STORM; round++) {
          await mesh.forgetVersions();
          await mesh.stopApi();
          if (round === 0) await sleep(systemClock, AWAY_MS);
          await mesh.startApi();
        }
        await mesh.open();
      });
      expect(lost).toEqual([]);
      await mesh.apply(DENY);
      await mesh.shut();
    },
  );

  fault(
    'a right that is taken away: verb and resource are named, what is known stays in force, and it mends itself',
    async () => {
      await mesh.replicas.takeRights(SECURITY);
      await mesh.stopApi();
      await mesh.startApi();
      await says(true);
      await mesh.stillShut();
      // One that starts knows no policy: it serves nobody.
      await mesh.replicas.kill('n1');
      await eventually(
        'a control plane that waits',
        async () => {
          const path = 'jsonpath={.items[*].status.containerStatuses[*].ready}';
          const ready = await mesh.kubectl(
            ...['get', 'pods', '-n', 'istio-system', '-l', 'app=istiod', '-o', path],
          );
          return ready.includes('false') || undefined;
        },
        WAIT_MS,
      );
      await mesh.stillShut();
      await mesh.replicas.giveRightsBack();
      await mesh.replicas.areReady();
      await says(false);
      await mesh.kubectl('delete', POLICIES, 'shut', '-n', 'shop');
      await mesh.open();
    },
  );

  fault(
    'a replica that missed a policy and may not read it takes it from no proxy that comes to it',
    async () => {
      // All proxies at n1, which goes on to watch what n2 has no right to list any more.
      await mesh.replicas.turnAway('n2');
      await mesh.replicas.takeRights(SECURITY);
      await mesh.replicas.loseApi('n2');
      await mesh.replicas.lacks('n2', SECURITY_KINDS);
      await mesh.apply(DENY);
      await mesh.shut();
      await mesh.replicas.letIn('n2');
      await mesh.replicas.kill('n1');
      await eventually(
        'the proxies at the other replica',
        async () => (await mesh.replicas.connected('n2')) === NODES.length || undefined,
        WAIT_MS,
      );
      await mesh.stillShut();
      await mesh.replicas.giveRightsBack();
      await mesh.replicas.areReady();
      for (const node of NODES) await mesh.replicas.lacks(node, 0);
      await mesh.stillShut();
      await mesh.kubectl('delete', POLICIES, 'shut', '-n', 'shop');
      await mesh.open();
    },
  );

  fault('control planes that are killed: traffic goes on, nobody notices', async () => {
    const lost = await mesh.lostDuring(async () => {
      await Promise.all(NODES.map((node) => mesh.replicas.kill(node)));
      await mesh.noPlaintext();
      await mesh.replicas.areReady();
    });
    expect(lost).toEqual([]);
  });

  fault(
    'no webhook: objects are accepted, and judged when the control plane is there',
    async () => {
      const wrong = policy('wrong', { app: 'none' }, [
        { when: [{ key: 'no.such', values: ['x'] }] },
      ]);
      await eventually(
        'a refusal',
        async () => {
          const { stderr } = await mesh.tryApply(wrong);
          return stderr.includes('no.such') || undefined;
        },
        WAIT_MS,
      );
      await mesh.replicas.scale(0);
      await eventually(
        'no webhook',
        async () => {
          const { code } = await mesh.tryApply(wrong);
          return code === 0 || undefined;
        },
        WAIT_MS,
      );
      await mesh.replicas.scale(NODES.length);
      await mesh.replicas.areReady();
      await eventually(
        'the reason on the object',
        async () => {
          const events = await mesh.kubectl('get', 'events', '-n', 'shop', '-o', 'json');
          return events.includes('no.such') || undefined;
        },
        WAIT_MS,
      );
      await mesh.kubectl('delete', POLICIES, 'wrong', '-n', 'shop');
    },
  );

  fault(
    'a database from a backup: what came after it is gone from the proxies, and what comes then arrives',
    async () => {
      const data = join(statePaths(NAME).root, 'etcd');
      const backup = `${data}.backup`;
      const without = async (work: () => void) => {
        await mesh.stopApi();
        await cluster.stopPart('etcd');
        work();
        await cluster.startPart('etcd');
        await mesh.startApi();
      };
      await without(() => cpSync(data, backup, { recursive: true }));
      await mesh.apply(DENY);
      await mesh.shut();
      await without(() => {
        rmSync(data, { recursive: true });
        cpSync(backup, data, { recursive: true });
      });
      await mesh.restartOthers();
      await mesh.open();
      await mesh.apply(DENY);
      await mesh.shut();
      await mesh.kubectl('delete', POLICIES, 'shut', '-n', 'shop');
      await mesh.open();
    },
  );

  fault('a node that is lost and boots again: its pods come back captured', async () => {
    const id = 'jsonpath={.status.containerStatuses[0].containerID}';
    const container = () => mesh.kubectl('get', 'pod', 'web-n2', '-n', 'shop', '-o', id);
    const before = await container();
    await cluster.killPart('n2');
    await cluster.startPart('n2');
    await eventually(
      'a new container',
      async () => (await container()) !== before || undefined,
      WAIT_MS,
    );
    await mesh.kubectl(...['wait', 'pod/web-n2', '-n', 'shop', '--for=condition=Ready', WAIT_FLAG]);
    await mesh.open();
  });
});
