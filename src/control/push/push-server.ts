/**
 * The control plane's end of delta xDS: checks who connects, sends each proxy what it may see, pushes changes
 * after a short quiet time, and keeps the sync state of every proxy for `tulle status`.
 */
import type { Clock } from '#base/clock.ts';
import { type Disposer, Scope } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { ServerStream, ServerStreamHandler } from '#http/grpc/server.ts';
import { GRPC_STATUS } from '#http/grpc/status.ts';
import type { Workload } from '#model/workload/workload.ts';
import { ADDRESS, type AddressValue, WORKLOAD } from '#xds/resources/address.ts';
import { AUTHORIZATION } from '#xds/resources/authorization.ts';
import { ROUTE_TABLE } from '#xds/resources/route-table.ts';
import { UPSTREAM } from '#xds/resources/upstream.ts';
import { type Authenticate, authenticateCall } from './caller.ts';
import { Debounce } from './debounce.ts';
import { EncodedResources } from './encoded-resources.ts';
import { PUSH_DELAY_MAX_MS, PUSH_QUIET_MS, UNCHECKED_REQUESTS_MAX } from './limits.ts';
import { ProxyStream, type ProxySyncState } from './proxy-stream.ts';
import { type ResourceSource, type ResourceSources, workloadsOf } from './resource-source.ts';

export interface PushServerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly sources: ResourceSources;
  readonly authenticate: Authenticate;
  readonly clusterId: string;
}

export class PushServer {
  readonly #deps: PushServerDeps;
  readonly #resources: ReadonlyMap<string, EncodedResources<unknown>>;
  readonly #streams = new Set<ProxyStream>();
  readonly #watchers = new Set<() => void>();
  readonly #scope = new Scope();
  readonly #debounce: Debounce;
  #connections = 0;

  constructor(deps: PushServerDeps) {
    this.#deps = deps;
    this.#resources = encodedResources(deps.sources);
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
      onState: () => this.#changed(),
    });
    // Requests wait until the token is checked; their order stays.
    let unchecked: Uint8Array[] | undefined = [];
    let open = true;
    const refuse = (details: string, code: number = GRPC_STATUS.unauthenticated) => {
      this.#deps.log.warn('xDS stream refused', { peer: stream.peer, reason: details });
      stream.close({ code, details });
    };
    authenticateCall(stream, this.#deps).then(
      (caller) => {
        if (!open) return;
        if (typeof caller === 'string') {
          refuse(caller);
          return;
        }
        proxy.caller = caller;
        this.#streams.add(proxy);
        const waiting = unchecked ?? [];
        unchecked = undefined;
        for (const bytes of waiting) proxy.onMessage(bytes);
      },
      (error) => {
        if (open) refuse(`cannot check the token: ${messageOf(error)}`, GRPC_STATUS.unavailable);
      },
    );
    return {
      onMessage: (bytes) => {
        if (unchecked === undefined) proxy.onMessage(bytes);
        else if (unchecked.length < UNCHECKED_REQUESTS_MAX) unchecked.push(bytes);
        else refuse('too many requests before the token was checked');
      },
      onClose: () => {
        open = false;
        if (this.#streams.delete(proxy)) this.#changed();
      },
    };
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
    this.#scope.dispose();
    for (const stream of this.#streams) stream.close('the control plane is stopping');
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
      onNode: (workload, node) => workload.node === node,
    }),
    new EncodedResources(sources.authorization, AUTHORIZATION, nothing),
    new EncodedResources(sources.routeTable, ROUTE_TABLE, nothing),
    new EncodedResources(sources.upstream, UPSTREAM, nothing),
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
