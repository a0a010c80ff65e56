/**
 * The wires of a cluster: a network namespace for the control plane with a bridge, a veth from it into each node, and
 * routes to the nodes' pods. Nothing of it is in the host's namespace.
 */
import { existsSync } from 'node:fs';
import {
  CONTROL_PLANE,
  CONTROL_PLANE_6,
  NODES_CIDR,
  NODES_CIDR_6,
  nodeAddress,
  nodeAddress6,
  nodeName,
  podsCidr,
  podsCidr6,
  SERVICES_CIDR_6,
  VIRTUAL_CIDR,
} from './addresses.ts';
import { must, run } from './command.ts';
import type { HostOptions } from './options.ts';
import { namespaceName } from './state.ts';

const BRIDGE = 'br0';
/** Its own: else it has the least of its ports' ones, and when that port's node dies all others dial the old one for a while. */
const BRIDGE_MAC = '02:00:00:00:00:01';
const PREFIX = NODES_CIDR.split('/')[1];
const PREFIX_6 = NODES_CIDR_6.split('/')[1];

type NetworkOptions = Pick<HostOptions, 'name' | 'families'>;

export const namespacePath = (name: string): string => `/run/netns/${namespaceName(name)}`;

export async function makeControlPlaneNetwork({ name, families }: NetworkOptions): Promise<void> {
  await must(['ip', 'netns', 'add', namespaceName(name)]);
  await ipBatch(
    name,
    'link set lo up',
    `link add ${BRIDGE} address ${BRIDGE_MAC} type bridge`,
    `address add ${CONTROL_PLANE}/${PREFIX} dev ${BRIDGE}`,
    `link set ${BRIDGE} up`,
    // Only so that there is a route at all: kube-proxy rewrites the destination before anything leaves.
    `route add ${VIRTUAL_CIDR} dev ${BRIDGE}`,
  );
  await must([...inControlPlane(name), 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  if (families === 'ipv4') return;
  await ipBatch(
    name,
    `address add ${CONTROL_PLANE_6}/${PREFIX_6} dev ${BRIDGE} nodad`,
    `route add ${SERVICES_CIDR_6} dev ${BRIDGE}`,
  );
  await must([...inControlPlane(name), 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']);
}

/** The words that enter the control plane's network namespace. */
export const inControlPlane = (name: string): string[] => [
  'nsenter',
  `--net=${namespacePath(name)}`,
];

/** Gives the node, whose first process is `pid`, its device, and everybody the routes. */
export async function joinNode(
  { name, families }: NetworkOptions,
  node: { index: number; count: number; pid: number },
): Promise<void> {
  const { index, count, pid } = node;
  const isDual = families !== 'ipv4';
  const veth = `v-${nodeName(index)}`;
  // Of one that was lost a moment ago the kernel may still be removing it.
  await run([...inControlPlane(name), 'ip', 'link', 'delete', veth]);
  await ipBatch(
    name,
    `link add ${veth} type veth peer name eth0 netns ${pid}`,
    `link set ${veth} master ${BRIDGE} up`,
    `route replace ${podsCidr(index)} via ${nodeAddress(index)}`,
    ...(isDual ? [`route replace ${podsCidr6(index)} via ${nodeAddress6(index)}`] : []),
  );
  const others = Array.from({ length: count }, (_, at) => at + 1).filter(
    (other) => other !== index,
  );
  const lines = [
    `address add ${nodeAddress(index)}/${PREFIX} dev eth0`,
    'link set eth0 up',
    `route add default via ${CONTROL_PLANE}`,
    ...others.map((other) => `route add ${podsCidr(other)} via ${nodeAddress(other)}`),
  ];
  const lines6 = [
    `address add ${nodeAddress6(index)}/${PREFIX_6} dev eth0 nodad`,
    `route add default via ${CONTROL_PLANE_6}`,
    ...others.map((other) => `route add ${podsCidr6(other)} via ${nodeAddress6(other)}`),
  ];
  if (isDual) lines.push(...lines6);
  const input = `${lines.join('\n')}\n`;
  const inNode = ['nsenter', '-t', String(pid), '-n'];
  await must([...inNode, 'ip', '-batch', '-'], { input });
  if (isDual) await must([...inNode, 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']);
}

async function ipBatch(name: string, ...lines: string[]): Promise<void> {
  await must([...inControlPlane(name), 'ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

export async function removeNetwork(name: string): Promise<void> {
  if (existsSync(namespacePath(name))) await must(['ip', 'netns', 'delete', namespaceName(name)]);
}
