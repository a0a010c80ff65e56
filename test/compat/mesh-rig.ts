/**
 * Two pods in namespaces of their own with apps in them, services for both, our control plane, and our node proxy for `web`.
 * Who serves `product` is up to the test.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { type Apps, PORTS, startApps } from './apps.ts';
import { type ControlRig, startControlRig } from './control-rig.ts';
import { type OurNode, startOurNode } from './our-node.ts';
import { makePodPair, type Pod, type PodPair } from './pod-pair.ts';

export type Name = 'web' | 'product';
export const VIPS: Readonly<Record<Name, string>> = { web: '198.19.0.21', product: '198.19.0.22' };
export const spiffe = (account: string) => `spiffe://cluster.local/ns/shop/sa/${account}`;

/** The node proxies' own pods: whose tokens may ask for the identities of the pods beside them. */
export const NODE_PODS = {
  node1: nodePod('node1', '198.18.0.9'),
  node2: nodePod('node2', '198.18.0.10'),
};

function nodePod(node: string, ip: string) {
  const name = `ztunnel-${node}`;
  return { namespace: 'istio-system', name, serviceAccount: 'ztunnel', ip, node };
}

export interface MeshRig {
  readonly rig: ControlRig;
  readonly pair: PodPair;
  readonly ours: OurNode;
  readonly apps: Readonly<Record<Name, Apps>>;
  readonly directory: string;
  stop(): Promise<void>;
}

export async function startMeshRig(subnet: number): Promise<MeshRig> {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-mesh-rig-'));
  const pair = makePodPair(subnet);
  const rig = await startControlRig(['shop']);
  const { web, product } = pair;
  const pod = (name: Name, node: string, { ip, ip6 }: Pod) => ({
    namespace: 'shop',
    name,
    serviceAccount: name,
    node,
    ip,
    ip6,
    labels: { app: name },
    captured: true,
  });
  for (const each of Object.values(NODE_PODS)) await rig.addPod(each);
  await rig.addPod(pod('web', 'node1', web));
  await rig.addPod(pod('product', 'node2', product));
  await addService(rig, 'web', web.ip);
  await addService(rig, 'product', product.ip);
  redirectOnce(web.path, DEFAULT_RULES);
  const apps = { web: startApps(web.namespace), product: startApps(product.namespace) };
  const ours = startOurNode({
    port: rig.control.ports.discovery,
    directory,
    rootPem: rig.rootPem,
    token: await rig.token(NODE_PODS.node1),
    node: 'node1',
    nodePod: NODE_PODS.node1,
    pod: { namespace: 'shop', name: 'web', serviceAccount: 'web', netns: web.namespace },
  });
  return {
    rig,
    pair,
    ours,
    apps,
    directory,
    async stop() {
      ours.stop();
      apps.web.stop();
      apps.product.stop();
      await rig.stop();
      pair[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function addService(rig: ControlRig, name: Name, ip: string): Promise<void> {
  const ports = Object.entries(PORTS).map(([key, port]) => ({ name: `tcp-${key}`, port }));
  await rig.create('/api/v1/namespaces/shop/services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { clusterIP: VIPS[name], selector: { app: name }, ports },
  });
  await rig.create('/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices', {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports,
    endpoints: [
      {
        addresses: [ip],
        conditions: { ready: true },
        targetRef: { kind: 'Pod', namespace: 'shop', name },
      },
    ],
  });
}
