/**
 * `tulle role node`: the L4 proxy and CNI agent of one node. Order of start: state from the control plane and pods from
 * the API in parallel, each captured as soon as it can be; nothing waits for everything.
 */
import { systemClock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { createLogger, type Logger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import { inClusterConnection } from '#kube/client/kubeconfig.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import { startCniServer } from '#redirect/cni-server.ts';
import { startReconciler } from '#redirect/reconcile.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient, type XdsClient } from '#xds/client/xds-client.ts';
import { CaptureAgent } from './agent/capture-agent.ts';
import { annotate, PodWatch } from './agent/pod-watch.ts';
import { type Assembly, assembleNode } from './assemble.ts';
import { NODE_HELP, type NodeOptions, parseNodeOptions } from './config/options.ts';
import { NODE_ERRORS } from './errors.ts';
import { followXds, NODE_RESOURCE_TYPES } from './state/xds-source.ts';
import { startStaticFile } from './static-node.ts';
import { statusSource } from './status/report.ts';
import { startStatusServers } from './status/servers.ts';

export async function runNode(argv: string[]): Promise<void> {
  const options = parseNodeOptions(argv, process.env);
  if (options === undefined) {
    process.stdout.write(NODE_HELP);
    return;
  }
  const { logLevels: level, logFormat: format } = options;
  const log = createLogger('node', { clock: systemClock, level, format });
  const stop =
    options.staticFile === undefined
      ? startMeshNode(options, log)
      : await startStatic(options, log);
  const stopped = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      stop();
      stopped.resolve();
    });
  }
  await stopped.promise;
  process.exit(0);
}

async function startStatic(options: NodeOptions, log: Logger): Promise<() => void> {
  const { logFormat, logLevels: levels, podLimits, crlFile, workers } = options;
  const staticFile = options.staticFile ?? '';
  const node = await startStaticFile(staticFile, {
    log,
    logFormat,
    levels,
    podLimits,
    crlFile,
    workers,
  });
  const { nodeName } = options;
  const waiting = () => node.proxies.find((proxy) => !proxy.ready)?.pod.name;
  const servers = startStatusServers(
    statusSource({
      nodeName,
      assembly: node.assembly,
      proxies: () => node.proxies,
      xds: undefined,
      notReady: () => waiting() && `no HBONE listener for ${waiting()}`,
    }),
    { admin: options.adminPort, metrics: options.metricsPort, readiness: options.readinessPort },
  );
  log.info('ready', { ...servers.ports, pods: node.proxies.length });
  return () => {
    servers.stop();
    node.stop();
  };
}

function startMeshNode(options: NodeOptions, log: Logger): () => void {
  const clock = systemClock;
  const random = systemRandom;
  const { xdsAddress, rootFile, tokenFile, clusterId, trustDomain, nodeName } = options;
  const endpoint = { address: xdsAddress, rootFile, tokenFile, clusterId };
  const signer = createCaClient(clock, { endpoint, impersonate: true });
  const identities = createSvidStore({ clock, random, log: log.child('identity'), signer });
  const { logFormat, logLevels: levels, podLimits, crlFile, workers } = options;
  const assembly = assembleNode({
    log,
    identities,
    trustDomain,
    logFormat,
    levels,
    podLimits,
    crlFile,
    workers,
  });
  const { context } = assembly;
  const xds = startXdsClient(
    { clock, random, log: log.child('xds'), transport: grpcTransport(clock, endpoint) },
    { node: xdsNodeOf(options), types: NODE_RESOURCE_TYPES },
  );
  const stopFollowing = followXds(xds, context.state, clock);
  xds.onConnection((connected) => {
    if (connected) identities.retry();
  });
  const { agent, watch, stop: stopCapture } = startCapture(options, assembly, log);
  const servers = startStatusServers(
    statusSource({
      nodeName,
      assembly,
      proxies: () => agent.proxies,
      xds,
      notReady: () => missingOf(context.state.current.version, watch, agent, xds),
    }),
    { admin: options.adminPort, metrics: options.metricsPort, readiness: options.readinessPort },
  );
  log.info('started', { node: nodeName, ...servers.ports });
  return () => {
    servers.stop();
    stopFollowing();
    stopCapture();
    xds.stop();
    identities.stop();
    context.pool.close();
    context.revocations?.stop();
    context.workers?.stop();
    assembly.accessLog.flush();
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
  const cniLog = log.child('cni');
  const stopCni = startCniServer(options.cniSocket, cniLog, (add) => watch.add(add));
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
    stopCni();
    stopReconciler();
    watch.stop();
    agent.stop('the proxy is shutting down');
  };
  return { agent, watch, stop };
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
