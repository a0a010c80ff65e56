import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Deployment, Node, Pod, Service } from '#kube/client/kinds.ts';
import { endpointSlicesFor } from './endpoint-plan.ts';
import { planReplicas, type ReplicaSet } from './replica-plan.ts';
import { nextRolloutStep, rolloutBounds, rolloutStatus, templateHash } from './rollout-plan.ts';
import { schedule } from './schedule.ts';

interface PodShape {
  ready?: boolean;
  phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  deleted?: boolean;
  node?: string;
  owner?: string;
  labels?: Record<string, string>;
  ip?: string;
}

function pod(name: string, shape: PodShape = {}): Pod {
  const { ready = true, phase = 'Running', deleted = false, node, owner, labels, ip } = shape;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      labels,
      ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
      ...(owner === undefined
        ? {}
        : {
            ownerReferences: [
              {
                apiVersion: 'apps/v1',
                kind: 'ReplicaSet',
                name: owner,
                uid: owner,
                controller: true,
              },
            ],
          }),
    },
    spec: {
      nodeName: node,
      containers: [{ name: 'app', image: 'host', ports: [{ name: 'http', containerPort: 8080 }] }],
    },
    status: { phase, podIP: ip, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

function set(name: string, replicas: number, available = replicas): ReplicaSet {
  const template = { spec: { containers: [] } };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace: 'shop' },
    spec: { replicas, selector: {}, template },
    status: { replicas, readyReplicas: available, availableReplicas: available },
  };
}

function deployment(replicas: number, strategy: Deployment['spec']['strategy'] = {}): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop', generation: 1 },
    spec: { replicas, strategy, selector: {}, template: { spec: { containers: [] } } },
  };
}

describe('planReplicas', () => {
  const ROWS = [
    {
      title: 'creates what is missing',
      size: 3,
      pods: [pod('a')],
      unseen: 0,
      create: 2,
      remove: [],
    },
    {
      title: 'counts pods it made and has not seen',
      size: 3,
      pods: [pod('a')],
      unseen: 2,
      create: 0,
      remove: [],
    },
    {
      title: 'replaces a failed pod',
      size: 1,
      pods: [pod('a', { phase: 'Failed' })],
      unseen: 0,
      create: 1,
      remove: [],
    },
    {
      title: 'replaces a pod that is being deleted',
      size: 1,
      pods: [pod('a', { deleted: true })],
      unseen: 0,
      create: 1,
      remove: [],
    },
    {
      title: 'removes the one that is not ready first',
      size: 1,
      pods: [pod('a', { node: 'n' }), pod('b', { node: 'n', ready: false })],
      unseen: 0,
      create: 0,
      remove: ['b'],
    },
    {
      title: 'removes the one without a node before that',
      size: 1,
      pods: [pod('a', { node: 'n', ready: false }), pod('b')],
      unseen: 0,
      create: 0,
      remove: ['b'],
    },
  ];
  for (const row of ROWS) {
    test(row.title, () => {
      const plan = planReplicas(set('rs', row.size), row.pods, { unseen: row.unseen, nowMs: 0 });
      expect(plan.create).toBe(row.create);
      expect(plan.remove.map(({ metadata }) => metadata.name)).toEqual(row.remove);
    });
  }
});

describe('rolloutBounds', () => {
  const ROWS = [
    { replicas: 4, surge: '25%', unavailable: '25%', want: [1, 1] },
    { replicas: 1, surge: '25%', unavailable: '25%', want: [1, 0] },
    { replicas: 10, surge: 3, unavailable: 2, want: [3, 2] },
    { replicas: 3, surge: 0, unavailable: 0, want: [0, 1] },
    { replicas: 3, surge: '0%', unavailable: '34%', want: [0, 1] },
  ];
  for (const row of ROWS) {
    test(`of ${row.replicas} with ${row.surge} and ${row.unavailable}`, () => {
      const rollingUpdate = { maxSurge: row.surge, maxUnavailable: row.unavailable };
      const bounds = rolloutBounds(deployment(row.replicas, { rollingUpdate }));
      expect([bounds.maxSurge, bounds.maxUnavailable]).toEqual(row.want);
    });
  }
});

describe('nextRolloutStep', () => {
  test('creates the first ReplicaSet whole', () => {
    expect(nextRolloutStep(deployment(3), undefined, []).createWith).toBe(3);
  });

  test('Recreate waits until no old pod is left', () => {
    const recreate = deployment(2, { type: 'Recreate' });
    expect(nextRolloutStep(recreate, undefined, [set('old', 2)])).toEqual({
      scale: new Map([['old', 0]]),
      createWith: undefined,
    });
    const gone = { ...set('old', 0), status: { replicas: 0 } };
    expect(nextRolloutStep(recreate, undefined, [gone]).createWith).toBe(2);
  });

  /** Plays a rollout in which `ready` says how many new pods become available in each round. */
  test('keeps its bounds in every round and ends', () => {
    const numbers = fc.record({
      replicas: fc.integer({ min: 1, max: 12 }),
      surge: fc.integer({ min: 0, max: 4 }),
      unavailable: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(
        numbers,
        fc.array(fc.boolean(), { maxLength: 60 }),
        ({ replicas, surge, unavailable }, late) => {
          const target = deployment(replicas, {
            rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable },
          });
          const bounds = rolloutBounds(target);
          let old = set('old', replicas);
          let current: ReplicaSet | undefined;
          for (let round = 0; round < 200; round++) {
            const step = nextRolloutStep(target, current, [old]);
            if (step.createWith !== undefined) current = set('new', step.createWith, 0);
            const oldSize = step.scale.get('old');
            const newSize = step.scale.get('new');
            if (oldSize !== undefined)
              old = set('old', oldSize, Math.min(oldSize, old.status?.availableReplicas ?? 0));
            if (newSize !== undefined && current !== undefined)
              current = set(
                'new',
                newSize,
                Math.min(newSize, current.status?.availableReplicas ?? 0),
              );
            const total = (old.spec.replicas ?? 0) + (current?.spec.replicas ?? 0);
            const available =
              (old.status?.availableReplicas ?? 0) + (current?.status?.availableReplicas ?? 0);
            expect(total).toBeLessThanOrEqual(replicas + bounds.maxSurge);
            expect(available).toBeGreaterThanOrEqual(replicas - bounds.maxUnavailable);
            const size = current?.spec.replicas ?? 0;
            if (current !== undefined && late[round] !== true)
              current = set(
                'new',
                size,
                Math.min(size, (current.status?.availableReplicas ?? 0) + 1),
              );
          }
          expect([old.spec.replicas, current?.spec.replicas]).toEqual([0, replicas]);
        },
      ),
    );
  });

  test('rolloutStatus says complete only when every pod is new and available', () => {
    const now = { older: [] as ReplicaSet[], now: '2026-01-01T00:00:00Z', nowMs: 0 };
    const reason = (status: Deployment['status']) =>
      status?.conditions?.find(({ type }) => type === 'Progressing')?.reason;
    expect(reason(rolloutStatus(deployment(2), set('new', 2), now))).toBe('NewReplicaSetAvailable');
    expect(reason(rolloutStatus(deployment(2), set('new', 2, 1), now))).toBe('ReplicaSetUpdated');
    expect(
      reason(rolloutStatus(deployment(2), set('new', 2), { ...now, older: [set('old', 1)] })),
    ).toBe('ReplicaSetUpdated');
  });
});

describe('templateHash', () => {
  test('does not depend on member order and tells templates apart', () => {
    expect(templateHash({ a: 1, b: [2] })).toBe(templateHash({ b: [2], a: 1 }));
    expect(templateHash({ a: 1 })).not.toBe(templateHash({ a: 2 }));
  });
});

describe('schedule', () => {
  const node = (name: string, ready = true, labels = {}): Node => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    status: {
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      allocatable: { pods: '3' },
    },
  });
  const full = ['a', 'b', 'c'].map((name) => pod(name, { node: 'n1' }));
  const ROWS = [
    {
      title: 'the emptier node',
      nodes: [node('n1'), node('n2')],
      pods: [pod('x', { node: 'n1' })],
      want: { node: 'n2' },
    },
    {
      title: 'the node without a sibling, though fuller',
      nodes: [node('n1'), node('n2')],
      pods: [
        pod('s', { node: 'n1', owner: 'rs' }),
        pod('x', { node: 'n2' }),
        pod('y', { node: 'n2' }),
      ],
      want: { node: 'n2' },
    },
    {
      title: 'none: not ready',
      nodes: [node('n1', false)],
      pods: [],
      want: { reason: '0/1 nodes are available: 1 node(s) were not ready.' },
    },
    {
      title: 'none: full',
      nodes: [node('n1')],
      pods: full,
      want: { reason: '0/1 nodes are available: 1 too many pods.' },
    },
  ];
  for (const row of ROWS) {
    test(row.title, () =>
      expect(schedule(pod('new', { owner: 'rs' }), row.nodes, row.pods)).toEqual(row.want),
    );
  }

  test('a nodeSelector is kept', () => {
    const wanted = pod('new');
    wanted.spec.nodeSelector = { disk: 'ssd' };
    expect(schedule(wanted, [node('n1'), node('n2', true, { disk: 'ssd' })], [])).toEqual({
      node: 'n2',
    });
  });
});

describe('endpointSlicesFor', () => {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'api', namespace: 'shop', uid: 'u' },
    spec: { selector: { app: 'api' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  };
  const labels = { app: 'api' };
  const ROWS = [
    { title: 'a ready pod', shape: {}, want: { ready: true, serving: true, terminating: false } },
    {
      title: 'a pod that is not ready',
      shape: { ready: false },
      want: { ready: false, serving: false, terminating: false },
    },
    {
      title: 'a pod that ends but still serves',
      shape: { deleted: true },
      want: { ready: false, serving: true, terminating: true },
    },
  ];
  for (const row of ROWS) {
    test(`conditions of ${row.title}`, () => {
      const [slice] = endpointSlicesFor(service, [
        pod('a', { labels, ip: '198.18.1.2', ...row.shape }),
      ]);
      expect(slice.endpoints[0].conditions).toEqual(row.want);
      expect(slice.ports).toEqual([{ name: 'http', port: 8080, protocol: 'TCP' }]);
    });
  }

  test('publishNotReadyAddresses makes every endpoint ready', () => {
    const open = { ...service, spec: { ...service.spec, publishNotReadyAddresses: true } };
    const [slice] = endpointSlicesFor(open, [pod('a', { labels, ip: '198.18.1.2', ready: false })]);
    expect(slice.endpoints[0].conditions?.ready).toBe(true);
  });

  test('pods with another number for the named port get a slice of their own', () => {
    const other = pod('b', { labels, ip: '198.18.1.3' });
    other.spec.containers[0].ports = [{ name: 'http', containerPort: 9090 }];
    const slices = endpointSlicesFor(service, [pod('a', { labels, ip: '198.18.1.2' }), other]);
    expect(slices.map(({ ports }) => ports?.[0].port).sort()).toEqual([8080, 9090]);
  });

  test('leaves out pods without an address, finished ones, and other namespaces', () => {
    const foreign = pod('c', { labels, ip: '198.18.1.4' });
    foreign.metadata.namespace = 'other';
    const pods = [
      pod('a', { labels }),
      pod('b', { labels, ip: '198.18.1.3', phase: 'Succeeded' }),
      foreign,
    ];
    expect(endpointSlicesFor(service, pods).flatMap(({ endpoints }) => endpoints)).toEqual([]);
  });
});
