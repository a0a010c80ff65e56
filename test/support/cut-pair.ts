/**
 * Two `Connection` ends in memory that a test steps by hand: pieces cut at will, a bounded buffer each way, and
 * delivered bytes wiped afterwards, so that who keeps them without copying is found out.
 */
import type { Connection, ConnectionHandler } from '#net/connection.ts';

export interface CutPairOptions {
  /** Bytes one direction holds before `write` takes no more. */
  capacityBytes?: number;
  /** Size of the next piece to deliver, at least 1; default: all there is. */
  cut?: (available: number) => number;
}

const UNSET: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

export class CutConnection implements Connection {
  handler: ConnectionHandler = UNSET;
  peer: CutConnection = this;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 2;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 1;
  closed = false;
  /** Calls of `write` that took something. */
  writes = 0;
  /** Bytes on the way to the peer. */
  private wire: Buffer = Buffer.alloc(0);
  private short = false;
  private ended = false;
  private endDelivered = false;
  private paused = false;
  private readonly options: CutPairOptions;

  constructor(options: CutPairOptions) {
    this.options = options;
  }

  write(bytes: Uint8Array): number {
    if (this.closed || this.ended) return 0;
    const room = (this.options.capacityBytes ?? Number.POSITIVE_INFINITY) - this.wire.length;
    const taken = Math.max(0, Math.min(room, bytes.length));
    if (taken > 0) {
      this.writes += 1;
      this.wire = Buffer.concat([this.wire, bytes.subarray(0, taken)]);
    }
    if (taken < bytes.length) this.short = true;
    return taken;
  }

  end(): void {
    this.ended = true;
  }

  reset(): void {
    if (this.closed) return;
    this.close();
    this.peer.close();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** Moves one piece, or FIN, to the peer. True when something happened. */
  step(): boolean {
    const { peer } = this;
    if (this.closed || peer.paused) return false;
    if (this.wire.length > 0) {
      const wish = this.options.cut?.(this.wire.length) ?? this.wire.length;
      const count = Math.max(1, Math.min(wish, this.wire.length));
      const piece = Buffer.from(this.wire.subarray(0, count));
      this.wire = this.wire.subarray(count);
      peer.handler.onData(piece);
      piece.fill(0xee);
      if (this.short && !this.closed) {
        this.short = false;
        this.handler.onDrain();
      }
      return true;
    }
    if (!this.ended || this.endDelivered) return false;
    this.endDelivered = true;
    peer.handler.onEnd();
    if (peer.endDelivered) {
      this.close();
      peer.close();
    }
    return true;
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.handler.onClose(undefined);
  }
}

export type CutPair = [CutConnection, CutConnection];

export function cutPair(options: CutPairOptions = {}): CutPair {
  const left = new CutConnection(options);
  const right = new CutConnection(options);
  left.peer = right;
  right.peer = left;
  return [left, right];
}

/** Runs until nothing moves any more, turn by turn of the event loop. `limit` bounds a livelock. */
export async function settle(pair: CutPair, limit = 200_000): Promise<void> {
  let idle = 0;
  for (let steps = 0; steps < limit && idle < 3; steps++) {
    if (pair[0].step() || pair[1].step()) idle = 0;
    else {
      idle += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  if (idle < 3) throw new Error('cut pair: still moving, a livelock');
}
