/**
 * The life of one connection on a port that is not HTTP: pick by the route's weights, connect, pipe, record. Bytes that come
 * before the upstream is there wait in the paused source.
 */
import type { MeshError } from '#base/errors.ts';
import type { Random } from '#base/random.ts';
import { pickDestination } from '#model/route/match.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { Pipe } from '#net/pipe/pipe.ts';
import type { ServiceConfig } from '../config/snapshot.ts';
import type { Engine, HttpEndpoint, HttpGroup } from '../engine.ts';
import type { TcpHandles } from '../record/recorder.ts';
import { targetOf } from '../transport/http-dial.ts';
import type { Transport } from '../transport/transport.ts';
import type { Tunnel } from '../tunnel.ts';

export class TcpRun implements ConnectionHandler {
  readonly tunnel: Tunnel;
  readonly startedAt: number;
  readonly counters = { receivedBytes: 0, sentBytes: 0 };
  readonly service: ServiceConfig | undefined;
  group: HttpGroup | undefined = undefined;
  endpoint: HttpEndpoint | undefined = undefined;
  flags = '-';
  transportFailure = '';
  note = '';
  readonly #engine: Engine;
  readonly #transport: Transport;
  readonly #downstream: Connection;
  /** What a protocol sniffer has read already. */
  #early: Uint8Array | undefined;
  #ended = false;
  #over = false;

  constructor(
    deps: { engine: Engine; transport: Transport },
    options: {
      tunnel: Tunnel;
      service: ServiceConfig | undefined;
      connection: Connection;
      early?: Uint8Array;
    },
  ) {
    this.#engine = deps.engine;
    this.#transport = deps.transport;
    this.#downstream = options.connection;
    this.#early = options.early;
    this.tunnel = options.tunnel;
    this.service = options.service;
    this.startedAt = deps.engine.clock.now();
  }

  start(): void {
    const { random } = this.#engine;
    this.#downstream.pause();
    this.#engine.active += 1;
    const target = this.#pick(random);
    if (typeof target === 'string') {
      this.#fail('UH', target);
      return;
    }
    const { group, endpoint } = target;
    this.group = group;
    this.endpoint = endpoint;
    group.active += 1;
    endpoint.active += 1;
    this.#transport.open(targetOf(endpoint, group), {
      onOpen: (upstream) => this.#connected(upstream, group, endpoint),
      onFail: (error) => {
        group.reportFailure(endpoint, 'connect');
        this.transportFailure = error.message;
        this.#fail('UF', error.message);
      },
    });
  }

  // Until the upstream is there the source is paused: only what was on its way comes, and the end.

  onData(bytes: Uint8Array): void {
    const { length } = bytes;
    const before = this.#early;
    if (before === undefined) this.#early = bytes.slice();
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

  #pick(random: Random): { group: HttpGroup; endpoint: HttpEndpoint } | string {
    const { service, tunnel } = this;
    const { snapshot } = this.#engine;
    const denied = service?.compiled.table.denied;
    if (denied !== undefined) return denied.reason;
    const route = service?.compiled.ports.get(tunnel.port)?.entries[0]?.route;
    if (route === undefined) return `no route for ${tunnel.host}:${tunnel.port}`;
    const destination = pickDestination(route, random);
    const target = destination && snapshot?.target(destination);
    if (target === undefined) return `no destination for ${tunnel.host}:${tunnel.port}`;
    if (target.broken !== undefined) return target.broken.reason;
    const endpoint = target.group.pick();
    return endpoint === undefined
      ? target.group.unavailableReason()
      : { group: target.group, endpoint };
  }

  #connected(upstream: Connection, group: HttpGroup, endpoint: HttpEndpoint): ConnectionHandler {
    if (this.#over) {
      upstream.reset();
      return CLOSED;
    }
    endpoint.requestsTotal += 1;
    const handles = this.#engine.recorder.connection(this, '-');
    handles.opened.add(1);
    const pipe = new Pipe(this.#downstream, upstream, {
      counters: this.counters,
      onFinished: ({ error, side }) => {
        group.active -= 1;
        endpoint.active -= 1;
        if (error !== undefined) {
          this.flags = side === 'downstream' ? 'DC' : 'UC';
          this.note = error.message;
        }
        this.#close(handles);
      },
    });
    this.#over = true;
    if (this.#early !== undefined) pipe.downstream.onData(this.#early);
    this.#early = undefined;
    if (this.#ended) pipe.downstream.onEnd();
    this.#downstream.resume();
    return pipe.upstream;
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
    handles.opened.add(1);
    handles.failed.add(1);
    this.#close(handles);
  }

  #close(handles: TcpHandles): void {
    handles.received.add(this.counters.receivedBytes);
    handles.sent.add(this.counters.sentBytes);
    handles.closed.add(1);
    this.#engine.recorder.connectionClosed(this);
    this.#engine.finished();
  }
}

const CLOSED: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};
