/** The xDS node id as Istio writes it: `type~ip~name.namespace~namespace.svc.cluster.local`. */
import { Node } from '#wire/protobuf/discovery.ts';
import { structOf } from '#wire/protobuf/well-known.ts';

export interface XdsNode {
  readonly type: 'ztunnel' | 'waypoint' | 'router';
  readonly ip: string;
  readonly podName: string;
  readonly podNamespace: string;
  /** Further metadata: NODE_NAME, CLUSTER_ID, NETWORK, SERVICE_ACCOUNT, GATEWAY_NAME, … */
  readonly metadata: Readonly<Record<string, string | undefined>>;
}

export interface ParsedNodeId {
  readonly type: string;
  readonly ip: string;
  readonly podName: string;
  readonly podNamespace: string;
}

export function nodeMessage(node: XdsNode): Node {
  const { type, ip, podName, podNamespace } = node;
  return Node.create({
    id: `${type}~${ip}~${podName}.${podNamespace}~${podNamespace}.svc.cluster.local`,
    metadata: structOf({
      NAME: podName,
      NAMESPACE: podNamespace,
      INSTANCE_IPS: ip,
      ...node.metadata,
    }),
  });
}

/** Undefined when the id has another shape (istio pkg/model/proxy.go: four parts, `name.namespace` third). */
export function parseNodeId(id: string): ParsedNodeId | undefined {
  const parts = id.split('~');
  if (parts.length !== 4) return undefined;
  const [type, ip, pod] = parts;
  // Pod names may hold dots, namespaces may not.
  const dot = pod.lastIndexOf('.');
  if (type === '' || dot <= 0 || dot === pod.length - 1) return undefined;
  return { type, ip, podName: pod.slice(0, dot), podNamespace: pod.slice(dot + 1) };
}
