import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom, systemRandom } from '#base/random.ts';
import type { ConfigMap, Deployment, Gateway } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { loadKubeconfig } from '#kube/client/kubeconfig.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import type { EventRecorder } from '#kube/events/event-recorder.ts';
import { startTestApiserver, type TestApiserver, until } from '#test/support/apiserver.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { startGatewayController } from './gateway.ts';
import { OWNS_EVERYTHING, type Ownership } from './ownership.ts';

const OPTIONS = {
  image: 'tulle',
  rootNamespace: 'istio-system',
  clusterId: 'Kubernetes',
  trustDomain: 'cluster.local',
  domain: 'cluster.local',
  revision: 'default',
};
const KEY = { namespace: 'shop', name: 'waypoint' };
const PARAMETERS = { group: '', kind: 'ConfigMap', name: 'parameters' };

function waypoint(infrastructure: object = {}, annotations: Record<string, string> = {}): Gateway {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { ...KEY, annotations },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
      infrastructure,
    },
  } as Gateway;
}
const parameters = (data: Record<string, string>): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'parameters', namespace: 'shop' },
  data,
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 500; turn++) await Promise.resolve();
}

function setup(ownership: Ownership = OWNS_EVERYTHING) {
  const client = new FakeKubeClient();
  const clock = new FakeClock();
  const noted: string[] = [];
  const events: EventRecorder = {
    record: ({ kind, name }, { type, reason, message }) =>
      void noted.push(`${type} ${kind} ${name} ${reason}: ${message}`),
    stop: () => undefined,
  };
  const deps = { client, clock, random: seededRandom(1), log: silentLogger, events, ownership };
  const has = (resource: string, name = 'waypoint') =>
    client.objects.has(`${resource}|shop|${name}`);
  const touch = async (body: object) => {
    await client.patch(RESOURCES.gateways, KEY, { type: 'merge', body });
    await settle();
  };
  const programmed = async () => {
    const { status } = await client.get<Gateway>(RESOURCES.gateways, KEY);
    const found = status?.conditions?.find(({ type }) => type === 'Programmed');
    return `${found?.status} ${found?.reason}: ${found?.message}`;
  };
  const start = async (...objects: [Parameters<typeof client.create>[0], KubeObject][]) => {
    for (const [ref, object] of objects) await client.create(ref, object);
    const stop = startGatewayController(deps, OPTIONS);
    await settle();
    return stop;
  };
  return { client, clock, noted, has, touch, programmed, start };
}

describe('startGatewayController, what may be made', () => {
  test('an autoscaler while parametersRef asks for it, and a budget while there are two pods', async () => {
    const { client, has, touch, start } = setup();
    const stop = await start(
      [RESOURCES.configMaps, parameters({ horizontalPodAutoscaler: 'spec: { maxReplicas: 3 }' })],
      [RESOURCES.gateways, waypoint({ parametersRef: PARAMETERS })],
    );
    expect([has('horizontalpodautoscalers'), has('poddisruptionbudgets')]).toEqual([true, false]);
    await client.patch(RESOURCES.deployments, KEY, {
      type: 'merge',
      body: { spec: { replicas: 2 } },
    });
    await settle();
    expect(has('poddisruptionbudgets')).toBe(true);
    await touch({ spec: { infrastructure: null } });
    expect([has('horizontalpodautoscalers'), has('poddisruptionbudgets')]).toEqual([false, true]);
    await client.patch(RESOURCES.deployments, KEY, {
      type: 'merge',
      body: { spec: { replicas: 1 } },
    });
    await settle();
    expect(has('poddisruptionbudgets')).toBe(false);
    stop();
    expect(client.watching).toBe(0);
  });

  test('no budget beside one that somebody else made: two of them block every eviction', async () => {
    const { client, has, start } = setup();
    const foreign = {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'mine', namespace: 'shop' },
      spec: {
        maxUnavailable: 1,
        selector: { matchLabels: { 'gateway.networking.k8s.io/gateway-name': 'waypoint' } },
      },
    };
    const stop = await start(
      [RESOURCES.podDisruptionBudgets, foreign],
      [RESOURCES.gateways, waypoint({}, { 'tulle.dev/replicas': '2' })],
    );
    expect(has('poddisruptionbudgets')).toBe(false);
    await client.delete(RESOURCES.podDisruptionBudgets, foreign.metadata);
    await settle();
    expect(has('poddisruptionbudgets')).toBe(true);
    stop();
  });

  test('makes again what somebody deletes', async () => {
    const { client, has, start } = setup();
    const stop = await start([RESOURCES.gateways, waypoint()]);
    for (const ref of [RESOURCES.deployments, RESOURCES.services, RESOURCES.serviceAccounts]) {
      await client.delete(ref, KEY);
      await settle();
      expect(has(ref.resource)).toBe(true);
    }
    stop();
  });

  test('never takes over an object that was not made for a Gateway, and says whose it is', async () => {
    const { client, noted, programmed, start } = setup();
    const foreign = { apiVersion: 'v1', kind: 'Service', metadata: { ...KEY }, spec: { a: 1 } };
    const stop = await start([RESOURCES.services, foreign], [RESOURCES.gateways, waypoint()]);
    const message =
      'Service shop/waypoint exists already and was not made for a Gateway: rename or delete it';
    expect(await programmed()).toBe(`False Invalid: ${message}`);
    expect(noted).toEqual([`Warning Gateway waypoint NotProgrammed: ${message}`]);
    expect(await client.get<KubeObject>(RESOURCES.services, KEY)).toMatchObject({ spec: { a: 1 } });
    stop();
  });

  test.each([
    ['a missing ConfigMap', undefined, 'ConfigMap shop/parameters, which does not exist'],
    ['an unknown key', { daemonSet: '{}' }, 'key daemonSet: no such overlay'],
  ])('makes nothing by %s', async (_title, data, want) => {
    const { has, programmed, start } = setup();
    const configMaps: [typeof RESOURCES.configMaps, KubeObject][] =
      data === undefined ? [] : [[RESOURCES.configMaps, parameters(data as never)]];
    const stop = await start(...configMaps, [
      RESOURCES.gateways,
      waypoint({ parametersRef: PARAMETERS }),
    ]);
    expect(await programmed()).toContain(want);
    expect(has('deployments')).toBe(false);
    stop();
  });

  test('a name that is too long is told instead of tried for ever', async () => {
    const { client, start } = setup();
    const name = 'w'.repeat(253);
    const long = waypoint();
    const stop = await start([
      RESOURCES.gateways,
      { ...long, metadata: { ...long.metadata, name, generation: 1 } } as KubeObject,
    ]);
    const { status } = await client.get<Gateway>(RESOURCES.gateways, { ...KEY, name });
    expect(status?.conditions?.map(({ observedGeneration }) => observedGeneration)).toEqual([1, 1]);
    stop();
  });

  test('defaults of a class come before what the Gateway names', async () => {
    const { client, start } = setup();
    const defaults = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: 'waypoints',
        namespace: 'istio-system',
        labels: { 'gateway.istio.io/defaults-for-class': 'istio-waypoint' },
      },
      data: { deployment: 'spec: { replicas: 2, minReadySeconds: 5 }' },
    };
    const stop = await start(
      [RESOURCES.configMaps, defaults],
      [RESOURCES.configMaps, parameters({ deployment: 'spec: { replicas: 3 }' })],
      [RESOURCES.gateways, waypoint({ parametersRef: PARAMETERS })],
    );
    const { spec } = await client.get<Deployment>(RESOURCES.deployments, KEY);
    expect([spec.replicas, spec.minReadySeconds]).toEqual([3, 5]);
    stop();
  });

  test('a right that is missing is told in the status, and tried again', async () => {
    const { client, clock, has, programmed, start } = setup();
    const patch = client.patch.bind(client);
    let isForbidden = true;
    client.patch = async (ref, key, body, ...rest) => {
      if (isForbidden && ref.resource === 'deployments')
        throw new MeshError('KUBE_FORBIDDEN', 'deployments.apps is forbidden', {
          side: 'upstream',
          hint: 'fake',
        });
      return patch(ref, key, body, ...rest);
    };
    const stop = await start([RESOURCES.gateways, waypoint()]);
    expect(await programmed()).toBe('False Invalid: deployments.apps is forbidden');
    isForbidden = false;
    clock.advance(60_000);
    await settle();
    expect(has('deployments')).toBe(true);
    expect(await programmed()).toContain('False Pending');
    stop();
  });

  test('leaves Gateways of other revisions alone until they become ours', async () => {
    const handlers: (() => void)[] = [];
    const ownership = {
      owns: () => false,
      isDefault: true,
      onChange: (handler: () => void) => {
        handlers.push(handler);
        return () => undefined;
      },
    };
    const { has, start } = setup(ownership);
    const stop = await start([RESOURCES.gateways, waypoint()]);
    expect(has('deployments')).toBe(false);
    ownership.owns = () => true as never;
    for (const handler of handlers) handler();
    await settle();
    expect(has('deployments')).toBe(true);
    stop();
  });
});

describe('startGatewayController on an API server', () => {
  let apiserver: TestApiserver;
  let client: RestClient;
  beforeAll(async () => {
    apiserver = await startTestApiserver();
    const connection = loadKubeconfig(`${apiserver.directory}/kubeconfig`);
    client = new RestClient({ fetch: fetch as Fetch }, connection);
    const metadata = { name: 'shop' };
    await client.create(RESOURCES.namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata });
  });
  afterAll(() => apiserver.stop());

  test('repairs its own fields, and does not fight for those of others', async () => {
    const events: EventRecorder = { record: () => undefined, stop: () => undefined };
    const deps = {
      client,
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      events,
      ownership: OWNS_EVERYTHING,
    };
    await client.create(RESOURCES.gateways, waypoint({}, { 'tulle.dev/replicas': '3' }));
    const stop = startGatewayController(deps, OPTIONS);
    const read = () => client.get<Deployment>(RESOURCES.deployments, KEY);
    const reads = (check: (deployment: Deployment) => boolean) =>
      until(async () => {
        try {
          const found = await read();
          return check(found) ? found : undefined;
        } catch {
          return undefined;
        }
      });
    const edit = (ref: typeof RESOURCES.deployments, body: object) =>
      client.patch(ref, KEY, { type: 'merge', body }, { fieldManager: 'somebody' });

    const before = await reads(({ spec }) => spec.replicas === 3);
    // The image is ours: put back. An annotation of others: kept.
    const containers = [{ ...before.spec.template.spec.containers[0], image: 'other' }];
    await edit(RESOURCES.deployments, {
      metadata: { annotations: { theirs: 'x' } },
      spec: { template: { spec: { containers } } },
    });
    const repaired = await reads(({ spec }) => spec.template.spec.containers[0].image === 'tulle');
    expect(repaired.metadata.annotations?.theirs).toBe('x');

    // The Gateway says no number any more: the pods that are there stay, and whoever scales them is obeyed.
    await client.patch(RESOURCES.gateways, KEY, {
      type: 'merge',
      body: { metadata: { annotations: { 'tulle.dev/replicas': null } } },
    });
    const owners = ({ metadata }: Deployment) => {
      const { managedFields = [] } = metadata as typeof metadata & {
        managedFields?: { manager: string; fieldsV1: { 'f:spec'?: object } }[];
      };
      return managedFields
        .filter(({ fieldsV1 }) => 'f:replicas' in (fieldsV1['f:spec'] ?? {}))
        .map(({ manager }) => manager);
    };
    const given = await reads((each) => !owners(each).includes('tulle-control'));
    expect(given.spec.replicas).toBe(3);
    const scaled = await apiserver.kubectl([
      'scale',
      'deployment/waypoint',
      '--replicas=5',
      '-n',
      'shop',
    ]);
    expect(scaled).toMatchObject({ exitCode: 0 });
    await edit(RESOURCES.deployments, { spec: { minReadySeconds: 7 } });
    const status = { readyReplicas: 1, replicas: 1 };
    await client.patch(
      RESOURCES.deployments,
      KEY,
      { type: 'merge', body: { status } },
      { subresource: 'status' },
    );
    const waited = await apiserver.kubectl([
      'wait',
      '--for=condition=Programmed',
      'gateways.gateway.networking.k8s.io/waypoint',
      '-n',
      'shop',
      '--timeout=20s',
    ]);
    expect(waited).toMatchObject({ exitCode: 0 });
    expect((await read()).spec).toMatchObject({ replicas: 5, minReadySeconds: 7 });
    stop();
  }, 120_000);
});
