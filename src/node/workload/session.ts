/**
 * One proxied connection from accept to the last byte: holds the downstream while the decision and the dial run, joins it
 * to the upstream, and makes sure that it ends exactly once, with one log line that says who and why.
 */
import type { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { ConnectHandler } from '#net/network.ts';
import { EarlyData } from '#net/pipe/early-data.ts';
import { Pipe, type PipeOutcome } from '#net/pipe/pipe.ts';
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

export class Session implements ConnectHandler<Connection> {
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
    this.#early = new EarlyData(downstream, {
      bytesMax: EARLY_BYTES_MAX,
      account: usage,
      onGone: (error) => this.#finish(error, undefined),
    });
    downstream.handler = this.#early;
  }

  /** The handler to return for the accepted connection. */
  get handler(): ConnectionHandler {
    return this.#early;
  }

  get over(): boolean {
    return this.#over;
  }

  onOpen(upstream: Connection): ConnectionHandler {
    if (this.#over || this.record === undefined) {
      upstream.reset();
      return GONE;
    }
    // A socket that is just open takes so little whole, or it is broken and says so itself.
    if (this.preamble !== undefined) upstream.write(this.preamble);
    const pipe = new Pipe(this.#downstream, upstream, {
      counters: this.record,
      account: this.#usage,
      onFinished: ({ error, side }) => this.#finish(error, side),
    });
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

  #finish(error: MeshError | undefined, firstEnd: PipeOutcome['side']): void {
    if (this.#over) return;
    this.#over = true;
    this.#settle();
    if (this.record !== undefined) this.record.finish(error, firstEnd);
    else if (error !== undefined) this.#hooks.failedEarly(error);
    this.#hooks.onOver?.();
  }
}
