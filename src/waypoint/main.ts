/**
 * The waypoint process: `tulle role waypoint`, and the same as a gateway: `tulle role gateway`. It fetches its certificate and
 * configuration from the control plane, serves HBONE on 15008 or the listeners of its Gateways, and drains on SIGTERM.
 * `--static FILE` serves from a file instead.
 */
import { systemRandom } from '#base/random.ts';
import { VERSION } from '#base/version.ts';
import { encodeBaggage } from '#hbone/baggage.ts';
import { openJudgedPool } from '#hbone/pool/judged-pool.ts';
import type { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { certsOf } from '#identity/svid/certs-dump.ts';
import { createSvidStore, type SvidStore } from '#identity/svid/svid-store.ts';
import type { Revocations } from '#identity/trust/crl-file.ts';
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import type { SocketAddress, TlsIdentity } from '#net/connection.ts';
import { startTrim } from '#net/trim.ts';
import { wildcardAddress } from '#net/wildcard.ts';
import { list } from '#telemetry/admin/json-stream.ts';
import { crlRejections } from '#telemetry/metrics/istio.ts';
import { peerLabels } from '#telemetry/metrics/peer-labels.ts';
import { startReporter } from '#telemetry/report/reporter.ts';
import { REPORT_METHOD } from '#wire/protobuf/telemetry.ts';
import { type ControlTransport, grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient, type XdsClient } from '#xds/client/xds-client.ts';
import { configDump } from './admin/config-dump.ts';
import { connectionsAnswer } from './admin/connections.ts';
import { startAdmin } from './admin/servers.ts';
import { statusOf } from './admin/status.ts';
import { Discovery, type ProxyKind, subscribedTypes } from './config/discovery.ts';
import { parseWaypointOptions, WAYPOINT_HELP, type WaypointRoleOptions } from './config/options.ts';
import { STREAM_IDLE_GATEWAY_MS, STREAM_IDLE_WAYPOINT_MS } from './limits.ts';
import { GatewayListeners } from './listener/gateway-listeners.ts';
import { HboneListener } from './listener/hbone-listener.ts';
import {
  type Base,
  createBase,
  createRuntime,
  type Door,
  drainOnTermination,
  type Runtime,
} from './runtime.ts';
import { runStatic } from './static-mode.ts';
import { type ProxySelf, selfNamed } from './tracing/proxy-self.ts';
import { meshTransport, originatingTransport, type Transport } from './transport/transport.ts';

const STREAM_IDLE_MS: Readonly<Record<ProxyKind, number>> = {
  waypoint: STREAM_IDLE_WAYPOINT_MS,
  router: STREAM_IDLE_GATEWAY_MS,
};

export function runWaypoint(argv: string[]): Promise<void> {
  return run('waypoint', argv);
}

export function runGateway(argv: string[]): Promise<void> {
  return run('router', argv);
}

async function run(kind: ProxyKind, argv: string[]): Promise<void> {
  const options = parseWaypointOptions(argv, process.env);
  if (options === undefined) {
    process.stdout.write(WAYPOINT_HELP);
    return;
  }
  const base = createBase(options.logLevel);
  startTrim(base.clock);
  if (options.staticFile === undefined) await runInMesh(base, kind, options);
  else runStatic(base, options.staticFile);
}

/** Ready comes when certificate, configuration and listener are there; until then 15021 says what is missing. */
async function runInMesh(base: Base, kind: ProxyKind, options: WaypointRoleOptions): Promise<void> {
  const { log } = base;
  const control = startControl(base, kind, options);
  const { svids, xds, discovery, tunnels, principal } = control;
  const { accessLog, clusterId: cluster } = options;
  const transport = transportOf(base, control, options.podIp);
  let door: MeshDoor | undefined;
  const runtime = createRuntime(base, {
    transport,
    accessLog,
    cluster,
    known: discovery,
    self: selfOf(kind, options, discovery),
    streamIdleMs: options.streamIdleMs ?? STREAM_IDLE_MS[kind],
    streamLifeMs: options.streamLifeMs,
  });
  let missing: string | undefined = 'no certificate from the control plane yet';
  const name = `${options.podNamespace}/${options.podName}`;
  const reporter = startReporting(runtime, control, name);
  const sources = { xds: () => xds.status(), certificates: () => svids.status() };
  const stopAdmin = startAdmin(
    {
      ...statusOf(runtime, name, sources),
      notReady: () => (runtime.isDraining ? 'draining' : missing),
      admin: {
        levels: base.levels,
        certificates: () => ({ certificates: list(certsOf(svids)) }),
        config: () =>
          configDump({
            engine: runtime.engine,
            input: discovery.input,
            upstreams: discovery.upstreams,
            materials: discovery.materialNames,
            telemetry: discovery.telemetry,
            listeners: door?.listeners ?? [],
            problems: door?.problems ?? [],
          }),
        connections: (filter, limit) =>
          connectionsAnswer(runtime.server.open(), {
            filter,
            limit,
            now: base.clock.now(),
            self: {
              name,
              principal,
              hostnameAt: (host) =>
                runtime.engine.snapshot?.serviceAt(host)?.compiled.table.hostname,
            },
          }),
      },
    },
    {
      admin: options.adminPort,
      metrics: options.metricsPort,
      readiness: options.readinessPort,
    },
  );
  const doors = { waypoint: waypointDoor, router: gatewayDoor };
  const synced = xds.whenSynced().then(() => {
    discovery.onConfig(() => {
      const self = discovery.workloadAt(options.podIp);
      if (self !== undefined) {
        const { locality, node, network } = self;
        runtime.engine.relocate({ locality, node, network, labels: options.podLabels });
      }
      runtime.engine.configure(discovery.input);
      door?.apply();
    });
  });
  const identity = await firstIdentity(svids, principal);
  missing = 'no configuration from the control plane yet';
  await synced;
  door = doors[kind](runtime, control, { ...options, identity });
  door.apply();
  missing = undefined;
  log.info('serving', { principal });
  drainOnTermination(runtime, door, {
    isDiscovered: true,
    over() {
      reporter.stop();
      xds.stop();
      svids.stop();
      tunnels.close();
      control.revocations?.stop();
      stopAdmin();
    },
  });
}

/** A door that follows the configuration. */
interface MeshDoor extends Door {
  /** Addresses and ports. */
  readonly listeners: readonly SocketAddress[];
  readonly problems: readonly string[];
  /** The snapshot changed. */
  apply(): void;
}

type DoorOptions = WaypointRoleOptions & { identity: TlsIdentity };

function waypointDoor(runtime: Runtime, control: Control, options: DoorOptions): MeshDoor {
  const { discovery, svids, tunnels, revocations } = control;
  const { hbonePort: port, identity, trustDomain } = options;
  const address = wildcardAddress();
  const listener = new HboneListener(
    {
      ...runtime,
      learn(address, asked) {
        if (!discovery.direct.learn(address, asked)) return false;
        runtime.engine.configure(discovery.input);
        return true;
      },
      revocations,
    },
    { address, port, identity, trustDomain },
  );
  // Whoever is connected proved who it is under the old lists.
  revocations?.onChange(() => listener.judgeAgain());
  svids.onRotate((rotated, next) => {
    listener.replaceIdentity(next);
    tunnels.retire(rotated);
  });
  return {
    get connections() {
      return listener.connections;
    },
    listeners: [{ address, port: listener.port }],
    problems: [],
    apply: () => undefined,
    drain: () => listener.drain(),
    close: () => listener.close(),
  };
}

function gatewayDoor(runtime: Runtime, control: Control, options: DoorOptions): MeshDoor {
  const { discovery, svids, tunnels, principal } = control;
  svids.onRotate((rotated) => tunnels.retire(rotated));
  const listeners = new GatewayListeners(
    {
      ...runtime,
      materials: discovery.materials,
      identity: () => svids.get(principal),
      self: () => ({ workload: discovery.workloadAt(options.podIp), principal }),
    },
    { address: wildcardAddress(), trustDomain: options.trustDomain },
  );
  return {
    get connections() {
      return listeners.connections;
    },
    get listeners() {
      return listeners.ports;
    },
    get problems() {
      return listeners.problems;
    },
    apply: () => listeners.apply(),
    drain: () => listeners.drain(),
    close: () => listeners.close(),
  };
}

/** The ends of the control plane in this process. */
interface Control {
  readonly principal: Principal;
  readonly svids: SvidStore;
  readonly transport: ControlTransport;
  readonly xds: XdsClient;
  readonly discovery: Discovery;
  readonly tunnels: TunnelPool;
  readonly revocations: Revocations | undefined;
}

function startControl(base: Base, kind: ProxyKind, options: WaypointRoleOptions): Control {
  const { clock, log, network, registry } = base;
  const { trustDomain, podNamespace: namespace, serviceAccount, crlFile } = options;
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
    { node: nodeOf(kind, options), types: subscribedTypes(kind) },
  );
  xds.onConnection((connected) => {
    if (connected) svids.retry();
  });
  const discovery = new Discovery(
    xds,
    kind,
    [options.gatewayName || serviceAccount, options.podName].map((each) => `${namespace}/${each}`),
  );
  const { pool: tunnels, revocations } = openJudgedPool(
    { network, clock, log, identities: svids, onRevoked: crlRejections(registry) },
    { crlFile },
  );
  return { principal, svids, transport, xds, discovery, tunnels, revocations };
}

function startReporting(runtime: Runtime, { transport, xds }: Control, proxy: string) {
  const { clock, log, engine, spans } = runtime;
  const reporter = startReporter(
    {
      clock,
      random: systemRandom,
      log: log.child('report'),
      book: engine.recorder.flows,
      open: (handler) => transport.stream(REPORT_METHOD, handler),
    },
    { proxy, version: VERSION },
  );
  spans.add(reporter.report);
  engine.recorder.reportTo(reporter.report);
  xds.onConnection((connected) => reporter.connected(connected));
  return reporter;
}

function transportOf(base: Base, control: Control, address: string): Transport {
  const { discovery, tunnels, principal } = control;
  const { network, clock } = base;
  let baggage = '';
  const carrier = meshTransport(
    { network, tunnels, random: systemRandom, clock },
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
  return originatingTransport(carrier, { network, materials: discovery.materials });
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

/** Discovery tells what this pod is called; until then its start flags do. */
function selfOf(
  kind: ProxyKind,
  options: WaypointRoleOptions,
  discovery: Discovery,
): () => ProxySelf {
  const { podName, podNamespace, podIp, clusterId: cluster, gatewayName, serviceAccount } = options;
  const nodeId = `${kind}~${podIp}~${podName}.${podNamespace}~${podNamespace}.svc.cluster.local`;
  const name = gatewayName || serviceAccount;
  const named = selfNamed(`${podNamespace}/${podName}`, { name, namespace: podNamespace, cluster });
  const self = { ...named, nodeId, meshId: options.meshId };
  return () => {
    const workload = discovery.workloadAt(podIp);
    return workload === undefined ? self : { ...self, labels: peerLabels(workload) };
  };
}

function nodeOf(type: ProxyKind, options: WaypointRoleOptions) {
  const { podIp: ip, podName, podNamespace } = options;
  return {
    type,
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
