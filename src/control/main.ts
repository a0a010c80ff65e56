/**
 * The control role: Kubernetes objects in, xDS resources, certificates and telemetry out. Ready when the first full
 * derivation stands and 15012 answers; work that only one replica may do follows the lease.
 */

import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { rfc3339, sleep, systemClock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { VERSION } from '#base/version.ts';
import { Graph } from '#collections/graph.ts';
import type { CertificateAuthority } from '#identity/ca/authority.ts';
import { inClusterConnection } from '#kube/client/in-cluster.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { loadKubeconfig } from '#kube/client/kubeconfig.ts';
import type { Fetch } from '#kube/client/rest-client.ts';
import { RestClient } from '#kube/client/rest-client.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { TRUSTED_NODE_ACCOUNTS } from './ca/impersonation.ts';
import { authorityFromSecret } from './ca/root-secret.ts';
import { tokenReviewer } from './ca/token-review.ts';
import { startEntryAddressController } from './controllers/entry-addresses.ts';
import { startGatewayController } from './controllers/gateway.ts';
import { startLeaderElection } from './controllers/leader.ts';
import type { PolicySync } from './controllers/policy-status.ts';
import { startPolicyStatusController } from './controllers/policy-status.ts';
import { startRootCertController } from './controllers/root-cert.ts';
import { startServiceStatusController } from './controllers/service-status.ts';
import { CONTROL_ERRORS } from './errors.ts';
import { startIngest } from './ingest/ingest.ts';
import type { MeshGraph } from './ingest/mesh-graph.ts';
import { createMeshGraph } from './ingest/mesh-graph.ts';
import { createPodLookup } from './ingest/pod-lookup.ts';
import { createResourceTables } from './ingest/resource-tables.ts';
import { ROOT_RETRY_CAP_MS, ROOT_RETRY_INITIAL_MS } from './limits.ts';
import { monitoringHandler } from './monitoring.ts';
import { createObservatory } from './observe/observatory.ts';
import { consoleHandler, serveHttp } from './observe/server.ts';
import type { ControlOptions } from './options.ts';
import { HELP, parseControlOptions } from './options.ts';
import type { DiscoveryPort } from './push/discovery-port.ts';
import { startDiscoveryPort } from './push/discovery-port.ts';
import type { ProxySyncState } from './push/proxy-stream.ts';
import { TYPE_URL } from './push/resource-source.ts';

const LEASE_NAME = 'tulle-control';

/** Runs until SIGTERM or SIGINT. */
export async function runControl(argv: string[]): Promise<void> {
  const options = parseControlOptions(argv, process.env);
  if (options === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const log = createLogger('control', { clock: systemClock, level: options.logLevel });
  const client = connect(options);
  const stopping = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => stopping.resolve(signal));
  const starting = startControl({ client, clock: systemClock, random: systemRandom, log }, options);
  const stopped = stopping.promise.then((signal) => log.info('stopping', { signal }));
  // A signal while we still wait for the API server ends us as well.
  const control = await Promise.race([starting, stopped]);
  if (control !== undefined) {
    await stopped;
    await control.stop();
  }
  process.exit(0);
}

export interface RunningControl {
  readonly ports: {
    discovery: number;
    monitoring: number | undefined;
    console: number | undefined;
  };
  stop(): Promise<void>;
}

/** Resolves once 15012 answers; rejects when a port is taken. */
export async function startControl(
  deps: InformerDeps,
  options: ControlOptions,
): Promise<RunningControl> {
  const { clock, log } = deps;
  const { mesh: settings } = options;
  const scope = new Scope();
  const startedAt = rfc3339(clock);
  const graph = new Graph();
  const mesh = createMeshGraph(graph, settings);
  const pods = createPodLookup(graph, mesh.sources.pods);
  const tables = createResourceTables(mesh);
  let discovery: DiscoveryPort | undefined;
  let leading = false;
  const streams = () => discovery?.push.proxies() ?? [];
  const unready = () => (discovery === undefined ? 'waiting for the API server' : undefined);
  const version = VERSION;
  const observatory = createObservatory(
    { clock, fetch: (url, init) => fetch(url, init), mesh },
    {
      streams,
      control: () => ({
        ready: discovery !== undefined,
        leader: leading,
        pod: options.identity,
        version,
        startedAt,
      }),
    },
  );
  const ends = serveAll(options, {
    monitoring: monitoringHandler({ mesh, streams, unready, version }),
    console: consoleHandler(observatory),
  });
  const ingest = startIngest(deps, graph, {
    sources: mesh.sources,
    rootNamespace: settings.rootNamespace,
  });
  scope.add(ingest.stop);
  const authority = await loadRoot(deps, options);
  // The root must be readable in every namespace before any proxy can connect: leadership comes first.
  const resign = startLeaderElection(
    deps,
    { namespace: settings.rootNamespace, name: LEASE_NAME, identity: options.identity },
    () => {
      leading = true;
      const stop = lead(deps, {
        options,
        mesh,
        authority,
        policySync: () => policySync(streams()),
      });
      return () => {
        leading = false;
        stop();
      };
    },
  );
  await ingest.synced;
  tables.markReady();
  const authenticate = tokenReviewer(deps.client);
  discovery = await startDiscoveryPort(
    {
      clock,
      random: deps.random,
      log,
      sources: tables,
      authenticate,
      clusterId: settings.clusterId,
      authority,
      pods,
    },
    {
      address: options.discovery.hostname,
      port: options.discovery.port,
      trustDomain: settings.trustDomain,
      servingNames: servingNames(settings),
      trustedAccounts: TRUSTED_NODE_ACCOUNTS,
    },
  );
  observatory.collector.start();
  scope.add(() => observatory.collector.stop());
  log.info('ready', {
    discovery: discovery.port,
    services: mesh.services.size,
    workloads: mesh.workloads.size,
  });
  const port = discovery;
  return {
    ports: { discovery: port.port, monitoring: ends.monitoring.port, console: ends.console?.port },
    async stop() {
      await resign();
      scope.dispose();
      await Promise.all([port.stop(), ...ends.all.map((end) => end.stop())]);
    },
  };
}

function connect(options: ControlOptions): KubeClient {
  const connection =
    options.kubeconfig === undefined
      ? inClusterConnection(process.env)
      : loadKubeconfig(options.kubeconfig);
  if (connection !== undefined) return new RestClient({ fetch: fetch as Fetch }, connection);
  throw new MeshError(
    'CONTROL_NO_CLUSTER',
    'no API server: this is no pod and no kubeconfig was given',
    {
      side: 'config',
      hint: CONTROL_ERRORS.CONTROL_NO_CLUSTER,
    },
  );
}

type Handlers = Record<'monitoring' | 'console', (request: Request) => Response>;

function serveAll(options: ControlOptions, handlers: Handlers) {
  const monitoring = serveHttp(options.monitoring, handlers.monitoring);
  const console = options.console && serveHttp(options.console, handlers.console);
  const unix = options.consoleUnix && serveHttp({ unix: options.consoleUnix }, handlers.console);
  const all = [monitoring, console, unix].flatMap((end) => end || []);
  return { monitoring, console, all };
}

/** The API server may come up after us: that is waited for. A root that cannot be used is not. */
async function loadRoot(
  deps: InformerDeps,
  options: ControlOptions,
): Promise<CertificateAuthority> {
  const { client, clock, random, log } = deps;
  const { rootNamespace, trustDomain } = options.mesh;
  const backoff = new Backoff(random, {
    initialMs: ROOT_RETRY_INITIAL_MS,
    capMs: ROOT_RETRY_CAP_MS,
  });
  for (;;) {
    try {
      return await authorityFromSecret(
        { kube: client, clock, random, log },
        { namespace: rootNamespace, trustDomain },
      );
    } catch (error) {
      // Not found: the namespace is still to be made.
      const passing =
        isMeshError(error, 'KUBE_UNAVAILABLE') || isMeshError(error, 'KUBE_NOT_FOUND');
      if (!passing) throw error;
      await waitAgain({ clock, log }, backoff.nextDelayMs(), error);
    }
  }
}

async function waitAgain(
  deps: { clock: Clock; log: Logger },
  delayMs: number,
  error: unknown,
): Promise<void> {
  deps.log.warn('root not loaded, trying again', {
    reason: messageOf(error),
    delayMs: Math.round(delayMs),
  });
  await sleep(deps.clock, delayMs);
}

/** What only one replica does. */
function lead(
  deps: InformerDeps,
  from: {
    options: ControlOptions;
    mesh: MeshGraph;
    authority: CertificateAuthority;
    policySync: PolicySync;
  },
): Disposer {
  const { options, mesh, authority, policySync } = from;
  const scope = new Scope();
  scope.add(startRootCertController(deps, () => authority.root));
  scope.add(startGatewayController(deps, { ...options.mesh, image: options.proxyImage }));
  scope.add(startServiceStatusController(deps, mesh.services));
  const { serviceEntries: entries } = mesh.sources;
  scope.add(startEntryAddressController(deps, { entries, byAddress: mesh.entriesByAddress }));
  scope.add(
    startPolicyStatusController(
      deps,
      { statuses: mesh.policyStatuses, sources: mesh.sources },
      policySync,
    ),
  );
  return () => scope.dispose();
}

function policySync(proxies: readonly ProxySyncState[]): ReturnType<PolicySync> {
  const nodes = proxies.filter(({ type }) => type === 'ztunnel');
  const holds = ({ types }: ProxySyncState) =>
    types.some(({ typeUrl, state }) => typeUrl === TYPE_URL.authorization && state === 'synced');
  return { synced: nodes.filter(holds).length, total: nodes.length };
}

function servingNames(settings: { rootNamespace: string; domain: string }): string[] {
  const name = `istiod.${settings.rootNamespace}.svc`;
  return [name, `${name}.${settings.domain}`, 'localhost'];
}
