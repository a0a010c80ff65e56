/**
 * Conditions on who sends and where it comes in. They are decided when routes are compiled for a proxy, not request by
 * request, as Istio does (route.go sourceMatchHTTP, tls.go matchTCP).
 */
import { MESH_GATEWAY } from './full-names.ts';

/** The proxy that routes are compiled for. */
export interface RouteProxy {
  readonly namespace: string;
  /** Of the client's proxy or the gateway. Undefined: a waypoint, whose labels say nothing of the client. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** `mesh`, or the Istio Gateways (`namespace/name`) whose traffic this is. */
  readonly gateways: readonly string[];
}

/** Traffic between workloads, at a waypoint of this namespace. */
export function waypointProxy(namespace: string): RouteProxy {
  return { namespace, labels: undefined, gateways: [MESH_GATEWAY] };
}

export interface SourceCondition {
  readonly port: number | undefined;
  readonly namespace: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty: all that the VirtualService is bound to. */
  readonly gateways: readonly string[];
}

export function sourceCondition(spec: {
  port?: number;
  sourceNamespace?: string;
  sourceLabels?: Record<string, string>;
  gateways?: string[];
}): SourceCondition {
  return {
    port: spec.port || undefined,
    namespace: spec.sourceNamespace || undefined,
    labels: spec.sourceLabels ?? {},
    gateways: spec.gateways ?? [],
  };
}

/** `unseen`: it asks for labels of the client, which this proxy does not know. */
export type SourceVerdict = 'holds' | 'fails' | 'unseen';

/**
 * `alone`: gateways that are named decide alone, and labels and namespace beside them are not looked at. That is how
 * Istio reads HTTP matches; TLS and TCP matches it reads as all of them.
 */
export function judgeSource(
  condition: SourceCondition,
  proxy: RouteProxy,
  { port, gateways }: { port: number; gateways: 'alone' | 'all' },
): SourceVerdict {
  if (condition.port !== undefined && condition.port !== port) return 'fails';
  const named = condition.gateways.length > 0;
  if (named && !condition.gateways.some((name) => proxy.gateways.includes(name))) return 'fails';
  const wanted = Object.entries(condition.labels);
  // A waypoint drops matches on labels, whatever else they say (listener_waypoint.go).
  if (wanted.length > 0 && proxy.labels === undefined) return 'unseen';
  if (named && gateways === 'alone') return 'holds';
  if (condition.namespace !== undefined && condition.namespace !== proxy.namespace) return 'fails';
  return wanted.every(([key, value]) => proxy.labels?.[key] === value) ? 'holds' : 'fails';
}
