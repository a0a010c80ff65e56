/**
 * One proxied connection from accept to the last byte: holds the downstream while the decision and the dial run, joins it
 * to the upstream, and makes sure that it ends exactly once, with one log line that says who and why.
 */
import { assert } from '#base/assert.ts';
import type { MeshError } from '#base/errors.ts';
import type { Rostered } from '#base/roster.ts';
import type { ServiceKey } from '#model/service/service.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { ConnectHandler } from '#net/network.ts';
import { EarlyData, type EarlyOptions } from '#net/pipe/early-data.ts';
import { Pipe, type PipeCounters, type PipeOptions, type PipeSide } from '#net/pipe/pipe.ts';
import type { AccessFacts } from '../inbound/decide.ts';
import { EARLY_BYTES_MAX } from '../limits.ts';
import type { ConnectionRecord } from '../telemetry.ts';
import type { PodUsage } from '../usage/pod-usage.ts';

export interface SessionHooks {
  /** Tells the downstream that it is refused: a status, or a reset. */
  reject(error: MeshError): void;
  /** Before the first byte goes downstream: the 200 of a tunnel. */
  ready?(): void;
  /** Ended before `record` was set. */
  failedEarly(error: MeshError): void;
  /** Once, whatever the end. */
  onOver?(): void;
}

/** What of its pod's limits the connection uses. */
export type SessionUsage = Pick<PodUsage, 'pending' | 'bytes' | 'bytesMax'>;

const GONE: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

/** It is the options of what it is made of: one object for each connection, and no functions of its own. */
export class Session implements ConnectHandler<Connection>, EarlyOptions, PipeOptions, Rostered {
  /** Of `LiveTraffic`. */
  place = -1;
  /** Of an inbound one, once it is decided. */
  access: AccessFacts | undefined = undefined;
  /** That an outbound one asks for, once it is known. */
  service: ServiceKey | undefined = undefined;
  /** Set when the destination is decided. */
  record: ConnectionRecord | undefined = undefined;
  /** Goes to the upstream before anything else; not counted. */
  preamble: Uint8Array | undefined = undefined;
  readonly #downstream: Connection;
  readonly #hooks: SessionHooks;
  readonly #usage: SessionUsage;
  readonly #early: EarlyData;
  #pipe: Pipe | undefined = undefined;
  #pending = true;
  #over = false;

  /** It has entered `usage.pending`; leaving is up to the session. */
  constructor(downstream: Connection, usage: SessionUsage, hooks: SessionHooks) {
    this.#downstream = downstream;
    this.#hooks = hooks;
    this.#usage = usage;
    this.#early = new EarlyData(downstream, this);
    downstream.handler = this.#early;
  }

  /** The handler to return for the accepted connection. */
  get handler(): ConnectionHandler {
    return this.#early;
  }

  get over(): boolean {
    return this.#over;
  }

  get bytesMax(): number {
    return EARLY_BYTES_MAX;
  }

  get account(): SessionUsage {
    return this.#usage;
  }

  get counters(): PipeCounters {
    assert(this.record !== undefined, 'nothing is piped before it is decided');
    return this.record;
  }

  onGone(error: MeshError | undefined): void {
    this.#finish(error, undefined);
  }

  onFinished(error: MeshError | undefined, side: PipeSide | undefined): void {
    this.#finish(error, side);
  }

  onOpen(upstream: Connection): ConnectionHandler {
    if (this.#over || this.record === undefined) {
      upstream.reset();
      return GONE;
    }
    // A socket that is just open takes so little whole, or it is broken and says so itself.
    if (this.preamble !== undefined) upstream.write(this.preamble);
    const pipe = new Pipe(this.#downstream, upstream, this);
    this.#pipe = pipe;
    this.#settle();
    this.#hooks.ready?.();
    this.#early.replay(pipe.downstream);
    return pipe.upstream;
  }

  onFail(error: MeshError): void {
    this.refuse(error);
  }

  refuse(error: MeshError): void {
    if (this.#over) return;
    // Finished first: what the reset reports back must not replace the reason.
    this.#finish(error, undefined);
    this.#hooks.reject(error);
  }

  /** Ends it from our side: a policy change, the pod is gone. */
  abort(error: MeshError): void {
    if (this.#over) return;
    if (this.#pipe === undefined) this.refuse(error);
    else this.#pipe.abort(error);
  }

  #settle(): void {
    if (!this.#pending) return;
    this.#pending = false;
    this.#usage.pending.leave();
  }

  #finish(error: MeshError | undefined, firstEnd: PipeSide | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#settle();
    if (this.record !== undefined) this.record.finish(error, firstEnd);
    else if (error !== undefined) this.#hooks.failedEarly(error);
    this.#hooks.onOver?.();
  }
}
