/**
 * One `Connection` end without a peer: a test plays the peer by calling the handler, and reads what was written.
 * Room is limited on demand, so that short writes and draining can be scripted.
 */
import { MeshError } from '#base/errors.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { NET_ERRORS } from '#net/errors.ts';

const UNSET: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

export class ScriptedConnection implements Connection {
  handler: ConnectionHandler = UNSET;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 2;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 1;
  /** Bytes that `write` still takes. */
  room = Number.POSITIVE_INFINITY;
  ended = false;
  wasReset = false;
  paused = false;
  private closed = false;
  private written: Buffer[] = [];

  write(bytes: Uint8Array): number {
    if (this.closed || this.ended) return 0;
    const taken = Math.min(this.room, bytes.length);
    this.room -= taken;
    this.written.push(Buffer.from(bytes.subarray(0, taken)));
    return taken;
  }

  end(): void {
    this.ended = true;
  }

  reset(): void {
    if (this.closed) return;
    this.wasReset = true;
    queueMicrotask(() => this.close());
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** What was written since the last call. */
  take(): string {
    const text = Buffer.concat(this.written).toString('latin1');
    this.written = [];
    return text;
  }

  // ── the peer ──

  /** The peer's bytes come, wiped afterwards: who keeps them without copying is found out. */
  receive(text: string): void {
    if (this.closed) return;
    const bytes = Buffer.from(text, 'latin1');
    this.handler.onData(bytes);
    bytes.fill(0xee);
  }

  /** The peer reads again. */
  drain(): void {
    this.room = Number.POSITIVE_INFINITY;
    this.handler.onDrain();
  }

  /** Both sides ended. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.handler.onClose(undefined);
  }

  /** RST. */
  breakOff(): void {
    if (this.closed) return;
    this.closed = true;
    const hint = NET_ERRORS.NET_RESET;
    this.handler.onClose(new MeshError('NET_RESET', 'reset', { side: 'upstream', hint }));
  }
}

/** The turn of the event loop in which drivers write out what they have collected. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
