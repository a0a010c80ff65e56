/**
 * A mesh and its traffic, made up by a seed: rates, sizes and latencies differ from edge to edge by orders of magnitude, and each second is drawn anew (Poisson
 * arrivals), so that what is stored is as hard to compress as the real thing.
 */
import type { Random } from '#base/random.ts';
import { seededRandom } from '#base/random.ts';
import type { MeshView, ServiceView, WorkloadView } from '#console/mesh-view.ts';
import { BUCKETS, type Counts } from '#console/store/counts.ts';
import type { OutcomeTable } from '#console/store/series-table.ts';
import type { FlowEdge, FlowPeer, FlowSample } from '#telemetry/flow/flow-frame.ts';
import { DEFAULT_BOUNDS } from '#telemetry/metrics/istio.ts';

export interface MeshSize {
  readonly workloads: number;
  readonly edges: number;
  readonly namespaces: number;
  readonly proxies: number;
}

export const LARGE_MESH: MeshSize = {
  workloads: 2000,
  edges: 20_000,
  namespaces: 40,
  proxies: 100,
};
export const SMALL_MESH: MeshSize = { workloads: 100, edges: 1000, namespaces: 5, proxies: 5 };

interface EdgeTraffic {
  readonly edge: Omit<FlowEdge, 'id'>;
  readonly proxy: number;
  /** Requests a second. */
  readonly rate: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Share of requests by bucket of latency. */
  readonly shape: readonly number[];
  readonly errorShare: number;
}

/** An error in so many edges is common. */
const BAD_EDGES = 0.1;
const MEDIAN_RATE = 2;
const MEDIAN_MS = 12;

export class SyntheticMesh {
  readonly size: MeshSize;
  readonly edges: readonly EdgeTraffic[];
  readonly #random: Random;

  constructor(size: MeshSize, seed = 7) {
    this.size = size;
    this.#random = seededRandom(seed);
    this.edges = Array.from({ length: size.edges }, (_, index) => this.#edge(index));
  }

  proxyName(index: number): string {
    return `system/proxy-${index}`;
  }

  /** What one edge does in so many seconds. */
  sample(index: number, seconds: number): FlowSample & { readonly errors: number } {
    const { rate, requestBytes, responseBytes, shape, errorShare } = this.edges[index];
    const requests = Math.max(1, this.#poisson(rate * seconds));
    const errors = Math.min(requests, this.#poisson(requests * errorShare));
    const noise = 1 + (0.5 * this.#gauss()) / Math.sqrt(requests);
    return {
      edge: 0,
      requests,
      errors,
      codes:
        errors > 0
          ? [
              [200, requests - errors],
              [503, errors],
            ]
          : [[200, requests]],
      grpcStatuses: [],
      flags: [],
      latency: this.#spread(requests, shape),
      durationMsSum: 0,
      opened: 0,
      closed: 0,
      failed: 0,
      sentBytes: Math.round(requests * requestBytes * (1 + 0.05 * this.#gauss())),
      receivedBytes: Math.max(0, Math.round(requests * responseBytes * noise)),
    };
  }

  /** The same, into the counts of a period: rows are edges. */
  fill(counts: Counts, seconds: number, outcomes: OutcomeTable): void {
    const failed = outcomes.id('c503');
    for (let row = 0; row < this.edges.length; row++) {
      const { requests, errors, latency, sentBytes, receivedBytes } = this.sample(row, seconds);
      counts.touch(row);
      counts.requests[row] += requests;
      counts.sent[row] += sentBytes;
      counts.received[row] += receivedBytes;
      for (const [bucket, count] of latency) counts.latency[row * BUCKETS + bucket] += count;
      if (errors > 0) counts.addOutcome(row, failed, errors);
    }
  }

  view(): MeshView {
    const { size } = this;
    const workloads = Array.from({ length: size.workloads }, (_, index) =>
      workloadView(index, size),
    );
    const services = Array.from({ length: size.workloads }, (_, index) => serviceView(index, size));
    const workloadsByKey = new Map(workloads.map((view) => [view.key, view]));
    const servicesByKey = new Map(services.map((view) => [view.key, view]));
    const namespaces = Array.from({ length: size.namespaces }, (_, index) => ({
      name: `ns-${index}`,
      isEnrolled: true,
      waypoint: '',
      mtlsMode: 'STRICT' as const,
      mtlsFrom: 'default',
    }));
    return {
      version: 'bench',
      trustDomain: 'cluster.local',
      clusterId: 'bench',
      revision: 1,
      namespaces: () => namespaces,
      workloads: () => workloads,
      workload: (key) => workloadsByKey.get(key),
      services: () => services,
      service: (key) => servicesByKey.get(key),
      splits: () => [],
      config: () => [],
      findings: () => [],
      proxies: () => [],
      control: () => [],
      problems: () => [],
      ejected: () => [],
      certificates: () => ({ certificates: [], roots: [] }),
      onChange: () => () => undefined,
    };
  }

  #edge(index: number): EdgeTraffic {
    const { workloads, proxies } = this.size;
    const source = index % workloads;
    // Each workload calls others near and far: ten edges of each, none twice.
    const target = (source + 1 + Math.floor(index / workloads) * 7 + (source % 5)) % workloads;
    const median = MEDIAN_MS * Math.exp(0.8 * this.#gauss());
    return {
      proxy: index % proxies,
      edge: {
        reporter: 'waypoint',
        protocol: 'http',
        source: peerOf(source, this.size),
        destination: peerOf(target, this.size),
        service: {
          host: `svc-${target}.ns-${target % this.size.namespaces}.svc.cluster.local`,
          namespace: `ns-${target % this.size.namespaces}`,
          name: `svc-${target}`,
        },
        isMutualTls: true,
      },
      rate: MEDIAN_RATE * Math.exp(this.#gauss()),
      requestBytes: 300 + 400 * this.#random.fraction(),
      responseBytes: 1500 * Math.exp(this.#gauss()),
      shape: this.#shape(median),
      errorShare: this.#random.fraction() < BAD_EDGES ? 0.02 : 0.001,
    };
  }

  #shape(median: number): number[] {
    const shape = new Array<number>(BUCKETS).fill(0);
    const draws = 1000;
    for (let draw = 0; draw < draws; draw++) {
      const ms = median * Math.exp(0.6 * this.#gauss());
      const at = DEFAULT_BOUNDS.findIndex((bound) => ms <= bound);
      shape[at < 0 ? BUCKETS - 1 : at] += 1 / draws;
    }
    return shape;
  }

  /** Multinomial, bucket after bucket. */
  #spread(requests: number, shape: readonly number[]): [number, number][] {
    const found: [number, number][] = [];
    let rest = requests;
    let share = 1;
    for (let bucket = 0; bucket < BUCKETS && rest > 0; bucket++) {
      const chance = share <= 1e-9 ? 1 : Math.min(1, shape[bucket] / share);
      const count = bucket === BUCKETS - 1 ? rest : this.#binomial(rest, chance);
      if (count > 0) found.push([bucket, count]);
      rest -= count;
      share -= shape[bucket];
    }
    return found;
  }

  #binomial(count: number, chance: number): number {
    if (chance >= 1) return count;
    if (chance <= 0) return 0;
    if (count < 30) {
      let hits = 0;
      for (let draw = 0; draw < count; draw++) if (this.#random.fraction() < chance) hits++;
      return hits;
    }
    const mean = count * chance;
    if (mean < 20) return Math.min(count, this.#poisson(mean));
    const drawn = mean + Math.sqrt(mean * (1 - chance)) * this.#gauss();
    return Math.min(count, Math.max(0, Math.round(drawn)));
  }

  #poisson(mean: number): number {
    if (mean > 40) return Math.max(0, Math.round(mean + Math.sqrt(mean) * this.#gauss()));
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = this.#random.fraction(); product > limit; product *= this.#random.fraction())
      count++;
    return count;
  }

  #gauss(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#random.fraction()));
    return radius * Math.cos(2 * Math.PI * this.#random.fraction());
  }
}

function peerOf(index: number, size: MeshSize): FlowPeer {
  const namespace = `ns-${index % size.namespaces}`;
  return {
    kind: 'workload',
    namespace,
    workload: `workload-${index}`,
    app: `workload-${index}`,
    version: 'v1',
    principal: `spiffe://cluster.local/ns/${namespace}/sa/account-${index}`,
    cluster: 'bench',
  };
}

function workloadView(index: number, size: MeshSize): WorkloadView {
  const namespace = `ns-${index % size.namespaces}`;
  const name = `workload-${index}`;
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    kind: 'Deployment',
    app: name,
    versions: ['v1'],
    labels: { app: name, version: 'v1' },
    identity: `spiffe://cluster.local/ns/${namespace}/sa/account-${index}`,
    isCaptured: true,
    notCaptured: '',
    role: 'workload',
    waypoint: '',
    replicas: { ready: 2, desired: 2 },
    services: [`${namespace}/svc-${index}.${namespace}.svc.cluster.local`],
    pods: () => [],
  };
}

function serviceView(index: number, size: MeshSize): ServiceView {
  const namespace = `ns-${index % size.namespaces}`;
  const host = `svc-${index}.${namespace}.svc.cluster.local`;
  return {
    key: `${namespace}/${host}`,
    namespace,
    name: `svc-${index}`,
    host,
    kind: 'Service',
    isExternal: false,
    addresses: [],
    ports: [{ name: 'http', port: 80, protocol: 'http' }],
    waypoint: '',
    workloads: [`${namespace}/workload-${index}`],
    endpoints: () => [],
  };
}
