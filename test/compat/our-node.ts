/** Our node proxy for one pod, in this process: joined to a control plane by gRPC, with certificates from it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { assembleNode } from '#node/assemble.ts';
import { followXds, NODE_RESOURCE_TYPES } from '#node/state/xds-source.ts';
import type { NodeContext } from '#node/workload/context.ts';
import { WorkloadProxy } from '#node/workload/workload-proxy.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient } from '#xds/client/xds-client.ts';

export interface OurNodeOptions {
  port: number;
  directory: string;
  rootPem: string;
  token: string;
  node: string;
  nodePod: { name: string; namespace: string; ip: string };
  pod: { namespace: string; name: string; serviceAccount: string; netns: NetworkNamespace };
}

export interface OurNode {
  readonly context: NodeContext;
  /** The access log so far. */
  readonly output: () => string;
  ready(): Promise<void>;
  stop(): void;
}

export function startOurNode(options: OurNodeOptions): OurNode {
  const { directory, nodePod } = options;
  const rootFile = join(directory, 'our-root.pem');
  const tokenFile = join(directory, 'our-token');
  writeFileSync(rootFile, options.rootPem);
  writeFileSync(tokenFile, options.token, { mode: 0o600 });
  const endpoint = {
    address: `127.0.0.1:${options.port}`,
    serverName: 'istiod.istio-system.svc',
    rootFile,
    tokenFile,
    clusterId: 'Kubernetes',
  };
  const base = { clock: systemClock, random: systemRandom, log: silentLogger };
  const signer = createCaClient(systemClock, { endpoint, impersonate: true });
  const identities = createSvidStore({ ...base, signer });
  let output = '';
  const assembly = assembleNode({
    log: silentLogger,
    identities,
    trustDomain: 'cluster.local',
    logFormat: 'text',
    write(text) {
      output += text;
      return true;
    },
  });
  const xds = startXdsClient(
    { ...base, transport: grpcTransport(systemClock, endpoint) },
    {
      node: {
        type: 'ztunnel',
        ip: nodePod.ip,
        podName: nodePod.name,
        podNamespace: nodePod.namespace,
        metadata: { NODE_NAME: options.node, CLUSTER_ID: 'Kubernetes' },
      },
      types: NODE_RESOURCE_TYPES,
    },
  );
  const stopFollowing = followXds(xds, assembly.context.state, systemClock);
  const { namespace, name } = options.pod;
  const pod = { ...options.pod, uid: `${namespace}/${name}` };
  const proxy = new WorkloadProxy(assembly.context, pod, { listenAddress: '::' });
  proxy.start();
  return {
    context: assembly.context,
    output() {
      assembly.accessLog.flush();
      return output;
    },
    async ready() {
      await xds.whenSynced();
      await new Promise<void>((resolve) => proxy.whenReady(resolve));
    },
    stop() {
      proxy.stop('the test is over');
      stopFollowing();
      xds.stop();
      identities.stop();
      assembly.context.pool.close();
    },
  };
}
