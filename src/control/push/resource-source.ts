/**
 * What the xDS server asks of the control plane: for each type URL, a keyed set of versioned resources and which
 * of them a given node may see. Implemented by control/derive's results (control/ingest/resource-tables.ts);
 * consumed by control/push. Values are immutable; a change replaces the whole value.
 */
import type { Disposer } from '#base/disposer.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import type { RouteTable, Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';

export const TYPE_URL = {
  address: 'type.googleapis.com/istio.workload.Address',
  workload: 'type.googleapis.com/istio.workload.Workload',
  authorization: 'type.googleapis.com/istio.security.Authorization',
  routeTable: 'type.googleapis.com/tulle.v1.RouteTable',
  upstream: 'type.googleapis.com/tulle.v1.Upstream',
} as const;

/** Who subscribes, from the xDS node and the authenticated identity. */
export interface NodeScope {
  readonly type: 'ztunnel' | 'waypoint' | string;
  /** Pod name and namespace, out of the node id. */
  readonly name: string;
  readonly namespace: string;
  /** Kubernetes node the proxy runs on (metadata NODE_NAME), when it says so. */
  readonly nodeName?: string;
  /** Name of the Gateway a waypoint serves (its service account or GATEWAY_NAME metadata). */
  readonly gateway?: string;
}

export interface ResourceSource<T = unknown> {
  readonly typeUrl: string;
  /** False until everything that existed at the start is in: do not answer a first request before. */
  readonly ready: boolean;
  /**
   * Calls back with the names that were added, changed, removed or became (in)visible, once a batch. Also once,
   * with an empty list, when `ready` turns true.
   */
  subscribe(onChange: (names: readonly string[]) => void): Disposer;
  /** Undefined: no such resource (any more). `version` changes with the content only. */
  get(name: string): { readonly version: string; readonly value: T } | undefined;
  /** Names visible to the node. */
  names(scope: NodeScope): Iterable<string>;
  /** Whether one name is visible to the node; agrees with `names`. */
  visible(name: string, scope: NodeScope): boolean;
}

/** The four sources, with the types of their values (model/*; push turns them into wire form). */
export interface ResourceSources {
  /** Value: `{ kind: 'workload', workload }` or `{ kind: 'service', service }`. Name: uid or `ns/hostname`. */
  readonly address: ResourceSource<AddressValue>;
  readonly authorization: ResourceSource<Authorization>;
  readonly routeTable: ResourceSource<RouteTable>;
  readonly upstream: ResourceSource<Upstream>;
}

export type AddressValue =
  | { readonly kind: 'workload'; readonly workload: Workload }
  | { readonly kind: 'service'; readonly service: Service };

/** The workloads among the addresses, for clients that know no services. */
export function workloadsOf(addresses: ResourceSource<AddressValue>): ResourceSource<Workload> {
  const workload = (name: string) => {
    const found = addresses.get(name);
    if (found?.value.kind !== 'workload') return undefined;
    return { version: found.version, value: found.value.workload };
  };
  return {
    typeUrl: TYPE_URL.workload,
    get ready() {
      return addresses.ready;
    },
    subscribe: (onChange) => addresses.subscribe(onChange),
    get: workload,
    *names(scope) {
      for (const name of addresses.names(scope)) if (workload(name) !== undefined) yield name;
    },
    visible: (name, scope) => workload(name) !== undefined && addresses.visible(name, scope),
  };
}
