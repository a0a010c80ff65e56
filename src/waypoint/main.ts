/**
 * The waypoint process: `tulle role waypoint`. It fetches its certificate and configuration from the control plane, serves HBONE
 * on 15008 and drains on SIGTERM. `--static FILE` serves plain HTTP from a file instead.
 */
import { systemRandom } from '#base/random.ts';
import { encodeBaggage } from '#hbone/baggage.ts';
import { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore, type SvidStore } from '#identity/svid/svid-store.ts';
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient, type XdsClient } from '#xds/client/xds-client.ts';
import { startAdmin } from './admin/servers.ts';
import { buildStatus } from './admin/status.ts';
import { Discovery, WAYPOINT_TYPES } from './config/discovery.ts';
import { parseWaypointOptions, WAYPOINT_HELP, type WaypointRoleOptions } from './config/options.ts';
import { readStaticConfig } from './config/static-file.ts';
import { HboneListener } from './listener/hbone-listener.ts';
import { listenPlain } from './listener/plain-listener.ts';
import {
  type Base,
  createBase,
  createRuntime,
  drainOnTermination,
  type Runtime,
} from './runtime.ts';
import { meshTransport, plainTransport, type Transport } from './transport/transport.ts';

export async function runWaypoint(argv: string[]): Promise<void> {
  const options = parseWaypointOptions(argv, process.env);
  if (options === undefined) {
    process.stdout.write(WAYPOINT_HELP);
    return;
  }
  const base = createBase(options.logLevel);
  if (options.staticFile === undefined) await runInMesh(base, options);
  else runStatic(base, options.staticFile);
}

function runStatic(base: Base, path: string): void {
  const config = readStaticConfig(path);
  const transport = plainTransport(base.network);
  const runtime = createRuntime(base, {
    transport,
    accessLog: config.accessLog,
    cluster: 'static',
  });
  runtime.engine.configure(config.input);
  if (config.metricsPort !== undefined) {
    const status = statusOf(runtime, 'static', { xds: () => undefined, certificates: () => [] });
    startAdmin(status, { metrics: config.metricsPort, readiness: undefined });
  }
  const listener = listenPlain(runtime, config);
  base.log.info('serving', { address: listener.address, port: listener.port });
  const door = {
    get connections() {
      return runtime.server.connections;
    },
    drain: () => listener.stop(),
    close: () => undefined,
  };
  drainOnTermination(runtime, door, { isDiscovered: false });
}

/** Ready comes when certificate, configuration and listener are there; until then 15021 says what is missing. */
async function runInMesh(base: Base, options: WaypointRoleOptions): Promise<void> {
  const { log } = base;
  const control = startControl(base, options);
  const { svids, xds, discovery, tunnels, principal } = control;
  const { accessLog, clusterId: cluster, trustDomain } = options;
  const transport = transportOf(base, control, options.podIp);
  const runtime = createRuntime(base, { transport, accessLog, cluster });
  let missing: string | undefined = 'no certificate from the control plane yet';
  const name = `${options.podNamespace}/${options.podName}`;
  const sources = { xds: () => xds.status(), certificates: () => svids.status() };
  const stopAdmin = startAdmin(
    {
      ...statusOf(runtime, name, sources),
      notReady: () => (runtime.isDraining ? 'draining' : missing),
    },
    { metrics: options.metricsPort, readiness: options.readinessPort },
  );
  const synced = xds.whenSynced().then(() => {
    discovery.onConfig(() => runtime.engine.configure(discovery.input));
  });
  const identity = await firstIdentity(svids, principal);
  missing = 'no configuration from the control plane yet';
  await synced;
  const listener = new HboneListener(
    { ...runtime, workloadAt: (address) => discovery.workloadAt(address) },
    { address: '0.0.0.0', port: options.hbonePort, identity, trustDomain },
  );
  svids.onRotate((rotated, next) => {
    listener.replaceIdentity(next);
    tunnels.retire(rotated);
  });
  missing = undefined;
  log.info('serving', { hbone: listener.port, principal });
  drainOnTermination(runtime, listener, {
    isDiscovered: true,
    over() {
      xds.stop();
      svids.stop();
      tunnels.close();
      stopAdmin();
    },
  });
}

/** The ends of the control plane in this process. */
interface Control {
  readonly principal: Principal;
  readonly svids: SvidStore;
  readonly xds: XdsClient;
  readonly discovery: Discovery;
  readonly tunnels: TunnelPool;
}

function startControl(base: Base, options: WaypointRoleOptions): Control {
  const { clock, log, network } = base;
  const { trustDomain, podNamespace: namespace, serviceAccount } = options;
  const principal = formatPrincipal({ trustDomain, namespace, serviceAccount });
  const { rootFile, tokenFile, clusterId } = options;
  const files = { rootFile, tokenFile, clusterId };
  const endpoint = { ...files, address: options.caAddress };
  const signer = createCaClient(clock, { endpoint, impersonate: false });
  const random = systemRandom;
  const svids = createSvidStore({ clock, random, log: log.child('svid'), signer });
  svids.request(principal, 'realtime');
  const transport = grpcTransport(clock, { ...files, address: options.xdsAddress });
  const xds = startXdsClient(
    { clock, random, log: log.child('xds'), transport },
    { node: nodeOf(options), types: WAYPOINT_TYPES },
  );
  xds.onConnection((connected) => {
    if (connected) svids.retry();
  });
  const discovery = new Discovery(xds);
  const tunnels = new TunnelPool({ network, clock, identities: svids });
  return { principal, svids, xds, discovery, tunnels };
}

function transportOf(base: Base, control: Control, address: string): Transport {
  const { discovery, tunnels, principal } = control;
  let baggage = '';
  return meshTransport(
    { network: base.network, tunnels, random: systemRandom },
    {
      principal,
      address,
      baggage: () => {
        const self = baggage === '' ? discovery.workloadAt(address) : undefined;
        if (self !== undefined) baggage = encodeBaggage(self);
        return baggage;
      },
    },
  );
}

/** The store goes on trying by itself: a control plane that is not up yet is waited for. */
function firstIdentity(svids: SvidStore, principal: Principal): Promise<TlsIdentity> {
  const present = svids.get(principal);
  if (present !== undefined) return Promise.resolve(present);
  return new Promise((resolve) => {
    const dispose = svids.onRotate((_principal, found) => {
      dispose();
      resolve(found);
    });
  });
}

function statusOf(
  runtime: Runtime,
  name: string,
  sources: Pick<Parameters<typeof buildStatus>[0], 'xds' | 'certificates'>,
) {
  const { clock, engine, registry } = runtime;
  return {
    registry,
    status: () =>
      buildStatus({ clock, engine, name, ...sources, draining: () => runtime.isDraining }),
    notReady: () => undefined as string | undefined,
  };
}

function nodeOf(options: WaypointRoleOptions) {
  const { podIp: ip, podName, podNamespace } = options;
  return {
    type: 'waypoint' as const,
    ip,
    podName,
    podNamespace,
    metadata: {
      NODE_NAME: options.nodeName,
      CLUSTER_ID: options.clusterId,
      NETWORK: options.network,
      SERVICE_ACCOUNT: options.serviceAccount,
      GATEWAY_NAME: options.gatewayName,
    },
  };
}
