/**
 * A data worker: a thread with an event loop of its own that listens on the ports of every captured pod (SO_REUSEPORT)
 * and proxies what the kernel gives it. It decides by the same functions on a snapshot of its own; discovery,
 * certificates, capture and the status ports stay in the main thread (worker-group.ts).
 */
import { systemClock, type Timer } from '#base/clock.ts';
import { DRAIN_CHECK_MS } from '#base/drain.ts';
import { messageOf } from '#base/errors.ts';
import { createLogger, LogLevels } from '#base/log.ts';
import { closeDescriptor } from '#net/netns/raw-socket.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { startTrim } from '#net/trim.ts';
import { startReconciler } from '#redirect/reconcile.ts';
import { FLUSH_MS } from '#telemetry/report/limits.ts';
import { Outbox } from '#telemetry/report/outbox.ts';
import { countRepairs } from '../agent/repairs.ts';
import { type Assembly, assembleNode } from '../assemble.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { ChangedMesh } from '../state/snapshot-change.ts';
import { matchingConnections, reportOf } from '../status/connections.ts';
import { WorkloadProxy } from '../workload/workload-proxy.ts';
import { relayFlows } from './flow-relay.ts';
import type { FromWorker, ServedPod, ToWorker, WorkerReport, WorkerStart } from './messages.ts';
import { RelayedIdentities } from './relayed-identities.ts';

interface Served {
  readonly proxy: WorkloadProxy;
  readonly netns: NetworkNamespace | undefined;
}

class DataWorker {
  readonly #identities = new RelayedIdentities(systemClock);
  readonly #mesh = new ChangedMesh();
  readonly #served = new Map<string, Served>();
  readonly #assembly: Assembly;
  readonly #levels: LogLevels;
  readonly #send: (message: FromWorker) => void;
  readonly #outbox = new Outbox(systemClock, {
    proxy: '',
    onSomething: () => this.#offerSoon(),
  });
  #offer: Timer | undefined;

  constructor(start: WorkerStart, send: (message: FromWorker) => void) {
    this.#send = send;
    const { trustDomain, logFormat: format, podLimits, crlFile, dns, proxy } = start;
    this.#levels = new LogLevels(start.levels);
    const level = this.#levels;
    this.#assembly = assembleNode({
      log: createLogger('node', { clock: systemClock, level, format }),
      identities: this.#identities,
      trustDomain,
      logFormat: format,
      levels: level,
      podLimits,
      crlFile,
      dns,
      proxy,
      spans: { offerSpan: (span, provider) => send({ kind: 'span', span, provider }) },
      write(text) {
        send({ kind: 'log', text });
        return true;
      },
    });
    const { context, registry } = this.#assembly;
    relayFlows(systemClock, context.telemetry.flows, (flow) => send({ kind: 'flow', flow }));
    context.telemetry.report = this.#outbox;
    // Somebody may take the sockets of one thread only: each looks after its own.
    startReconciler({
      clock: systemClock,
      log: context.log,
      watched: () =>
        [...this.#served.values()].map(({ proxy }) => ({
          name: `${proxy.pod.namespace}/${proxy.pod.name}`,
          differences: () => proxy.deadListeners(),
          repair: () => proxy.reopenListeners(),
        })),
      onRepair: countRepairs(registry),
    });
  }

  take(message: Exclude<ToWorker, { kind: 'start' }>): void {
    switch (message.kind) {
      case 'change': {
        const { change } = message;
        this.#mesh.apply(change);
        const { version } = change;
        const addresses = this.#mesh.addresses();
        const authorizations = this.#mesh.policies;
        const { telemetry } = this.#mesh;
        const { state } = this.#assembly.context;
        state.replace(new MeshSnapshot({ version, addresses, authorizations, telemetry }));
        return;
      }
      case 'identity':
        this.#identities.set(message.identity);
        return;
      case 'serve':
        if (message.identity !== undefined) this.#identities.set(message.identity);
        this.#serve(message);
        return;
      case 'levels':
        this.#levels.set(message.levels);
        return;
      case 'taps':
        this.#outbox.tap(message.filters);
        return;
      case 'leave':
        this.#leave(message.uid);
        return;
      case 'resume':
        this.#resume(message.uid);
        return;
      case 'force':
        this.#served.get(message.uid)?.proxy.force(message.reason);
        return;
      case 'stop':
        this.#stop(message.uid, message.reason);
        return;
      case 'report':
        this.#send({ kind: 'report', id: message.id, report: this.#report(message) });
    }
  }

  /** The main thread reports for the process, under its name. */
  #offerSoon(): void {
    this.#offer ??= systemClock.after(FLUSH_MS, () => {
      this.#offer = undefined;
      const offered = this.#outbox.takeAll();
      if (offered !== undefined) this.#send({ kind: 'offered', offered });
    });
  }

  #serve({ pod, options }: Extract<ToWorker, { kind: 'serve' }>): void {
    const netns = namespaceOf(pod);
    const proxy = new WorkloadProxy(this.#assembly.context, { ...pod, netns }, options);
    try {
      proxy.start();
    } catch (error) {
      netns?.close();
      this.#send({ kind: 'failed', uid: pod.uid, message: messageOf(error) });
      return;
    }
    this.#served.set(pod.uid, { proxy, netns });
    proxy.whenReady(() => this.#send({ kind: 'ready', uid: pod.uid }));
  }

  #resume(uid: string): void {
    try {
      this.#served.get(uid)?.proxy.resume();
    } catch (error) {
      this.#send({ kind: 'failed', uid, message: messageOf(error) });
    }
  }

  #leave(uid: string): void {
    const proxy = this.#served.get(uid)?.proxy;
    if (proxy === undefined) return;
    proxy.leave();
    const tell = () => {
      this.#send({ kind: 'remaining', uid, count: proxy.remaining });
      if (proxy.remaining === 0) timer.cancel();
    };
    const timer = systemClock.every(DRAIN_CHECK_MS, tell);
    tell();
  }

  #stop(uid: string, reason: string): void {
    const served = this.#served.get(uid);
    if (served === undefined) return;
    this.#served.delete(uid);
    served.proxy.stop(reason);
    served.netns?.close();
    const { principal } = served.proxy;
    const shared = [...this.#served.values()].some(({ proxy }) => proxy.principal === principal);
    if (!shared) this.#identities.forget(principal);
  }

  #report({ filter, limit }: Extract<ToWorker, { kind: 'report' }>): WorkerReport {
    const { context, registry } = this.#assembly;
    const matching = matchingConnections(context, filter);
    const now = context.clock.now();
    return {
      samples: registry.samples(),
      connections: matching.slice(0, limit).map((record) => reportOf(record, now)),
      connectionsMatched: matching.length,
      connectionsTotal: context.telemetry.live.size,
      usages: context.usages.report(),
      tunnels: context.pool.status(),
    };
  }
}

function namespaceOf({ netns }: ServedPod): NetworkNamespace | undefined {
  if (netns === undefined) return undefined;
  let open = true;
  return {
    ...netns,
    close() {
      if (open) closeDescriptor(netns.fd);
      open = false;
    },
  };
}

// The global object of a worker thread, as Bun has it; the types at hand are the main thread's.
declare const self: Worker;

let worker: DataWorker | undefined;

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === 'start') {
    worker = new DataWorker(data.start, (message) => postMessage(message));
    // The heap of this thread is its own.
    startTrim(systemClock);
  } else worker?.take(data);
};
