/**
 * The console of this control plane, put together: what flows (its store and the carriers of telemetry), what there is (the mesh view), and the server
 * that answers out of both.
 */
import type { Clock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { processCpuSeconds } from '#base/process-cpu.ts';
import type { Random } from '#base/random.ts';
import type { Graph } from '#collections/graph.ts';
import type { ConsoleData } from '#console/console-data.ts';
import { createConsoleData } from '#console/engine/create-console-data.ts';
import type { PrometheusOptions } from '#console/prometheus/client.ts';
import type { AccessOptions } from '#console/server/access/access.ts';
import { bundleSource } from '#console/server/bundle.ts';
import type { AnswerWhy } from '#console/server/console-deps.ts';
import { type ConsoleEnd, type ListenAddress, serveConsole } from '#console/server/listen.ts';
import { ConsoleServer } from '#console/server/server.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { CONTROL_ERRORS } from '../errors.ts';
import type { MeshGraph } from '../ingest/mesh-graph.ts';
import { SCRAPE_PERIOD_MS } from '../limits.ts';
import type { ProxySyncState } from '../push/proxy-stream.ts';
import { judgeObject } from '../webhook/judge.ts';
import type { StatusAnswer } from './api.ts';
import type { CollectorDeps } from './collector.ts';
import { CounterRate } from './counter-rate.ts';
import { ControlMeshView } from './mesh-view.ts';
import { createObservatory, type Observatory } from './observatory.ts';
import type { Peers } from './peers.ts';
import { seenStatus } from './status.ts';
import { controlRows } from './view/proxies.ts';

export interface ControlConsoleDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly fetch: CollectorDeps['fetch'];
  readonly graph: Graph;
  readonly mesh: MeshGraph;
  readonly settings: MeshSettings;
  readonly peers: Peers;
  /** Proxies that are connected to this replica. */
  readonly streams: () => readonly ProxySyncState[];
  /** Answers that this replica sent to proxies. */
  readonly pushes: () => number;
  readonly control: () => StatusAnswer['control'];
  readonly roots: () => string;
  readonly client: KubeClient;
  /** Acts with a reader's token. */
  readonly asReader: (token: string) => KubeClient;
  readonly answerWhy: AnswerWhy | undefined;
}

export interface ControlConsole {
  readonly observatory: Observatory;
  readonly data: ConsoleData;
  /** Throws CONTROL_LISTEN_FAILED when the port or path is taken. */
  listen(address: ListenAddress): ConsoleEnd;
  /** Everything that existed has come in. */
  start(): void;
  stop(): Promise<void>;
}

export function createControlConsole(
  deps: ControlConsoleDeps,
  options: {
    readonly access: AccessOptions;
    readonly directory: string | undefined;
    readonly prometheus: PrometheusOptions | undefined;
  },
): ControlConsole {
  const { clock, random, mesh, settings, peers, control } = deps;
  const log = deps.log.child('console');
  const scope = new Scope();
  const cpu = new CounterRate();
  const pushes = new CounterRate();
  let observatory: Observatory | undefined;
  const view = new ControlMeshView({
    clock,
    graph: deps.graph,
    mesh,
    settings,
    version: control().version,
    // Asked for once before there is any.
    proxies: () => observatory?.proxies() ?? [],
    waypoints: () => observatory?.waypoints() ?? [],
    problems: () => control().problems ?? [],
    streams: () => peers.streams(),
    use: (proxy) => observatory?.collector.use(proxy),
    report: (proxy) => observatory?.intake.state(proxy),
    control: () =>
      controlRows({
        own: control(),
        revision: settings.revision,
        proxies: deps.streams().length,
        use: { memoryBytes: process.memoryUsage.rss(), cpu: cpu.perSecond },
        pushesPerSecond: pushes.perSecond,
        pods: [...mesh.ownPods.control.entries()].map(([, pod]) => pod),
        namespace: settings.rootNamespace,
        ...peers.told(),
      }),
    roots: deps.roots,
  });
  const { directory, prometheus } = options;
  const data = createConsoleData({ clock, random, log, mesh: view, directory, prometheus });
  const watched = createObservatory(
    { clock, log, fetch: deps.fetch, mesh, rootNamespace: settings.rootNamespace, sink: data.sink },
    { streams: () => peers.streams(), control },
  );
  observatory = watched;
  const { domain } = settings;
  const server = new ConsoleServer(
    {
      clock,
      random,
      log,
      mesh: view,
      data,
      tap: (filter, onRecord) => watched.intake.tap(filter, onRecord),
      kube: deps.client,
      asReader: deps.asReader,
      answerWhy: deps.answerWhy,
      status: (sees) => seenStatus(watched.status(), sees),
      judge: (object) => judgeObject(object, { domain }),
      bundle: bundleSource(),
    },
    options.access,
  );
  return {
    observatory: watched,
    data,
    listen: (address) => listen(server, address),
    start() {
      view.start();
      watched.collector.start();
      const tick = clock.every(SCRAPE_PERIOD_MS, () => {
        cpu.add(clock.now(), processCpuSeconds());
        pushes.add(clock.now(), deps.pushes());
      });
      scope.add(() => tick.cancel());
      scope.add(() => watched.collector.stop());
    },
    async stop() {
      scope.dispose();
      server.stop();
      await data.close();
    },
  };
}

function listen(server: ConsoleServer, address: ListenAddress): ConsoleEnd {
  try {
    return serveConsole(server, address);
  } catch (error) {
    const where = 'unix' in address ? address.unix : `${address.hostname}:${address.port}`;
    throw new MeshError('CONTROL_LISTEN_FAILED', `cannot listen on ${where}: ${messageOf(error)}`, {
      side: 'self',
      hint: CONTROL_ERRORS.CONTROL_LISTEN_FAILED,
      cause: error,
    });
  }
}
