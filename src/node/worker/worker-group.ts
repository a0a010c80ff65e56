/**
 * The data workers of a node proxy, as its main thread sees them: feeds them snapshots and certificates, has them
 * listen on every captured pod's ports, and gathers what they count.
 *
 *   discovery, certificates ─► main ─┬─ change, identity, serve, stop ─► worker 1 … n
 *   capture, status ports            └◄─────── ready, log, report ──────┘
 *
 * A worker that dies is a bug of ours and its connections are gone: the process ends and is started again.
 */
import type { Clock } from '#base/clock.ts';
import { COMPILED, embeddedPath } from '#base/compiled.ts';
import { Scope } from '#base/disposer.ts';
import { MeshError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { SvidStore } from '#identity/svid/svid-store.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { duplicate } from '#net/netns/raw-socket.ts';
import type { ConnectionFilter } from '#telemetry/admin/connections-query.ts';
import type { FlowBook } from '#telemetry/flow/flow-book.ts';
import type { Offered } from '#telemetry/report/outbox.ts';
import type { TapFilter } from '#telemetry/requests/request-record.ts';
import type { SpanOutlet } from '#telemetry/tracing/span-outlet.ts';
import { NODE_ERRORS } from '../errors.ts';
import { WORKER_REPORT_TIMEOUT_MS } from '../limits.ts';
import { EMPTY_SNAPSHOT, type MeshSnapshot } from '../state/mesh-snapshot.ts';
import type { MeshState } from '../state/mesh-state.ts';
import { changeBetween } from '../state/snapshot-change.ts';
import type { PodIdentity } from '../workload/context.ts';
import type { ProxyOptions } from '../workload/workload-proxy.ts';
import { FlowReceiver } from './flow-relay.ts';
import type {
  FromWorker,
  RelayedIdentity,
  ToWorker,
  WorkerReport,
  WorkerStart,
} from './messages.ts';

export interface WorkerGroupDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly state: MeshState;
  readonly identities: SvidStore;
  /** Takes the workers' access log text. */
  readonly accessLog: { write(text: string): void };
  /** And their spans. */
  readonly spans: Pick<SpanOutlet, 'offerSpan'>;
  /** Takes the workers' flows. */
  readonly telemetry: { readonly flows: FlowBook };
}

/** One pod's listeners in all workers. */
export interface RemoteProxy {
  readonly ready: boolean;
  /** Connections of all workers that run, once it has left; until the workers have said so, one each. */
  readonly remaining: number;
  leave(): void;
  /** After `leave`. */
  resume(): void;
  force(reason: string): void;
  stop(reason: string): void;
}

interface Served {
  /** Workers that do not listen yet. */
  missing: number;
  onReady(): void;
  /** By worker; what it said last. */
  readonly remaining: number[];
}

/** The compiled program holds it as an entry of its own, named after its place under src (tools/image/compile.ts). */
const WORKER_MODULE = COMPILED
  ? embeddedPath('node/worker/data-worker.js')
  : new URL('./data-worker.ts', import.meta.url).href;

export class WorkerGroup {
  readonly #deps: WorkerGroupDeps;
  readonly #workers: Worker[] = [];
  readonly #flows: FlowReceiver[] = [];
  readonly #pods = new Map<string, Served>();
  readonly #reports = new Map<number, (report: WorkerReport) => void>();
  readonly #scope = new Scope();
  #sent: MeshSnapshot = EMPTY_SNAPSHOT;
  #nextReport = 0;
  #onOffered: (offered: Offered) => void = () => undefined;

  /** `count` threads besides the main one. */
  constructor(deps: WorkerGroupDeps, count: number, start: WorkerStart) {
    this.#deps = deps;
    for (let index = 1; index <= count; index++) {
      const worker = new Worker(WORKER_MODULE);
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#take(data, index);
      worker.onerror = ({ message }) => died(index, message);
      this.#workers.push(worker);
      this.#flows.push(new FlowReceiver(deps.telemetry.flows));
    }
    this.#tell({ kind: 'start', start });
    this.#follow(deps.state.current);
    this.#scope.add(deps.state.onChange((snapshot) => this.#follow(snapshot)));
    this.#scope.add(
      deps.identities.onRotate((principal, identity) => {
        this.#tell({ kind: 'identity', identity: this.#relayed(principal, identity) });
      }),
    );
  }

  get count(): number {
    return this.#workers.length;
  }

  setTaps(filters: readonly TapFilter[] | undefined): void {
    this.#tell({ kind: 'taps', filters });
  }

  /** Records and spans of workers, from now on. */
  onOffered(callback: (offered: Offered) => void): void {
    this.#onOffered = callback;
  }

  setLevels(levels: string): void {
    this.#tell({ kind: 'levels', levels });
  }

  /** Every worker listens for the pod; `onReady` once all of them do, with certificate. */
  serve(pod: PodIdentity & { principal: Principal }, options: ProxyOptions, onReady: () => void) {
    const { uid, namespace, name, serviceAccount, trustDomain, netns, principal } = pod;
    const known = this.#deps.identities.get(principal);
    const identity = known && this.#relayed(principal, known);
    const state: Served = {
      missing: this.#workers.length,
      onReady,
      remaining: this.#workers.map(() => 1),
    };
    this.#pods.set(uid, state);
    for (const worker of this.#workers) {
      const place = netns && { fd: duplicate(netns.fd), inode: netns.inode };
      const served = { uid, namespace, name, serviceAccount, trustDomain, netns: place };
      const message: ToWorker = { kind: 'serve', pod: served, options, identity };
      worker.postMessage(message);
    }
    const remote: RemoteProxy = {
      get ready() {
        return state.missing === 0;
      },
      get remaining() {
        return state.remaining.reduce((sum, count) => sum + count, 0);
      },
      leave: () => this.#tell({ kind: 'leave', uid }),
      resume: () => this.#tell({ kind: 'resume', uid }),
      force: (reason) => this.#tell({ kind: 'force', uid, reason }),
      stop: (reason) => {
        if (this.#pods.get(uid) === state) this.#pods.delete(uid);
        this.#tell({ kind: 'stop', uid, reason });
      },
    };
    return remote;
  }

  /** One report of each worker; without those that did not answer in time, which the log names. */
  async reports(filter: ConnectionFilter, limit: number): Promise<WorkerReport[]> {
    const answers = await Promise.all(
      this.#workers.map((worker) => this.#report(worker, { filter, limit })),
    );
    return answers.filter((answer) => answer !== undefined);
  }

  stop(): void {
    this.#scope.dispose();
    for (const worker of this.#workers) worker.terminate();
  }

  #follow(snapshot: MeshSnapshot): void {
    // Version 0 is "nothing known yet": a worker must not take it for an empty mesh.
    if (snapshot.version === 0) return;
    this.#tell({ kind: 'change', change: changeBetween(this.#sent, snapshot) });
    this.#sent = snapshot;
  }

  #relayed(principal: Principal, identity: TlsIdentity): RelayedIdentity {
    const status = this.#deps.identities.status().find((each) => each.principal === principal);
    return { principal, identity, expiresAt: status?.notAfter };
  }

  #report(
    worker: Worker,
    wanted: { filter: ConnectionFilter; limit: number },
  ): Promise<WorkerReport | undefined> {
    const id = this.#nextReport++;
    return new Promise((resolve) => {
      const timer = this.#deps.clock.after(WORKER_REPORT_TIMEOUT_MS, () => {
        this.#reports.delete(id);
        this.#deps.log.warn('a data worker did not report in time', {
          waitedMs: WORKER_REPORT_TIMEOUT_MS,
        });
        resolve(undefined);
      });
      this.#reports.set(id, (report) => {
        timer.cancel();
        this.#reports.delete(id);
        resolve(report);
      });
      const message: ToWorker = { kind: 'report', id, ...wanted };
      worker.postMessage(message);
    });
  }

  #tell(message: ToWorker): void {
    for (const worker of this.#workers) worker.postMessage(message);
  }

  #take(message: FromWorker, worker: number): void {
    switch (message.kind) {
      case 'log':
        this.#deps.accessLog.write(message.text);
        return;
      case 'span':
        this.#deps.spans.offerSpan(message.span, message.provider);
        return;
      case 'flow':
        this.#flows[worker - 1].take(message.flow);
        return;
      case 'offered':
        this.#onOffered(message.offered);
        return;
      case 'report':
        this.#reports.get(message.id)?.(message.report);
        return;
      case 'failed':
        this.#deps.log.error('a data worker cannot listen', message);
        return;
      case 'ready': {
        const served = this.#pods.get(message.uid);
        if (served === undefined) return;
        served.missing--;
        if (served.missing === 0) served.onReady();
        return;
      }
      case 'remaining': {
        const served = this.#pods.get(message.uid);
        if (served !== undefined) served.remaining[worker - 1] = message.count;
      }
    }
  }
}

/** Thrown outside of any promise: nobody can catch it, the process ends. */
function died(index: number, message: string): void {
  queueMicrotask(() => {
    throw new MeshError('NODE_WORKER_DIED', `data worker ${index} died: ${message}`, {
      side: 'self',
      hint: NODE_ERRORS.NODE_WORKER_DIED,
    });
  });
}
