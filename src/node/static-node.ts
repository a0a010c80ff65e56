/** A node proxy that lives from one file: no control plane, no Kubernetes, no rules of its own making. */

import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import { DNS_PORT } from '#redirect/ports.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { type Assembly, type AssemblyOptions, assembleNode } from './assemble.ts';
import { readStaticMesh, type StaticMesh } from './config/static-file.ts';
import { staticIdentities } from './config/static-identities.ts';
import { MeshSnapshot } from './state/mesh-snapshot.ts';
import { WorkloadProxy } from './workload/workload-proxy.ts';

export interface StaticNode {
  assembly: Assembly;
  proxies: WorkloadProxy[];
  /** Swaps addresses and policies, as a push from the control plane would. */
  replace(mesh: Pick<StaticMesh, 'addresses' | 'authorizations' | 'telemetry'>): void;
  setIdentity(principal: Principal, identity: TlsIdentity): void;
  stop(): void;
}

export type StaticNodeOptions = Omit<AssemblyOptions, 'identities' | 'trustDomain'>;

export async function startStaticFile(
  path: string,
  options: StaticNodeOptions,
): Promise<StaticNode> {
  const mesh = readStaticMesh(path);
  const node = startStaticNode(mesh, options);
  for (const { capture, netns } of mesh.pods) {
    if (capture && netns !== undefined) redirectOnce(netns, { ...DEFAULT_RULES, dns: true });
  }
  return node;
}

export function startStaticNode(mesh: StaticMesh, options: StaticNodeOptions): StaticNode {
  const { trustDomain } = mesh;
  const known = new Map<Principal, TlsIdentity>();
  for (const pod of mesh.pods) known.set(formatPrincipal({ ...pod, trustDomain }), pod.identity);
  const identities = staticIdentities(known);
  const assembly = assembleNode({ ...options, identities, trustDomain });
  const { state, pool } = assembly.context;
  const replace = ({
    addresses,
    authorizations,
    telemetry,
  }: Pick<StaticMesh, 'addresses' | 'authorizations' | 'telemetry'>) => {
    const version = state.current.version + 1;
    state.replace(new MeshSnapshot({ version, addresses, authorizations, telemetry }));
  };
  replace(mesh);
  const proxies = mesh.pods.map((pod) => {
    const netns = pod.netns === undefined ? undefined : openNamespace(pod.netns);
    const identity = { ...pod, uid: `${pod.namespace}/${pod.name}`, netns };
    const proxy = new WorkloadProxy(assembly.context, identity, {
      listenAddress: pod.listenAddress,
      ports: pod.ports,
      // In the proxy's own namespace several pods would share the port.
      dnsPort: netns === undefined ? undefined : DNS_PORT,
    });
    proxy.start();
    return proxy;
  });
  return {
    assembly,
    proxies,
    replace,
    setIdentity: (principal, identity) => identities.set(principal, identity),
    stop() {
      for (const proxy of proxies) {
        proxy.stop('the proxy is shutting down');
        proxy.pod.netns?.close();
      }
      pool.close();
      assembly.context.revocations?.stop();
      assembly.context.workers?.stop();
      assembly.accessLog.flush();
      void assembly.exporters.close();
    },
  };
}
