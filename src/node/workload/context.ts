/** What every captured workload's proxy shares in this process. */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import type { SvidStore } from '#identity/svid/svid-store.ts';
import type { Revocations } from '#identity/trust/crl-file.ts';
import type { Network, NetworkNamespace } from '#net/network.ts';
import type { DnsContext } from '../dns/dns-context.ts';
import type { DescribedSources } from '../inbound/described-sources.ts';
import type { HostResolver } from '../outbound/host-resolver.ts';
import type { MeshState } from '../state/mesh-state.ts';
import type { NodeTelemetry } from '../telemetry.ts';
import type { NodeTracing } from '../tracing.ts';
import type { Usages } from '../usage/usages.ts';
import type { WorkerGroup } from '../worker/worker-group.ts';

export interface NodeContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly network: Network;
  readonly state: MeshState;
  readonly identities: SvidStore;
  readonly pool: TunnelPool;
  readonly telemetry: NodeTelemetry;
  readonly tracing: NodeTracing;
  readonly usages: Usages;
  readonly dns: DnsContext;
  readonly hosts: HostResolver;
  readonly sources: DescribedSources;
  readonly trustDomain: string;
  /** Undefined: nobody keeps revocation lists. */
  readonly revocations: Revocations | undefined;
  /** Other threads that serve the same pods; undefined: this one serves alone, or is such a thread. */
  workers: WorkerGroup | undefined;
}

/** The pod whose traffic a proxy handles. */
export interface PodIdentity {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** As discovery tells it; undefined: the node's own. */
  readonly trustDomain?: string;
  /** Undefined: the proxy's own namespace (machines, benchmarks, tests). */
  readonly netns: NetworkNamespace | undefined;
  /** Its uid in discovery, of one that is no pod. */
  readonly workloadUid?: string;
  /** The only ports that tunnels may reach; undefined: all. A machine has others that are none of the mesh's business. */
  readonly sharedPorts?: ReadonlySet<number>;
}
