/**
 * A node proxy of a mesh: state from the control plane and pods from the API in parallel, each captured as soon as it can
 * be; nothing waits for everything.
 */
import { systemClock } from '#base/clock.ts';
import type { Drain, DrainPart } from '#base/drain.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import { inClusterConnection } from '#kube/client/kubeconfig.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import { startReconciler } from '#redirect/reconcile.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient, type XdsClient } from '#xds/client/xds-client.ts';
import { CaptureAgent } from './agent/capture-agent.ts';
import { annotate, PodWatch } from './agent/pod-watch.ts';
import { type Assembly, assembleNode } from './assemble.ts';
import { type NodeOptions, statusPortsOf } from './config/options.ts';
import { NODE_ERRORS } from './errors.ts';
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
  const signer = createCaClient(clock, { endpoint, impersonate: true });
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
  const { agent, watch, leave, stop: stopCapture } = startCapture(options, assembly, log);
  const source = statusSource({
    nodeName,
    assembly,
    proxies: () => agent.proxies,
    xds,
    drain,
    notReady: () => missingOf(context.state.current.version, watch, agent, xds),
  });
  const presence = new Presence(
    { clock, random, log, source, onAdd: (add) => watch.add(add) },
    { ports: statusPortsOf(options), cniSocket: options.cniSocket },
  );
  log.info('started', { node: nodeName });
  return {
    parts: () => agent.proxies,
    leave() {
      presence.leave();
      leave();
    },
    stop() {
      presence.stop();
      stopFollowing();
      stopCapture();
      xds.stop();
      identities.stop();
      context.pool.close();
      context.revocations?.stop();
      context.workers?.stop();
      assembly.accessLog.flush();
    },
  };
}

function startCapture(options: NodeOptions, { context, registry }: Assembly, log: Logger) {
  const { clock, random } = context;
  const connection = inClusterConnection(process.env);
  if (connection === undefined) {
    throw new MeshError(
      'NODE_OPTIONS',
      'KUBERNETES_SERVICE_HOST is not set: not started as a pod',
      {
        side: 'config',
        hint: NODE_ERRORS.NODE_OPTIONS,
      },
    );
  }
  const client = new RestClient({ fetch: fetch as Fetch }, connection);
  const report = (pod: { namespace: string; name: string }, value: 'enabled' | null) => {
    annotate(client, pod, value).catch((error: unknown) => {
      const name = `${pod.namespace}/${pod.name}`;
      log.warn('cannot annotate pod', { pod: name, error: messageOf(error) });
    });
  };
  const agent = new CaptureAgent(context, {
    onCaptured: (request) => report(request, 'enabled'),
    onReleased: (request) => report(request, null),
  });
  const { nodeName, netnsDir, dnsCapture } = options;
  const deps = { client, clock, random, log: log.child('pods') };
  const watch = new PodWatch(deps, agent, { nodeName, netnsDir, dnsCapture });
  const repairs = registry.counter({
    name: 'tulle_capture_repairs_total',
    help: 'Rules, routes and listeners of captured pods that somebody else took away and that were put back.',
    labels: ['what'],
  });
  const stopReconciler = startReconciler({
    clock,
    log: log.child('redirect'),
    watched: () => agent.watched,
    onRepair: (what) => repairs.with([what]).add(1),
  });
  const stop = () => {
    stopReconciler();
    watch.stop();
    agent.stop('the proxy is shutting down');
  };
  // Rules and routes are the successor's now, and its version may want others.
  return { agent, watch, leave: stopReconciler, stop };
}

function xdsNodeOf(options: NodeOptions) {
  const { nodeName, clusterId, network, podName, podNamespace, podIp } = options;
  return {
    type: 'ztunnel' as const,
    ip: podIp,
    podName,
    podNamespace,
    metadata: { NODE_NAME: nodeName, CLUSTER_ID: clusterId, NETWORK: network },
  };
}

function missingOf(
  version: number,
  watch: PodWatch,
  agent: CaptureAgent,
  xds: XdsClient,
): string | undefined {
  // Once there is a snapshot, losing the control plane does not make the node unready.
  if (version === 0) return `nothing from the control plane yet${reasonOf(xds)}`;
  if (!watch.synced) return 'the pods of this node are not known yet';
  const pending = agent.proxies.find((proxy) => !proxy.ready);
  return pending && `${pending.pod.namespace}/${pending.pod.name} has no certificate yet`;
}

function reasonOf(xds: XdsClient): string {
  const { lastError } = xds.status();
  return lastError === undefined ? '' : `: ${lastError}`;
}
