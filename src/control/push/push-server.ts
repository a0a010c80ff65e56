/**
 * The control plane's end of delta xDS: checks who connects, sends each proxy what it may see, pushes changes
 * after a short quiet time, and keeps the sync state of every proxy for `tulle status`.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { type Disposer, Scope } from '#base/disposer.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { ServerStream, ServerStreamHandler } from '#http/grpc/server.ts';
import type { Workload } from '#model/workload/workload.ts';
import { ADDRESS, type AddressValue, WORKLOAD } from '#xds/resources/address.ts';
import { AUTHORIZATION } from '#xds/resources/authorization.ts';
import { GATEWAY_CONFIG } from '#xds/resources/gateway-config.ts';
import { ROUTE_TABLE } from '#xds/resources/route-table.ts';
import { TELEMETRY } from '#xds/resources/telemetry.ts';
import { TLS_MATERIAL } from '#xds/resources/tls-material.ts';
import { UPSTREAM } from '#xds/resources/upstream.ts';
import type { Authenticate } from './caller.ts';
import { checkedStream } from './checked-stream.ts';
import { Debounce } from './debounce.ts';
import { EncodedResources } from './encoded-resources.ts';
import { FirstSyncs } from './first-syncs.ts';
import { HELD_RECHECK_MS, PUSH_DELAY_MAX_MS, PUSH_QUIET_MS } from './limits.ts';
import { ProxyStream, type ProxySyncState } from './proxy-stream.ts';
import { type ResourceSource, type ResourceSources, workloadsOf } from './resource-source.ts';

export interface PushServerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly sources: ResourceSources;
  readonly authenticate: Authenticate;
  readonly clusterId: string;
  /**
   * Every kind of the API that forbids or directs something is followed. While one is not, another replica may have told proxies what
   * is not known here: a policy must not be taken back from a proxy because it came to us.
   */
  readonly isCurrent: () => boolean;
}

export class PushServer {
  readonly #deps: PushServerDeps;
  readonly #resources: ReadonlyMap<string, EncodedResources<unknown>>;
  readonly #streams = new Set<ProxyStream>();
  #pushes = 0;
  readonly #watchers = new Set<() => void>();
  readonly #scope = new Scope();
  readonly #debounce: Debounce;
  readonly #firstSyncs: FirstSyncs;
  #recheck: Timer | undefined;
  #connections = 0;

  constructor(deps: PushServerDeps) {
    this.#deps = deps;
    this.#resources = encodedResources(deps.sources);
    this.#firstSyncs = new FirstSyncs(deps.clock);
    const timing = { quietMs: PUSH_QUIET_MS, maxMs: PUSH_DELAY_MAX_MS };
    this.#debounce = new Debounce(deps.clock, timing, () => this.#flush());
    for (const [typeUrl, resources] of this.#resources) {
      this.#scope.add(
        resources.source.subscribe((names) => {
          resources.onChange(names);
          for (const stream of this.#streams) stream.onChange(typeUrl, names);
          this.#debounce.trigger();
        }),
      );
    }
  }

  /** Handler of the gRPC method DeltaAggregatedResources. */
  openStream(stream: ServerStream): ServerStreamHandler {
    const proxy = new ProxyStream(this.#deps, {
      connection: ++this.#connections,
      resources: this.#resources,
      stream,
      firstSyncs: this.#firstSyncs,
      onState: () => this.#changed(),
      onPushed: () => this.#pushes++,
      isCurrent: () => this.#isCurrent(),
    });
    const checked = checkedStream(stream, this.#deps, {
      title: 'xDS',
      accept: (caller) => {
        proxy.caller = caller;
        this.#streams.add(proxy);
        return { onMessage: (bytes) => proxy.onMessage(bytes), onClose: () => undefined };
      },
    });
    return {
      onMessage: (bytes) => checked.onMessage(bytes),
      onClose: () => {
        checked.onClose();
        proxy.left();
        if (this.#streams.delete(proxy)) this.#changed();
      },
    };
  }

  /** Answers that were sent since the start. */
  get pushes(): number {
    return this.#pushes;
  }

  /** Every proxy that is connected and said who it is. */
  proxies(): ProxySyncState[] {
    return [...this.#streams].flatMap((stream) => stream.state() ?? []);
  }

  /** Called when a proxy connects, leaves, is sent something or answers. */
  onState(callback: () => void): Disposer {
    this.#watchers.add(callback);
    return () => void this.#watchers.delete(callback);
  }

  close(): void {
    this.#debounce.cancel();
    this.#recheck?.cancel();
    this.#firstSyncs.stop();
    this.#scope.dispose();
    for (const stream of this.#streams) stream.close('the control plane is stopping');
  }

  #isCurrent(): boolean {
    if (this.#deps.isCurrent()) return true;
    this.#recheck ??= this.#deps.clock.after(HELD_RECHECK_MS, () => {
      this.#recheck = undefined;
      this.#flush();
    });
    return false;
  }

  #flush(): void {
    for (const stream of this.#streams) stream.flush();
  }

  #changed(): void {
    for (const callback of this.#watchers) callback();
  }
}

function encodedResources(sources: ResourceSources): Map<string, EncodedResources<unknown>> {
  const { address } = sources;
  const nothing = { keys: () => [], onNode: () => false };
  const all = [
    new EncodedResources<AddressValue>(address, ADDRESS, {
      keys: memberships,
      onNode: (value, node) => value.kind === 'workload' && value.workload.node === node,
    }),
    new EncodedResources(workloadsOf(address), WORKLOAD, {
      keys: (workload) => serviceKeys(workload, address),
      dependsOnOthers: true,
      onNode: (workload, node) => workload.node === node,
    }),
    new EncodedResources(sources.authorization, AUTHORIZATION, nothing),
    new EncodedResources(sources.routeTable, ROUTE_TABLE, nothing),
    new EncodedResources(sources.upstream, UPSTREAM, nothing),
    new EncodedResources(sources.gatewayConfig, GATEWAY_CONFIG, nothing),
    new EncodedResources(sources.tlsMaterial, TLS_MATERIAL, nothing),
    new EncodedResources(sources.telemetry, TELEMETRY, nothing),
  ] as unknown as EncodedResources<unknown>[];
  return new Map(all.map((resources) => [resources.source.typeUrl, resources]));
}

/** Whoever asks for a service gets its workloads as well (istio pilot/pkg/xds/workload.go). */
function memberships(value: AddressValue): readonly string[] {
  return value.kind === 'workload' ? [...value.workload.services.keys()] : [];
}

/** Keys of the services of a workload, where the services themselves are not among the resources. */
function serviceKeys({ services }: Workload, addresses: ResourceSource<AddressValue>): string[] {
  return [...services.keys()].flatMap((key) => {
    const service = addresses.get(key)?.value;
    return service === undefined ? [key] : [key, ...ADDRESS.aliases(service)];
  });
}
