/**
 * A node proxy of a mesh: state from the control plane and pods from the API in parallel, each captured as soon as it can
 * be; nothing waits for everything.
 */
import { systemClock } from '#base/clock.ts';
import type { Drain, DrainPart } from '#base/drain.ts';
import type { Logger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient } from '#xds/client/xds-client.ts';
import { startCapture } from './agent/start-capture.ts';
import { assembleNode } from './assemble.ts';
import { type NodeOptions, statusPortsOf } from './config/options.ts';
import { startInpod } from './inpod/start-inpod.ts';
import { Presence } from './presence.ts';
import { followXds, NODE_RESOURCE_TYPES } from './state/xds-source.ts';
import { statusSource } from './status/report.ts';

/** One that was started: what it drains, and how it ends. */
export interface RunningNode {
  parts(): readonly DrainPart[];
  /** It will end: what others ask for they may keep. */
  leave(): void;
  stop(): void;
}

export interface Life {
  log: Logger;
  drain: Drain;
}

export function startMeshNode(options: NodeOptions, { log, drain }: Life): RunningNode {
  const clock = systemClock;
  const random = systemRandom;
  const { xdsAddress, rootFile, tokenFile, clusterId, trustDomain, nodeName } = options;
  const endpoint = { address: xdsAddress, rootFile, tokenFile, clusterId };
  const { caAddress, caRootFile } = options;
  const signer = createCaClient(clock, {
    endpoint: { ...endpoint, address: caAddress, rootFile: caRootFile },
    impersonate: true,
  });
  const identities = createSvidStore({ clock, random, log: log.child('identity'), signer });
  const { logFormat, logLevels: levels, podLimits, crlFile, workers } = options;
  const settings = { trustDomain, logFormat, levels, podLimits, crlFile, workers };
  const assembly = assembleNode({ log, identities, ...settings });
  const { context } = assembly;
  const xds = startXdsClient(
    { clock, random, log: log.child('xds'), transport: grpcTransport(clock, endpoint) },
    { node: xdsNodeOf(options), types: NODE_RESOURCE_TYPES },
  );
  const stopFollowing = followXds(xds, context.state, clock);
  xds.onConnection((connected) => {
    if (connected) identities.retry();
  });
  const { inpodSocket, cniSocket } = options;
  const pods =
    inpodSocket === undefined
      ? startCapture(options, assembly, log)
      : startInpod(inpodSocket, assembly, log);
  const source = statusSource({
    nodeName,
    assembly,
    proxies: () => pods.proxies,
    xds,
    drain,
    notReady: () => {
      // Once there is a snapshot, losing the control plane does not make the node unready.
      if (context.state.current.version > 0) return pods.missing();
      const why = xds.status().lastError ?? `no answer from ${xdsAddress}`;
      return `nothing from the control plane yet: ${why}`;
    },
  });
  const presence = new Presence(
    { clock, random, log, source, onAdd: pods.add },
    { ports: statusPortsOf(options), cniSocket },
  );
  log.info('started', { node: nodeName });
  return {
    parts: () => pods.proxies,
    leave() {
      presence.leave();
      pods.leave();
    },
    stop() {
      presence.stop();
      stopFollowing();
      pods.stop();
      xds.stop();
      identities.stop();
      context.pool.close();
      context.revocations?.stop();
      context.workers?.stop();
      assembly.accessLog.flush();
    },
  };
}

function xdsNodeOf(options: NodeOptions) {
  const { nodeName, clusterId, network, podName, podNamespace, podIp, nodeMetadata } = options;
  return {
    type: 'ztunnel' as const,
    ip: podIp,
    podName,
    podNamespace,
    metadata: {
      ...nodeMetadata,
      NODE_NAME: nodeName,
      CLUSTER_ID: clusterId,
      NETWORK: network || nodeMetadata.NETWORK,
    },
  };
}
