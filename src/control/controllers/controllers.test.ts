import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type { ConfigMap, Deployment, Gateway, Service } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { EventRecorder } from '#kube/events/event-recorder.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { startCrlController } from './ca-crl.ts';
import { startGatewayController } from './gateway.ts';
import { startLeaderElection } from './leader.ts';
import { OWNS_EVERYTHING } from './ownership.ts';
import { ROOT_CERT_NAME, startRootCertController } from './root-cert.ts';
import { WorkQueue } from './work-queue.ts';

const OPTIONS = {
  image: 'tulle',
  rootNamespace: 'istio-system',
  clusterId: 'Kubernetes',
  trustDomain: 'cluster.local',
  domain: 'cluster.local',
  revision: 'default',
};
const KEY = { namespace: 'shop', name: 'waypoint' };
const GATEWAY: Gateway = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { ...KEY },
  spec: {
    gatewayClassName: 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
  },
};

function setup() {
  const client = new FakeKubeClient();
  const clock = new FakeClock();
  const noted: string[] = [];
  const events: EventRecorder = {
    record: ({ kind, name }, { type, reason, message }) =>
      void noted.push(`${kind} ${name}: ${type} ${reason}: ${message}`),
    stop: () => undefined,
  };
  const ownership = OWNS_EVERYTHING;
  const deps = { client, clock, random: seededRandom(1), log: silentLogger, events, ownership };
  return { client, clock, deps, noted };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 300; turn++) await Promise.resolve();
}

describe('startGatewayController', () => {
  test('makes what a waypoint needs, and reports it programmed once a pod is ready', async () => {
    const { client, deps } = setup();
    const stop = startGatewayController(deps, OPTIONS);
    await client.create(RESOURCES.gateways, GATEWAY);
    await settle();
    const deployment = await client.get<Deployment>(RESOURCES.deployments, KEY);
    const service = await client.get<Service>(RESOURCES.services, KEY);
    await client.get(RESOURCES.serviceAccounts, KEY);
    await client.get(RESOURCES.gatewayClasses, { name: 'istio-waypoint' });
    await client.get(RESOURCES.gatewayClasses, { name: 'tulle-waypoint' });
    expect(service.spec.ports?.map(({ port }) => port)).toEqual([15021, 15008]);
    expect(deployment.spec.template.metadata?.labels).toMatchObject({
      'gateway.networking.k8s.io/gateway-name': 'waypoint',
      'istio.io/dataplane-mode': 'none',
    });
    expect(deployment.metadata.ownerReferences).toMatchObject([
      { kind: 'Gateway', name: 'waypoint', controller: true },
    ]);
    const before = await client.get<Gateway>(RESOURCES.gateways, KEY);
    expect(before.status?.addresses).toEqual([]);
    expect(statusOf(before)).toEqual(['Accepted=True', 'Programmed=False']);

    await client.patch(RESOURCES.deployments, KEY, {
      type: 'merge',
      body: { status: { readyReplicas: 1 } },
    });
    await settle();
    const after = await client.get<Gateway>(RESOURCES.gateways, KEY);
    expect(after.status?.addresses).toEqual([
      { type: 'Hostname', value: 'waypoint.shop.svc.cluster.local' },
    ]);
    expect(statusOf(after)).toEqual(['Accepted=True', 'Programmed=True']);

    await client.patch(RESOURCES.deployments, KEY, {
      type: 'merge',
      body: { status: { readyReplicas: 0 } },
    });
    await settle();
    const restarting = await client.get<Gateway>(RESOURCES.gateways, KEY);
    expect(restarting.status?.addresses).toHaveLength(1);
    expect(statusOf(restarting)).toEqual(['Accepted=True', 'Programmed=False']);
    stop();
    expect(client.watching).toBe(0);
  });

  test('leaves Gateways of other classes alone', async () => {
    const { client, deps } = setup();
    const stop = startGatewayController(deps, OPTIONS);
    await client.create(RESOURCES.gateways, {
      ...GATEWAY,
      spec: { ...GATEWAY.spec, gatewayClassName: 'nginx' },
    });
    await settle();
    expect([...client.objects.keys()].filter((id) => id.includes('shop'))).toEqual([
      'gateways|shop|waypoint',
    ]);
    stop();
  });

  test('tries again after the API server was away', async () => {
    const { client, clock, deps } = setup();
    const stop = startGatewayController(deps, OPTIONS);
    await client.create(RESOURCES.gateways, GATEWAY);
    client.failures = 3;
    await settle();
    clock.advance(5_000);
    await settle();
    clock.advance(5_000);
    await settle();
    expect((await client.get<Deployment>(RESOURCES.deployments, KEY)).kind).toBe('Deployment');
    stop();
  });
});

function statusOf(gateway: Gateway): string[] {
  return (gateway.status?.conditions ?? []).map(({ type, status }) => `${type}=${status}`);
}

describe('startRootCertController', () => {
  test('writes the bundle into every namespace and repairs it', async () => {
    const { client, deps } = setup();
    const namespace = (name: string) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
    });
    await client.create(RESOURCES.namespaces, namespace('shop'));
    const stop = startRootCertController(deps, () => 'ROOT');
    await settle();
    await client.create(RESOURCES.namespaces, namespace('late'));
    await settle();
    const read = (where: string) =>
      client.get(RESOURCES.configMaps, { namespace: where, name: ROOT_CERT_NAME });
    const want = { data: { 'root-cert.pem': 'ROOT' } };
    expect(await read('shop')).toMatchObject(want);
    expect(await read('late')).toMatchObject(want);
    await client.delete(RESOURCES.configMaps, { namespace: 'late', name: ROOT_CERT_NAME });
    await settle();
    expect(await read('late')).toMatchObject(want);
    stop();
  });
});

describe('startCrlController', () => {
  test('tells every namespace the lists of the CA that was plugged in, and nobody what cannot be read', async () => {
    const { client, deps } = setup();
    const ca = await createTestCa();
    const web = await ca.issue('spiffe://cluster.local/ns/shop/sa/web');
    const lists = await ca.revoke([web.certificateChain]);
    for (const name of ['istio-system', 'shop'])
      await client.create(RESOURCES.namespaces, {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name },
      });
    const key = { namespace: 'istio-system', name: 'cacerts' };
    const plug = (text: string | undefined) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { ...key },
      data: text === undefined ? {} : { 'ca-crl.pem': Buffer.from(text).toString('base64') },
    });
    const told = async () =>
      Promise.all(
        ['istio-system', 'shop'].map((namespace) =>
          client
            .get<ConfigMap>(RESOURCES.configMaps, { namespace, name: 'istio-ca-crl' })
            .then(({ data }) => data?.['ca-crl.pem'])
            .catch(() => undefined),
        ),
      );
    await client.create(RESOURCES.secrets, plug(undefined));
    const stop = startCrlController(deps, 'istio-system');
    await settle();
    expect(await told()).toEqual([undefined, undefined]);
    const put = async (text: string | undefined) => {
      const { metadata } = await client.get(RESOURCES.secrets, key);
      await client.update(RESOURCES.secrets, { ...plug(text), metadata });
      await settle();
    };
    await put(lists);
    expect(await told()).toEqual([lists, lists]);
    await put(lists.slice(0, -40));
    await put(undefined);
    expect(await told()).toEqual([lists, lists]);
    await put('');
    expect(await told()).toEqual(['', '']);
    stop();
  });
});

describe('startLeaderElection', () => {
  const lease = { namespace: 'istio-system', name: 'tulle-control' };

  test('one leads; the other takes over when the lease runs out, and the first steps down', async () => {
    const { client, clock, deps } = setup();
    const leaders = new Set<string>();
    const join = (identity: string, through = deps.client) =>
      startLeaderElection({ ...deps, client: through }, { ...lease, identity }, () => {
        leaders.add(identity);
        return () => void leaders.delete(identity);
      });
    const stopFirst = join('a');
    await settle();
    const stopSecond = join('b');
    for (let round = 0; round < 20; round++) {
      clock.advance(2_000);
      await settle();
    }
    expect([...leaders]).toEqual(['a']);
    // The lease is taken by a replica that then dies without giving it back.
    client.failures = 1;
    await stopFirst();
    expect([...leaders]).toEqual([]);
    for (let round = 0; round < 10; round++) {
      clock.advance(2_000);
      await settle();
    }
    expect([...leaders]).toEqual(['b']);
    await stopSecond();
    expect(client.objects.size).toBe(1);
    const stopThird = join('c');
    await settle();
    expect([...leaders]).toEqual(['c']);
    await stopThird();
    expect(clock.pending).toBe(0);
  });

  test('steps down when the API server takes requests and never answers, and leads again after it', async () => {
    const { client, clock, deps } = setup();
    let leading = 0;
    let hangs = false;
    const never = () => new Promise<never>(() => undefined);
    const through = Object.create(client) as FakeKubeClient;
    through.get = (ref, key) => (hangs ? never() : client.get(ref, key));
    through.create = (ref, object) => client.create(ref, object);
    through.update = (ref, object, given) => client.update(ref, object, given);
    const stop = startLeaderElection(
      { ...deps, client: through },
      { ...lease, identity: 'a' },
      () => {
        leading += 1;
        return () => {
          leading -= 1;
        };
      },
    );
    await settle();
    expect(leading).toBe(1);
    hangs = true;
    const pass = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        clock.advance(1_000);
        await settle();
      }
    };
    await pass(9);
    expect(leading).toBe(1);
    await pass(3);
    expect(leading).toBe(0);
    hangs = false;
    await pass(8);
    expect(leading).toBe(1);
    await stop();
    expect(clock.pending).toBe(0);
  });

  test('steps down before others may take over when it cannot renew', async () => {
    const { client, clock, deps } = setup();
    let leading = false;
    const stop = startLeaderElection(deps, { ...lease, identity: 'a' }, () => {
      leading = true;
      return () => {
        leading = false;
      };
    });
    await settle();
    expect(leading).toBe(true);
    client.failures = 1_000;
    for (let elapsedMs = 0; elapsedMs < 14_000; elapsedMs += 1_000) {
      clock.advance(1_000);
      await settle();
    }
    expect(leading).toBe(false);
    await stop();
  });
});

describe('WorkQueue', () => {
  test('works on a key again that is added while it is worked on', async () => {
    const { deps } = setup();
    const runs: string[] = [];
    const queue: WorkQueue = new WorkQueue(deps, async (key) => {
      runs.push(key);
      if (runs.length === 1) queue.add('a');
      await Promise.resolve();
    });
    queue.add('a');
    queue.add('b');
    await settle();
    expect(runs).toEqual(['a', 'a', 'b']);
  });
});

describe('startGatewayController, gateways', () => {
  const EDGE_KEY = { namespace: 'shop', name: 'edge' };
  const OWN = { namespace: 'shop', name: 'edge-istio' };
  const edge = (spec: object = {}, annotations: Record<string, string> = {}): Gateway => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { ...EDGE_KEY, annotations },
    spec: {
      gatewayClassName: 'istio',
      listeners: [
        { name: 'http', port: 80, protocol: 'HTTP' },
        { name: 'https.web', port: 443, protocol: 'HTTPS' },
        { name: 'again', port: 443, protocol: 'HTTPS' },
      ],
      ...spec,
    },
  });

  test('makes what a gateway needs, named as Istio does, and reports its address', async () => {
    const { client, deps } = setup();
    const stop = startGatewayController(deps, OPTIONS);
    const infrastructure = { labels: { team: 'a' }, annotations: { note: 'b' } };
    await client.create(RESOURCES.gateways, edge({ infrastructure }));
    await settle();
    const service = await client.get<Service>(RESOURCES.services, OWN);
    const deployment = await client.get<Deployment>(RESOURCES.deployments, OWN);
    await client.get(RESOURCES.serviceAccounts, OWN);
    await client.get(RESOURCES.gatewayClasses, { name: 'istio' });
    expect(service.spec.type).toBe('LoadBalancer');
    expect(service.spec.ports?.map(({ name, port }) => [name, port])).toEqual([
      ['status-port', 15021],
      ['http', 80],
      ['again', 443],
    ]);
    expect(service.metadata.labels).toMatchObject({ team: 'a' });
    expect(service.metadata.annotations).toMatchObject({ note: 'b' });
    expect(deployment.spec.replicas).toBeUndefined();
    const [container] = deployment.spec.template.spec?.containers ?? [];
    expect(container.args).toEqual(['role', 'gateway']);
    expect(deployment.spec.template.metadata?.labels).toMatchObject({
      team: 'a',
      'gateway.networking.k8s.io/gateway-name': 'edge',
    });
    const reason = async () => {
      const { status } = await client.get<Gateway>(RESOURCES.gateways, EDGE_KEY);
      return status?.conditions?.find(({ type }) => type === 'Programmed')?.reason;
    };
    expect(await reason()).toBe('AddressNotAssigned');
    const ingress = [{ ip: '127.18.0.1' }];
    await client.patch(RESOURCES.services, OWN, {
      type: 'merge',
      body: { status: { loadBalancer: { ingress } } },
    });
    await settle();
    expect(await reason()).toBe('Pending');
    await client.patch(RESOURCES.deployments, OWN, {
      type: 'merge',
      body: { status: { readyReplicas: 1 } },
    });
    await settle();
    expect(await reason()).toBe('Programmed');
    const { status } = await client.get<Gateway>(RESOURCES.gateways, EDGE_KEY);
    expect(status?.addresses).toEqual([{ type: 'IPAddress', value: '127.18.0.1' }]);
    stop();
    expect(client.watching).toBe(0);
  });

  test('a Gateway says how many pods it wants, and what kind of Service', async () => {
    const { client, deps } = setup();
    const stop = startGatewayController(deps, OPTIONS);
    const annotations = {
      'tulle.dev/replicas': '2',
      'networking.istio.io/service-type': 'ClusterIP',
    };
    await client.create(RESOURCES.gateways, edge({}, annotations));
    await settle();
    const { spec } = await client.get<Deployment>(RESOURCES.deployments, OWN);
    expect(spec.replicas).toBe(2);
    const { status } = await client.get<Gateway>(RESOURCES.gateways, EDGE_KEY);
    expect(status?.addresses).toEqual([
      { type: 'Hostname', value: 'edge-istio.shop.svc.cluster.local' },
    ]);
    stop();
  });

  test('a Gateway that names a Service of its own is served there, and nothing is made', async () => {
    const { client, deps } = setup();
    const stop = startGatewayController(deps, OPTIONS);
    const addresses = [{ type: 'Hostname', value: 'mine.edges.svc.cluster.local' }];
    await client.create(RESOURCES.gateways, edge({ addresses }));
    await settle();
    expect([...client.objects.keys()].filter((id) => id.includes('edge-istio'))).toEqual([]);
    const { status } = await client.get<Gateway>(RESOURCES.gateways, EDGE_KEY);
    const programmed = status?.conditions?.find(({ type }) => type === 'Programmed');
    expect(programmed?.message).toBe('Service edges/mine does not exist');
    stop();
  });
});
