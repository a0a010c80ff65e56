/** Which edge a series of Istio's metrics is of, out of its labels: the way back from what proxies expose. Pure. */
import type { FlowEdge, FlowPeer } from './flow-frame.ts';

type Labels = Readonly<Record<string, string>>;

/** `isRequest`: of a metric of requests, where the protocol is not told; `isGateway`: told by a gateway, where it says that it is the source. */
export function edgeOfLabels(
  labels: Labels,
  of: { readonly isRequest: boolean; readonly isGateway: boolean },
): Omit<FlowEdge, 'id'> {
  const { reporter } = labels;
  const tcp = of.isRequest ? 'http' : 'tcp';
  const host = known(labels.destination_service);
  return {
    reporter:
      reporter === 'waypoint' || reporter === 'destination'
        ? reporter
        : of.isGateway
          ? 'gateway'
          : 'source',
    protocol: labels.request_protocol === 'grpc' ? 'grpc' : tcp,
    source: peerOf(labels, 'source', ''),
    destination: peerOf(labels, 'destination', host),
    service: {
      host,
      namespace: known(labels.destination_service_namespace),
      name: known(labels.destination_service_name),
    },
    isMutualTls: labels.connection_security_policy === 'mutual_tls',
  };
}

function peerOf(labels: Labels, side: 'source' | 'destination', outside: string): FlowPeer {
  const of = (name: string) => known(labels[`${side}_${name}`]);
  const workload = of('workload');
  return {
    kind: workload === '' ? 'external' : 'workload',
    namespace: of('workload_namespace'),
    workload: workload === '' ? outside : workload,
    app: of('app'),
    version: of('version'),
    principal: of('principal'),
    cluster: of('cluster'),
  };
}

function known(text: string | undefined): string {
  return text === undefined || text === 'unknown' ? '' : text;
}
