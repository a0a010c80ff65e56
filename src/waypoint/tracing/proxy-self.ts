/** Who makes the spans: this proxy, as discovery and its start flags know it. */
import { type PeerLabels, UNKNOWN_PEER } from '#telemetry/metrics/istio.ts';
import type { CompiledTracing } from '#telemetry/tracing/tracing-rules.ts';

export interface ProxySelf {
  /** `namespace/name` of the pod. */
  readonly proxy: string;
  /** Envoy's node id. */
  readonly nodeId: string;
  readonly meshId: string;
  readonly labels: PeerLabels;
}

/** `service.name`: OpenTelemetry's for Kubernetes, or Istio's default of service and namespace. */
export function serviceNameOf(
  { labels }: Pick<ProxySelf, 'labels'>,
  { semanticServiceName }: Pick<CompiledTracing, 'semanticServiceName'>,
): string {
  const { workload, canonicalService, workloadNamespace } = labels;
  return semanticServiceName ? workload : `${canonicalService}.${workloadNamespace}`;
}

/** What is known of a proxy before discovery tells more, or without one. */
export function selfNamed(
  proxy: string,
  { name, namespace, cluster }: { name: string; namespace: string; cluster: string },
): ProxySelf {
  return {
    proxy,
    nodeId: proxy,
    meshId: '',
    labels: {
      ...UNKNOWN_PEER,
      workload: name,
      canonicalService: name,
      canonicalRevision: 'latest',
      workloadNamespace: namespace,
      cluster,
    },
  };
}
