/**
 * What the xDS server asks of the control plane: for each type URL, a keyed set of versioned resources and which
 * of them a given node may see. Implemented by control/derive's results (control/ingest/resource-tables.ts);
 * consumed by control/push. Values are immutable; a change replaces the whole value.
 */
import type { Disposer } from '#base/disposer.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import type { GatewayConfig, TlsMaterial } from '#model/route/gateway-config.ts';
import type { RouteTable, Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import type { Workload } from '#model/workload/workload.ts';

export const TYPE_URL = {
  address: 'type.googleapis.com/istio.workload.Address',
  workload: 'type.googleapis.com/istio.workload.Workload',
  authorization: 'type.googleapis.com/istio.security.Authorization',
  routeTable: 'type.googleapis.com/tulle.v1.RouteTable',
  upstream: 'type.googleapis.com/tulle.v1.Upstream',
  gatewayConfig: 'type.googleapis.com/tulle.v1.GatewayConfig',
  tlsMaterial: 'type.googleapis.com/tulle.v1.TlsMaterial',
  telemetry: 'type.googleapis.com/tulle.v1.Telemetry',
} as const;

/** Who subscribes, from the xDS node and the authenticated identity. */
export interface NodeScope {
  /** `router` is a gateway. */
  readonly type: 'ztunnel' | 'waypoint' | 'router' | string;
  /** Pod name and namespace, out of the node id. */
  readonly name: string;
  readonly namespace: string;
  /** Kubernetes node the proxy runs on (metadata NODE_NAME), when it says so. */
  readonly nodeName?: string;
  /** Name of the Gateway a waypoint serves (its service account or GATEWAY_NAME metadata). */
  readonly gateway?: string;
  /** The pod that the token of the stream is bound to is the one that the node id names. */
  readonly isPodProven?: boolean;
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
  /** Every name there is, whoever may see it. */
  all(): Iterable<string>;
  /** Names visible to the node. */
  names(scope: NodeScope): Iterable<string>;
  /** Whether one name is visible to the node; agrees with `names`. */
  visible(name: string, scope: NodeScope): boolean;
}

/** The sources, with the types of their values (model/*; push turns them into wire form). */
export interface ResourceSources {
  /** Value: `{ kind: 'workload', workload }` or `{ kind: 'service', service }`. Name: uid or `ns/hostname`. */
  readonly address: ResourceSource<AddressValue>;
  readonly authorization: ResourceSource<Authorization>;
  readonly routeTable: ResourceSource<RouteTable>;
  readonly upstream: ResourceSource<Upstream>;
  /** Name: `namespace/name` of the gateway's pod. */
  readonly gatewayConfig: ResourceSource<GatewayConfig>;
  /** Certificates and keys: what is visible here leaves the control plane. */
  readonly tlsMaterial: ResourceSource<TlsMaterial>;
  /** Name: a scope (model/telemetry/scopes.ts). */
  readonly telemetry: ResourceSource<ScopedTelemetry>;
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
    *all() {
      for (const name of addresses.all()) if (workload(name) !== undefined) yield name;
    },
    *names(scope) {
      for (const name of addresses.names(scope)) if (workload(name) !== undefined) yield name;
    },
    visible: (name, scope) => workload(name) !== undefined && addresses.visible(name, scope),
  };
}
