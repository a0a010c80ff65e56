/**
 * The life of one connection on a port that is not HTTP: pick by the route's weights, connect, pipe, record. Bytes that come
 * before the upstream is there wait in the paused source.
 */
import type { Disposer } from '#base/disposer.ts';
import { MeshError } from '#base/errors.ts';
import type { Random } from '#base/random.ts';
import { refusalOf } from '#identity/trust/refusal.ts';
import { pickDestination } from '#model/route/match.ts';
import type { ServiceKey } from '#model/service/service.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { Pipe } from '#net/pipe/pipe.ts';
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
import { formatTraceparent } from '#telemetry/tracing/trace-context.ts';
import type { PickContext } from '#upstream/group/endpoint-group.ts';
import { requestHash } from '#upstream/hash/request-hash.ts';
import type { ServiceConfig } from '../config/snapshot.ts';
import type { Engine, HttpEndpoint, HttpGroup } from '../engine.ts';
import { WAYPOINT_ERRORS } from '../errors.ts';
import { TCP_IDLE_TIMEOUT_MS } from '../limits.ts';
import type { TcpHandles } from '../record/edge.ts';
import { targetOf } from '../transport/http-dial.ts';
import type { Transport } from '../transport/transport.ts';
import type { Tunnel } from '../tunnel.ts';
import { findL4 } from './find-l4.ts';
import { IdleWatch, LifeLimit } from './idle-watch.ts';

export class TcpRun implements ConnectionHandler {
  readonly tunnel: Tunnel;
  readonly startedAt: number;
  readonly trace: RequestTrace;
  readonly counters = { receivedBytes: 0, sentBytes: 0 };
  readonly service: ServiceConfig | undefined;
  /** Server name that the client asked for. */
  readonly sni: string | undefined;
  routeName = '';
  /** Of the destination that was picked. */
  upstreamKey: ServiceKey | undefined = undefined;
  group: HttpGroup | undefined = undefined;
  endpoint: HttpEndpoint | undefined = undefined;
  flags = '-';
  transportFailure = '';
  /** Why this end refused the other, where it did. */
  refusal: string | undefined = undefined;
  note = '';
  readonly #engine: Engine;
  readonly #transport: Transport;
  readonly #downstream: Connection;
  /** What a protocol sniffer has read already. */
  #early: Uint8Array | undefined;
  #ended = false;
  /** For the first answer about the destination's name; once a connection. */
  #waiting: Disposer | undefined = undefined;
  #over = false;
  #pipe: Pipe | undefined = undefined;
  #idle: IdleWatch | undefined = undefined;
  #life: LifeLimit | undefined = undefined;
  #handles: TcpHandles | undefined = undefined;
  #reportedReceived = 0;
  #reportedSent = 0;

  constructor(
    deps: { engine: Engine; transport: Transport },
    options: {
      tunnel: Tunnel;
      service: ServiceConfig | undefined;
      connection: Connection;
      early?: Uint8Array;
      sni?: string;
    },
  ) {
    this.#engine = deps.engine;
    this.#transport = deps.transport;
    this.#downstream = options.connection;
    this.#early = options.early;
    this.tunnel = options.tunnel;
    this.service = options.service;
    this.sni = options.sni ?? options.tunnel.gateway?.sni;
    this.startedAt = deps.engine.clock.now();
    const { tracing, snapshot } = deps.engine;
    this.trace = tracing.beginConnection(this.tunnel, snapshot?.telemetry, this.service?.key);
  }

  start(): void {
    const { random } = this.#engine;
    this.#downstream.pause();
    this.#engine.connections.add(this);
    const target = this.#pick(random);
    if ('flag' in target) {
      this.#fail(target.flag, target.reason);
      return;
    }
    this.#takeEndpoint(target);
  }

  #takeEndpoint({ group, context }: Chosen): void {
    const endpoint = group.pick(undefined, context);
    if (endpoint !== undefined) this.#connect(group, endpoint);
    else if (this.#waiting === undefined && group.isResolving(context)) {
      this.#waiting = group.whenResolved(context, () => {
        if (!this.#over) this.#takeEndpoint({ group, context });
      });
    } else this.#fail('UH', group.unavailableReason(context));
  }

  #connect(group: HttpGroup, endpoint: HttpEndpoint): void {
    this.group = group;
    this.endpoint = endpoint;
    group.active += 1;
    endpoint.active += 1;
    const { source, remotePort } = this.tunnel;
    const client = { address: source.address, port: remotePort ?? 0 };
    const { traceId, spanId, sampled } = this.trace;
    const traceparent = formatTraceparent({ traceId, spanId, sampled });
    this.#transport.open(
      { ...targetOf(endpoint, group, []), client, traceparent },
      {
        onOpen: (upstream) => this.#connected(upstream, group, endpoint),
        onFail: (error) => {
          group.reportFailure(endpoint, 'connect');
          this.transportFailure = error.message;
          this.refusal = refusalOf(error);
          this.#fail('UF', error.message);
        },
      },
    );
  }

  // Until the upstream is there the source is paused: only what was on its way comes, and the end.

  onData(bytes: Uint8Array): void {
    const { length } = bytes;
    const before = this.#early;
    if (before === undefined) this.#early = new Uint8Array(bytes);
    else {
      const joined = new Uint8Array(before.length + length);
      joined.set(before);
      joined.set(bytes, before.length);
      this.#early = joined;
    }
  }

  onDrain(): void {
    // Nothing was written yet.
  }

  onEnd(): void {
    this.#ended = true;
  }

  onClose(error: MeshError | undefined): void {
    if (this.#over) return;
    this.flags = 'DC';
    this.note = error?.message ?? 'the client closed before the upstream was connected';
    this.#finish();
  }

  #pick(random: Random): Chosen | Failure {
    const { tunnel, sni } = this;
    const { snapshot } = this.#engine;
    const found = findL4(snapshot, tunnel, sni);
    if (found.route === undefined) return found;
    this.routeName = found.name;
    const destination = pickDestination(found.route, random);
    const target = destination && snapshot?.target(destination);
    if (destination === undefined || target === undefined) {
      return { flag: 'NC', reason: `no destination for ${tunnel.host}:${tunnel.port}` };
    }
    this.upstreamKey = destination.destination.upstream;
    const { broken, group } = target;
    if (broken !== undefined) return { flag: broken.flag, reason: broken.reason };
    const { maxConnections } = group.config.policy.connectionPool;
    if (maxConnections !== undefined && group.active >= maxConnections) {
      const reason = `${group.active} connections run at ${group.description} (limit ${maxConnections})`;
      return { flag: 'UO', reason };
    }
    const { source, host, port, local, remote } = tunnel;
    const { hash } = group.config.policy;
    const view = { authority: sni ?? host, path: '', getAll: () => undefined };
    const by = { address: source.address, connection: `${remote} ${local}` };
    const context: PickContext = {
      // A gateway's own address is nobody's destination.
      dialled: tunnel.gateway === undefined ? { host, port } : undefined,
      authority: sni,
      hash: hash && requestHash(hash, view, by).hash,
    };
    return { group, context };
  }

  #connected(upstream: Connection, group: HttpGroup, endpoint: HttpEndpoint): ConnectionHandler {
    if (this.#over) {
      upstream.reset();
      return CLOSED;
    }
    endpoint.requestsTotal += 1;
    group.reportConnected(endpoint);
    const handles = this.#engine.recorder.connection(this, '-');
    this.#handles = handles;
    countOpened(handles);
    const pipe = new Pipe(this.#downstream, upstream, {
      counters: this.counters,
      onFinished: (error, side) => {
        group.active -= 1;
        endpoint.active -= 1;
        if (error !== undefined && error.code !== 'WAYPOINT_CONNECTION_ENDED') {
          this.flags = side === 'downstream' ? 'DC' : 'UC';
          this.note = error.message;
          this.refusal = refusalOf(error);
        }
        if (this.flags !== '-') {
          this.#engine.recorder.connection(this, this.flags).failed.add(1);
          this.#handles?.flow.fail(this.flags);
        }
        this.#close();
      },
    });
    this.#over = true;
    this.#pipe = pipe;
    this.#watch(group);
    if (this.#early !== undefined) pipe.downstream.onData(this.#early);
    this.#early = undefined;
    if (this.#ended) pipe.downstream.onEnd();
    this.#downstream.resume();
    return pipe.upstream;
  }

  /** Ends it from our side, whatever it does: its line says why. */
  cut(flags: string, reason: string): void {
    if (this.#pipe === undefined) {
      this.#fail(flags, reason);
      return;
    }
    this.flags = flags;
    this.note = reason;
    this.#pipe.abort(new MeshError('WAYPOINT_CONNECTION_ENDED', reason, CUT));
  }

  #watch({ config }: HttpGroup): void {
    const { deadlines } = this.#engine;
    const { tcpIdleTimeoutMs, maxConnectionDurationMs } = config.policy.connectionPool;
    const idleMs = tcpIdleTimeoutMs ?? TCP_IDLE_TIMEOUT_MS;
    const { counters } = this;
    if (idleMs > 0) {
      this.#idle = new IdleWatch(deadlines, {
        idleMs,
        activity: () => counters.receivedBytes + counters.sentBytes,
        onIdle: () => this.cut('SI', `nothing moved for ${idleMs} ms`),
      });
    }
    if (maxConnectionDurationMs !== undefined && maxConnectionDurationMs > 0) {
      const reason = `it lasted ${maxConnectionDurationMs} ms (maxConnectionDuration)`;
      this.#life = new LifeLimit(deadlines, maxConnectionDurationMs, () => this.cut('DT', reason));
    }
  }

  #fail(flags: string, reason: string): void {
    if (this.#over) return;
    this.flags = flags;
    this.note = reason;
    this.#finish();
    this.#downstream.reset();
  }

  /** Nothing was connected. */
  #finish(): void {
    this.#over = true;
    if (this.group !== undefined) this.group.active -= 1;
    if (this.endpoint !== undefined) this.endpoint.active -= 1;
    const handles = this.#engine.recorder.connection(this, this.flags);
    this.#handles = handles;
    countOpened(handles);
    handles.failed.add(1);
    handles.flow.fail(this.flags);
    this.#close();
  }

  /** Moves what was counted since the last time into the metrics: while it runs, and at the end. */
  report(): void {
    const handles = this.#named();
    if (handles === undefined) return;
    const { receivedBytes, sentBytes } = this.counters;
    const received = receivedBytes - this.#reportedReceived;
    const sent = sentBytes - this.#reportedSent;
    this.#reportedReceived = receivedBytes;
    this.#reportedSent = sentBytes;
    handles.received.add(received);
    handles.sent.add(sent);
    // Received from the client is sent by the source.
    handles.flow.bytes(received, sent);
  }

  /** Under the name of its client: one that was not known when it was opened is as if it were closed, and opened under its own. */
  #named(): TcpHandles | undefined {
    const handles = this.#handles;
    const { source } = this.tunnel;
    if (handles === undefined || source.isKnown) return handles;
    const next = this.#engine.recorder.connection(this, this.flags);
    if (this.tunnel.source === source) return handles;
    countClosed(handles);
    countOpened(next);
    this.#handles = next;
    return next;
  }

  #close(): void {
    const { deadlines } = this.#engine;
    this.#waiting?.();
    if (this.#idle !== undefined) deadlines.cancel(this.#idle);
    if (this.#life !== undefined) deadlines.cancel(this.#life);
    this.report();
    if (this.#handles !== undefined) countClosed(this.#handles);
    this.#engine.recorder.connectionClosed(this);
    this.#engine.tracing.connectionClosed(this);
    this.#engine.connections.delete(this);
  }
}

function countOpened({ opened, flow, edge }: TcpHandles): void {
  opened.add(1);
  flow.open();
  edge.live += 1;
}

function countClosed({ closed, flow, edge }: TcpHandles): void {
  closed.add(1);
  flow.close();
  edge.live -= 1;
}

interface Chosen {
  readonly group: HttpGroup;
  readonly context: PickContext;
}

interface Failure {
  readonly flag: string;
  readonly reason: string;
}

const CUT = { side: 'self', hint: WAYPOINT_ERRORS.WAYPOINT_CONNECTION_ENDED } as const;

const CLOSED: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};
