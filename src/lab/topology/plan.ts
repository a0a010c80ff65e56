/** The lab's wiring as `ip` batch lines and kernel settings: pure, so that tests can read it. */
import { FABRIC_ADDRESS, FABRIC_PREFIX_LENGTH, type NodePlan, SERVICE_CIDR } from './addresses.ts';

const BRIDGE = 'fabric';

/** In the fabric's namespace: the bridge, the node namespaces, a link to each, routes to the pods behind them. */
export function fabricLines(nodes: readonly NodePlan[]): string[] {
  return [
    'link set lo up',
    `link add ${BRIDGE} type bridge`,
    `addr add ${FABRIC_ADDRESS}/${FABRIC_PREFIX_LENGTH} dev ${BRIDGE}`,
    `link set ${BRIDGE} up`,
    ...nodes.flatMap((node) => [
      `netns add ${node.namespace}`,
      `link add to-${node.name} type veth peer name eth0 netns ${node.namespace}`,
      `link set to-${node.name} master ${BRIDGE} up`,
      `route add ${node.podCidr} via ${node.address}`,
    ]),
  ];
}

/** In a node's namespace. Service addresses get a route so that a packet reaches the hook that rewrites it. */
export function nodeLines(node: NodePlan, nodes: readonly NodePlan[]): string[] {
  return [
    'link set lo up',
    `addr add ${node.address}/${FABRIC_PREFIX_LENGTH} dev eth0`,
    'link set eth0 up',
    `addr add ${node.gateway}/32 dev lo`,
    `route add ${SERVICE_CIDR} via ${FABRIC_ADDRESS}`,
    ...nodes
      .filter((other) => other.name !== node.name)
      .map((other) => `route add ${other.podCidr} via ${other.address}`),
    // What belongs to this node and to no pod is refused at once instead of bouncing.
    `route add unreachable ${node.podCidr}`,
  ];
}

/** net.* settings of a router between pods; /proc/sys/net shows the writer's own namespace. */
export const NODE_SETTINGS: readonly (readonly [string, string])[] = [
  ['ipv4/ip_forward', '1'],
  // Asymmetric paths are normal here: replies to rewritten addresses come in elsewhere.
  ['ipv4/conf/all/rp_filter', '0'],
  ['ipv4/conf/default/rp_filter', '0'],
  ['ipv4/conf/all/send_redirects', '0'],
  ['ipv4/conf/default/send_redirects', '0'],
];

export function settingsScript(settings: readonly (readonly [string, string])[]): string {
  return settings.map(([path, value]) => `echo ${value} > /proc/sys/net/${path}`).join(' && ');
}

export interface PodLink {
  uid: string;
  /** Interface on the node. */
  link: string;
  address: string;
}

/** IFNAMSIZ leaves 15 characters: a prefix and the start of the uid, unique enough within a node. */
export function podLinkName(uid: string): string {
  return `pod${uid.replaceAll('-', '').slice(0, 11)}`;
}

/** From the fabric: the pod's namespace and both ends of its link. */
export function podCreateLines(pod: PodLink, node: NodePlan): string[] {
  return [
    `netns add ${pod.uid}`,
    `link add ${pod.link} netns ${node.namespace} type veth peer name eth0 netns ${pod.uid}`,
  ];
}

/** Routed, not bridged: every packet of a pod passes the node's hooks, also one to a pod beside it. */
export function podNodeLines(pod: PodLink, node: NodePlan): string[] {
  return [
    `link set ${pod.link} up`,
    `route add ${pod.address}/32 dev ${pod.link} scope link src ${node.address}`,
  ];
}

export function podInnerLines(pod: PodLink, node: NodePlan): string[] {
  return [
    'link set lo up',
    `addr add ${pod.address}/32 dev eth0`,
    'link set eth0 up',
    `route add ${node.gateway} dev eth0 scope link`,
    `route add default via ${node.gateway} src ${pod.address}`,
  ];
}
