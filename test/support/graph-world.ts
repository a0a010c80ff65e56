/** A small mesh whose traffic a test makes up second by second, booked by a console's engine. */
import { silentLogger } from '#base/log.ts';
import type { GraphRequest } from '#console/console-data.ts';
import { ConsoleEngine } from '#console/engine/console-engine.ts';
import type { MeshUpdate, ServicePicture, WorkloadPicture } from '#console/graph/mesh-picture.ts';
import type { FlowEdge, FlowSample } from '#telemetry/flow/flow-frame.ts';
import { FakeClock } from './fake-clock.ts';
import { edge, peer, sample, service } from './flows.ts';

export const EPOCH = Date.UTC(2026, 0, 1, 12, 0, 0);
export const LIVE: GraphRequest = {
  windowSeconds: 60,
  namespaces: [],
  type: 'workload',
  atMs: undefined,
  focus: undefined,
  idle: false,
  waypoints: false,
  visible: undefined,
  form: 'objects',
};

export function workload(name: string, more: Partial<WorkloadPicture> = {}): WorkloadPicture {
  const namespace = more.namespace ?? 'shop';
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    kind: 'Deployment',
    app: name.replace(/-v\d+$/, ''),
    versions: [/-(v\d+)$/.exec(name)?.[1] ?? 'v1'],
    labels: {},
    identity: `spiffe://cluster.local/ns/${namespace}/sa/${name}`,
    isCaptured: true,
    notCaptured: '',
    role: 'workload',
    waypoint: '',
    replicas: { ready: 1, desired: 1 },
    services: [],
    pods: [],
    healthRate: '',
    ...more,
  };
}

function serviceOf(
  name: string,
  workloads: string[],
  more: Partial<ServicePicture> = {},
): ServicePicture {
  const host = `${name}.shop.svc.cluster.local`;
  return {
    key: `shop/${host}`,
    namespace: 'shop',
    name,
    host,
    isExternal: false,
    protocol: 'http',
    waypoint: '',
    workloads,
    healthRate: '',
    ...more,
  };
}

export const MESH: MeshUpdate = {
  namespaces: [{ name: 'shop', isEnrolled: true, waypoint: 'shop/waypoint' }],
  workloads: [
    workload('web'),
    workload('cart-v1', { services: ['shop/cart.shop.svc.cluster.local'] }),
    workload('cart-v2', { services: ['shop/cart.shop.svc.cluster.local'] }),
    workload('waypoint', { role: 'waypoint', pods: ['waypoint-abc-12345'] }),
  ],
  goneWorkloads: [],
  services: [serviceOf('cart', ['shop/cart-v1', 'shop/cart-v2'])],
  goneServices: [],
};

export class World {
  readonly clock = new FakeClock(EPOCH);
  readonly engine = new ConsoleEngine({
    clock: this.clock,
    log: silentLogger,
    directory: undefined,
  });

  constructor(mesh: MeshUpdate = MESH) {
    this.engine.updateMesh(mesh);
  }

  /** Each of so many seconds the edges carry what their samples say. */
  run(
    seconds: number,
    ...traffic: [proxy: string, edge: Partial<FlowEdge>, sample: Partial<FlowSample>][]
  ): this {
    const byProxy = Map.groupBy(traffic, ([proxy]) => proxy);
    for (const [proxy, flows] of byProxy) {
      this.engine.store.recorder.opened(proxy);
      flows.forEach(([, more], id) => {
        this.engine.edge(proxy, edge(id, more));
      });
    }
    for (let at = 0; at < seconds; at++) {
      const second = Math.floor(this.clock.wallTime() / 1000);
      this.clock.advance(1000);
      for (const [proxy, flows] of byProxy) {
        const samples = flows.map(([, , more], id) => sample(id, more));
        this.engine.frame(
          proxy,
          { second, samples },
          { second, receivedMs: this.clock.wallTime() },
        );
      }
      this.engine.tick();
    }
    return this;
  }

  settle(): this {
    return this.run(2);
  }

  graph(more: Partial<GraphRequest> = {}) {
    return this.engine.graph({ ...LIVE, ...more });
  }

  edges(more: Partial<GraphRequest> = {}) {
    return this.graph(more)
      .edges.map(
        ({ id, requestsPerSecond, connectionsPerSecond }) =>
          `${id} ${requestsPerSecond || connectionsPerSecond}`,
      )
      .sort();
  }
}

export const http = (destination: string, requests: number, more: Partial<FlowSample> = {}) =>
  ['shop/waypoint-abc-12345', { destination: peer(destination) }, { requests, ...more }] as [
    string,
    Partial<FlowEdge>,
    Partial<FlowSample>,
  ];
export const tcp = { protocol: 'tcp', service: service('') } as const;
