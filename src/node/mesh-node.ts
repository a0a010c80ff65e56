/**
 * A node proxy of a mesh: state from the control plane and pods from the API in parallel, each captured as soon as it can
 * be; nothing waits for everything.
 */
import { systemClock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { Drain, DrainPart } from '#base/drain.ts';
import type { Logger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient } from '#xds/client/xds-client.ts';
import { podClient } from './agent/api-client.ts';
import { type NodePlugin, startNodePlugin } from './agent/node-plugin.ts';
import { countRepairs } from './agent/repairs.ts';
import { startCapture } from './agent/start-capture.ts';
import { startUntaint } from './agent/untaint.ts';
import { assembleNode } from './assemble.ts';
import { type NodeOptions, statusPortsOf } from './config/options.ts';
import { startInpod } from './inpod/start-inpod.ts';
import { Presence } from './presence.ts';
import { reportNode } from './report-node.ts';
import { followXds, NODE_RESOURCE_TYPES } from './state/xds-source.ts';
import { statusSource } from './status/report.ts';

/** One that was started: what it drains, and how it ends. */
export interface RunningNode {
  parts(): readonly DrainPart[];
  /** It will end: what others ask for they may keep. Resolves when the node is as it is to be left. */
  leave(): Promise<void>;
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
  const { xdsHeaders, caAddress, caRootFile, caHeaders } = options;
  const called = { tokenFile, clusterId };
  const endpoint = { ...called, address: xdsAddress, rootFile, headers: xdsHeaders };
  const signer = createCaClient(clock, {
    endpoint: { ...called, address: caAddress, rootFile: caRootFile, headers: caHeaders },
    impersonate: true,
  });
  const identities = createSvidStore({ clock, random, log: log.child('identity'), signer });
  const { logFormat, logLevels: levels, podLimits, crlFile, workers } = options;
  const proxy = `${options.podNamespace}/${options.podName}`;
  const settings = { trustDomain, logFormat, levels, podLimits, crlFile, workers, proxy };
  const assembly = assembleNode({ log, identities, ...settings });
  const { context } = assembly;
  const transport = grpcTransport(clock, endpoint);
  const xds = startXdsClient(
    { clock, random, log: log.child('xds'), transport },
    { node: xdsNodeOf(options), types: NODE_RESOURCE_TYPES },
  );
  const reporter = reportNode(assembly, { xds, transport }, proxy);
  const stopFollowing = followXds(xds, context.state, clock);
  xds.onConnection((connected) => {
    if (connected) identities.retry();
  });
  const { inpodSocket, cniSocket } = options;
  const client = inpodSocket === undefined ? podClient(process.env) : undefined;
  const onRepair = countRepairs(assembly.registry);
  const pods =
    client === undefined
      ? startInpod(inpodSocket ?? '', assembly, log)
      : startCapture(options, assembly, { client, log, onRepair });
  let plugin: NodePlugin | undefined;
  const notReady = () => {
    // Once there is a snapshot, losing the control plane does not make the node unready.
    if (context.state.current.version > 0) return plugin?.missing() ?? pods.missing();
    const why = xds.status().lastError ?? `no answer from ${xdsAddress}`;
    return `nothing from the control plane yet: ${why}`;
  };
  const proxies = () => pods.proxies;
  const source = statusSource({
    nodeName,
    podName: options.podName,
    assembly,
    proxies,
    xds,
    drain,
    notReady,
  });
  const presence = new Presence(
    { clock, random, log, source, cni: { onAdd: pods.add, onCheck: pods.check } },
    { ports: statusPortsOf(options), cniSocket },
  );
  let stopUntaint: Disposer = () => undefined;
  if (client !== undefined && options.cni.mode === 'install') {
    const serves = () => presence.present;
    const releasePods = pods.releaseAll;
    const deps = { client, clock, log: log.child('cni') };
    plugin = startNodePlugin({ ...deps, serves, releasePods, onRepair }, options);
    stopUntaint = startUntaint({ ...deps, isReady: () => notReady() === undefined }, nodeName);
  }
  log.info('started', { node: nodeName });
  return {
    parts: () => pods.proxies,
    async leave() {
      presence.leave();
      pods.leave();
      stopUntaint();
      await plugin?.leave();
    },
    stop() {
      presence.stop();
      plugin?.stop();
      stopFollowing();
      pods.stop();
      reporter.stop();
      xds.stop();
      identities.stop();
      context.pool.close();
      context.revocations?.stop();
      context.workers?.stop();
      assembly.accessLog.flush();
      void assembly.exporters.close();
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
