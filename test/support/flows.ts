/** Edges and samples of proxies for tests of the console. */
import type { FlowEdge, FlowPeer, FlowSample } from '#telemetry/flow/flow-frame.ts';

export function peer(name: string, more: Partial<FlowPeer> = {}): FlowPeer {
  return {
    kind: 'workload',
    namespace: 'shop',
    workload: name,
    app: name.replace(/-v\d+$/, ''),
    version: /-(v\d+)$/.exec(name)?.[1] ?? '',
    principal: `spiffe://cluster.local/ns/shop/sa/${name}`,
    cluster: 'Kubernetes',
    ...more,
  };
}

export const UNKNOWN: FlowPeer = {
  kind: 'unknown',
  namespace: '',
  workload: '',
  app: '',
  version: '',
  principal: '',
  cluster: '',
};

export function service(name: string, namespace = 'shop'): FlowEdge['service'] {
  const host = name === '' ? '' : `${name}.${namespace}.svc.cluster.local`;
  return { host, namespace: name === '' ? '' : namespace, name };
}

export function edge(id: number, more: Partial<FlowEdge> = {}): FlowEdge {
  return {
    id,
    reporter: 'waypoint',
    protocol: 'http',
    source: peer('web'),
    destination: peer('cart-v1'),
    service: service('cart'),
    isMutualTls: true,
    ...more,
  };
}

/** `requests` of them took some milliseconds (bucket 2), all answered 200 but those in `codes`. */
export function sample(id: number, more: Partial<FlowSample> = {}): FlowSample {
  const requests = more.requests ?? 0;
  const others = (more.codes ?? []).reduce((sum, [, count]) => sum + count, 0);
  return {
    edge: id,
    requests,
    grpcStatuses: [],
    flags: [],
    latency: requests > 0 ? [[2, requests]] : [],
    durationMsSum: requests * 3,
    opened: 0,
    closed: 0,
    failed: 0,
    sentBytes: requests * 100,
    receivedBytes: requests * 1000,
    ...more,
    codes: [
      ...(more.codes ?? []),
      ...(requests > others ? [[200, requests - others] as const] : []),
    ],
  };
}
