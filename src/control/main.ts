/**
 * The control role: Kubernetes objects in, xDS resources, certificates and telemetry out. Ready when the first full
 * derivation stands and 15012 answers; work that only one replica may do follows the lease.
 */

import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { rfc3339, rfc3339At, sleep, systemClock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { VERSION } from '#base/version.ts';
import { Graph } from '#collections/graph.ts';
import type { AnswerWhy } from '#console/server/console-deps.ts';
import { inClusterConnection } from '#kube/client/in-cluster.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { loadKubeconfig } from '#kube/client/kubeconfig.ts';
import type { Fetch } from '#kube/client/rest-client.ts';
import { RestClient } from '#kube/client/rest-client.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { TRUSTED_NODE_ACCOUNTS } from './ca/impersonation.ts';
import { type LoadedRoot, rootFromSecret } from './ca/root-secret.ts';
import { ServingCertificate } from './ca/serving.ts';
import { tokenReviewer } from './ca/token-review.ts';
import { startLeaderElection } from './controllers/leader.ts';
import type { MeshSettings } from './derive/mesh.ts';
import { revisioned } from './derive/revision.ts';
import { CONTROL_ERRORS } from './errors.ts';
import { Federation } from './federate/federate.ts';
import { federatedProxies } from './federate/proxies.ts';
import type { Ingest, IngestProblem } from './ingest/ingest.ts';
import { describeProblem, startIngest } from './ingest/ingest.ts';
import type { MeshGraph } from './ingest/mesh-graph.ts';
import { createMeshGraph } from './ingest/mesh-graph.ts';
import { createPodLookup } from './ingest/pod-lookup.ts';
import { startKeyFetcher } from './ingest/policy-keys.ts';
import { createResourceTables } from './ingest/resource-tables.ts';
import { lead, policySync } from './lead.ts';
import { ROOT_RETRY_CAP_MS, ROOT_RETRY_INITIAL_MS } from './limits.ts';
import { monitoringHandler } from './monitoring.ts';
import { createControlConsole } from './observe/console.ts';
import { Peers } from './observe/peers.ts';
import { controlPrincipal, watchOthers } from './observe/replicas.ts';
import { serveHttp } from './observe/server.ts';
import type { ControlOptions } from './options.ts';
import { HELP, parseControlOptions } from './options.ts';
import type { DiscoveryPort } from './push/discovery-port.ts';
import { startDiscoveryPort } from './push/discovery-port.ts';
import { startWebhook } from './webhook/server.ts';

const LEASE_NAME = 'tulle-control';

/** What a control plane is given that is made of other roles' parts. */
export interface ControlExtras {
  readonly answerWhy?: (mesh: MeshGraph, settings: MeshSettings) => AnswerWhy;
}

export interface ControlDeps extends InformerDeps {
  /** A client with the token of somebody who reads the console. */
  readonly asReader: (token: string) => KubeClient;
}

/** Runs until SIGTERM or SIGINT. */
export async function runControl(argv: string[], extras: ControlExtras = {}): Promise<void> {
  const options = parseControlOptions(argv, process.env);
  if (options === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const log = createLogger('control', { clock: systemClock, level: options.logLevel });
  const { client, asReader } = connect(options);
  const stopping = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => stopping.resolve(signal));
  const starting = startControl(
    { client, asReader, clock: systemClock, random: systemRandom, log },
    options,
    extras,
  );
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
    webhook: number | undefined;
  };
  stop(): Promise<void>;
}

/** Resolves once 15012 answers; rejects when a port is taken. */
export async function startControl(
  deps: ControlDeps,
  options: ControlOptions,
  { answerWhy }: ControlExtras = {},
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
  let ingest: Ingest | undefined;
  const problems = () => ingest?.problems() ?? [];
  const unready = () => (discovery === undefined ? waitingFor(problems()) : undefined);
  const version = VERSION;
  const peers = new Peers(
    { clock, fetch: (url, init) => fetch(url, init), pods: mesh.ownPods.control, own: streams },
    { namespace: settings.rootNamespace, self: options.identity, port: options.monitoring.port },
  );
  const control = () => ({
    ready: discovery !== undefined,
    leader: leading,
    pod: options.identity,
    version,
    startedAt,
    problems: problems().map((problem) => ({
      ...problem,
      message: describeProblem(problem),
      since: rfc3339At(problem.since),
    })),
  });
  let roots = '';
  const console = createControlConsole(
    {
      ...deps,
      fetch: (url, init) => fetch(url, init),
      graph,
      mesh,
      settings,
      peers,
      streams,
      pushes: () => discovery?.push.pushes ?? 0,
      control,
      roots: () => roots,
      answerWhy: answerWhy?.(mesh, settings),
    },
    {
      access: {
        ...options.consoleAccess,
        hosts: [...options.consoleAccess.hosts, ...servingNames(settings)],
      },
      directory: options.consoleStore,
      prometheus: options.prometheus,
    },
  );
  const federation = new Federation({
    clock,
    log: log.child('federate'),
    fetch: (url, init) => fetch(url, init),
    proxies: () => federatedProxies(mesh),
    self: `${settings.rootNamespace}/${options.identity}`,
  });
  const monitoring = serveHttp(
    options.monitoring,
    monitoringHandler({
      mesh,
      streams,
      leads: () => leading,
      unready,
      problems,
      version,
      federation,
      consoleThread: () => console.data.thread(),
    }),
  );
  const consolePort = options.console && console.listen(options.console);
  const consoleUnix = options.consoleUnix && console.listen({ unix: options.consoleUnix });
  const ends = [monitoring, consolePort, consoleUnix].flatMap((end) => end || []);
  ingest = startIngest(deps, graph, {
    sources: mesh.sources,
    rootNamespace: settings.rootNamespace,
    revision: settings.revision,
  });
  scope.add(ingest.stop);
  const ingested = ingest.synced;
  const root = await loadRoot(deps, options);
  const { authority } = root;
  roots = authority.root;
  // The root must be readable in every namespace before any proxy can connect: leadership comes first.
  const resign = startLeaderElection(
    deps,
    {
      namespace: settings.rootNamespace,
      name: revisioned(LEASE_NAME, settings.revision),
      identity: options.identity,
    },
    () => {
      leading = true;
      const stop = lead(deps, {
        options,
        mesh,
        root,
        policySync: async () => policySync(await peers.ask()),
        synced: ingested,
      });
      return () => {
        leading = false;
        stop();
      };
    },
  );
  await ingest.synced;
  const keys = startKeyFetcher(
    { ...deps, fetch: (url, init) => fetch(url, init) },
    mesh.parts.policies,
  );
  scope.add(keys.stop);
  // Proxies that have keys must not lose them because we start anew.
  await keys.settled;
  tables.markReady();
  const authenticate = tokenReviewer(deps.client);
  const serving = await ServingCertificate.create(
    { clock, log, authority },
    servingNames(settings),
  );
  scope.add(() => serving.stop());
  discovery = await startDiscoveryPort(
    {
      clock,
      random: deps.random,
      log,
      sources: tables,
      authenticate,
      isCurrent: ingest.isCurrent,
      clusterId: settings.clusterId,
      authority,
      pods,
      serving,
      intake: console.observatory.intake,
    },
    {
      address: options.discovery.hostname,
      port: options.discovery.port,
      trustDomain: settings.trustDomain,
      trustedAccounts: TRUSTED_NODE_ACCOUNTS,
      ownPrincipal: controlPrincipal(settings),
    },
  );
  const watching = watchOthers(
    { ...deps, authority, intake: console.observatory.intake },
    {
      principal: controlPrincipal(settings),
      port: discovery.port,
      serverName: servingNames(settings)[0],
      clusterId: settings.clusterId,
      replicas: () => peers.replicas(),
    },
  );
  scope.add(watching);
  const webhook =
    options.webhook &&
    startWebhook(serving, { ...options.webhook, domain: settings.domain }, (findings) =>
      log.info('object refused', {
        resource: findings[0].resource,
        field: findings[0].path,
        reason: findings[0].message,
      }),
    );
  console.start();
  peers.start();
  scope.add(() => peers.stop());
  log.info('ready', {
    discovery: discovery.port,
    services: mesh.services.size,
    workloads: mesh.workloads.size,
  });
  const port = discovery;
  return {
    ports: {
      discovery: port.port,
      monitoring: monitoring.port,
      console: consolePort?.port,
      webhook: webhook?.port,
    },
    async stop() {
      await resign();
      scope.dispose();
      await Promise.all([port.stop(), webhook?.stop(), ...ends.map((end) => end.stop())]);
      await console.stop();
    },
  };
}

function connect(options: ControlOptions): Pick<ControlDeps, 'client' | 'asReader'> {
  const connection =
    options.kubeconfig === undefined
      ? inClusterConnection(process.env)
      : loadKubeconfig(options.kubeconfig);
  const send = { fetch: fetch as Fetch };
  if (connection !== undefined)
    return {
      client: new RestClient(send, connection),
      // Our own certificate must not speak for them.
      asReader: (token) =>
        new RestClient(send, {
          ...connection,
          tls: connection.tls && { ...connection.tls, cert: undefined, key: undefined },
          token: () => token,
        }),
    };
  throw new MeshError(
    'CONTROL_NO_CLUSTER',
    'no API server: this is no pod and no kubeconfig was given',
    {
      side: 'config',
      hint: CONTROL_ERRORS.CONTROL_NO_CLUSTER,
    },
  );
}

/** What a control plane that has just started cannot serve without. */
function waitingFor(problems: readonly IngestProblem[]): string {
  const missing = problems.filter(({ isKnown }) => !isKnown).map(describeProblem);
  return ['waiting for the API server', ...missing].join('\n');
}

/** The API server may come up after us: that is waited for. A root that cannot be used is not. */
async function loadRoot(deps: InformerDeps, options: ControlOptions): Promise<LoadedRoot> {
  const { client, clock, random, log } = deps;
  const { rootNamespace, trustDomain } = options.mesh;
  const backoff = new Backoff(random, {
    initialMs: ROOT_RETRY_INITIAL_MS,
    capMs: ROOT_RETRY_CAP_MS,
  });
  for (;;) {
    try {
      return await rootFromSecret(
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

/** Under `istiod` every revision may be reached: its Service is whoever's it selects. */
function servingNames({ rootNamespace, domain, revision }: MeshSettings): string[] {
  const services = new Set(['istiod', revisioned('istiod', revision)]);
  const names = [...services].map((service) => `${service}.${rootNamespace}.svc`);
  return [...names, ...names.map((name) => `${name}.${domain}`), 'localhost'];
}
