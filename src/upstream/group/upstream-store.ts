/**
 * All endpoint groups of a proxy. A configuration snapshot asks for the groups that its routes name (`resolve`) and then `retain`s
 * exactly those: groups that the new snapshot does not name are closed, the others keep what they learned.
 */
import type { Timer } from '#base/clock.ts';
import type { Upstream } from '#model/route/route-table.ts';
import { IDLE_SWEEP_MS } from '../limits.ts';
import type { PoolConnection } from '../pool/endpoint-pool.ts';
import { EndpointGroup, type GroupConfig, type GroupDeps } from './endpoint-group.ts';

export interface GroupName {
  readonly subset?: string;
  readonly port: number;
}

export class UpstreamStore<C extends PoolConnection> {
  readonly #deps: GroupDeps<C>;
  readonly #groups = new Map<string, EndpointGroup<C>>();
  readonly #sweeper: Timer;

  constructor(deps: GroupDeps<C>) {
    this.#deps = deps;
    this.#sweeper = deps.clock.every(IDLE_SWEEP_MS, () => {
      for (const group of this.#groups.values()) group.sweepIdle();
    });
  }

  get groups(): Iterable<EndpointGroup<C>> {
    return this.#groups.values();
  }

  /** The group for a destination, created or reconfigured; undefined when the upstream has no such subset or port. */
  resolve(upstream: Upstream, name: GroupName): EndpointGroup<C> | undefined {
    const config = groupConfig(upstream, name);
    if (config === undefined) return undefined;
    // Two namespaces may declare the same outside host.
    const id = `${upstream.namespace}/${groupKey(upstream, name)}`;
    const existing = this.#groups.get(id);
    if (existing !== undefined) {
      if (existing.config.upstream !== upstream) existing.configure(config);
      return existing;
    }
    const group = new EndpointGroup<C>(groupKey(upstream, name), this.#deps, config);
    this.#groups.set(id, group);
    return group;
  }

  /** Closes the groups that are not among `used`; requests that run on them finish. */
  retain(used: ReadonlySet<EndpointGroup<C>>): void {
    for (const [key, group] of this.#groups) {
      if (used.has(group)) continue;
      this.#groups.delete(key);
      group.close();
    }
  }

  /** The proxy learned where it runs: localities are ranked anew. */
  relocate(): void {
    for (const group of this.#groups.values()) group.relocate();
  }

  close(): void {
    this.#sweeper.cancel();
    this.retain(new Set());
  }
}

/** As Envoy names it: `outbound|80|canary|product-service.shop.svc.cluster.local`. */
export function groupKey(upstream: Upstream, { subset, port }: GroupName): string {
  return `outbound|${port}|${subset ?? ''}|${upstream.hostname}`;
}

/** What a destination is: its port, policy and endpoints; undefined when the upstream has no such subset or port. */
export function groupConfig(
  upstream: Upstream,
  { subset, port }: GroupName,
): GroupConfig | undefined {
  const servicePort = upstream.ports.find((candidate) => candidate.port === port);
  if (servicePort === undefined) return undefined;
  const { protocol } = servicePort;
  if (subset === undefined) {
    const { endpoints } = upstream;
    const policy = upstream.portPolicies?.[port] ?? upstream.policy;
    return { upstream, subset, port, protocol, policy, endpoints };
  }
  const found = upstream.subsets.find((candidate) => candidate.name === subset);
  if (found === undefined) return undefined;
  const wanted = Object.entries(found.labels);
  const endpoints = upstream.endpoints.filter((endpoint) =>
    wanted.every(([name, value]) => endpoint.labels[name] === value),
  );
  const policy = found.portPolicies?.[port] ?? found.policy;
  return { upstream, subset, port, protocol, policy, endpoints };
}
