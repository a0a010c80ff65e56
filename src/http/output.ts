/**
 * What a driver has written and the socket has not taken: one growing buffer with two cursors. When nothing waits, which is nearly
 * always, a buffer of the first size is lent to whoever writes next.
 *
 *   0 ≤ start ≤ end ≤ bytes.length        [start, end) waits for the socket
 *
 * All that is written in one event-loop turn leaves in one `connection.write`. Outputs that became dirty while
 * others are flushed (HTTP over a tunnel) are flushed in the same pass.
 */
import type { Connection } from '#net/connection.ts';
import {
  DIRECT_WRITE_BYTES,
  OUTPUT_CALM_BYTES,
  OUTPUT_CALM_WRITES,
  OUTPUT_KEEP_BYTES,
  OUTPUT_SPARE_MAX,
} from './limits.ts';

const dirty: Output[] = [];
let passScheduled = false;

function flushPass(): void {
  for (let index = 0; index < dirty.length; index++) dirty[index].flush();
  dirty.length = 0;
  passScheduled = false;
}

const NO_BYTES = Buffer.alloc(0);
/** Buffers that nobody uses now, by their size: there are as many sizes as kinds of drivers. */
const spare = new Map<number, Buffer[]>();

function spareOf(size: number): Buffer[] {
  let buffers = spare.get(size);
  if (buffers === undefined) {
    buffers = [];
    spare.set(size, buffers);
  }
  return buffers;
}

export class Output {
  /** Valid from `reserve` until the next `commit` or `flush`. */
  bytes: Buffer = NO_BYTES;
  end = 0;
  /** The socket took a part; `drained` goes on. */
  blocked = false;
  /** Bytes the socket took in all. */
  taken = 0;
  private start = 0;
  private scheduled = false;
  private finishing = false;
  /** Small writes in a row since the buffer grew large. */
  private calm = 0;
  private readonly firstBytes: number;
  private readonly spare: Buffer[];
  private readonly connection: Connection;

  constructor(connection: Connection, firstBytes: number) {
    this.connection = connection;
    this.firstBytes = firstBytes;
    this.spare = spareOf(firstBytes);
  }

  /** Bytes that wait. */
  get pending(): number {
    return this.end - this.start;
  }

  /** Makes room for `count` more bytes behind `end` and returns `end`: write there, then `commit`. */
  reserve(count: number): number {
    if (this.end + count > this.bytes.length) this.grow(count);
    return this.end;
  }

  /** `end` is the offset behind the bytes written. */
  commit(end: number): void {
    this.end = end;
    if (!this.scheduled) this.schedule();
  }

  append(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
    this.commit(at + bytes.length);
  }

  /** Hands over what waits. Also ends the turn's scheduling early when a driver knows nothing follows. */
  flush(): void {
    this.scheduled = false;
    if (this.blocked) return;
    if (this.end > this.start) {
      const taken = this.connection.write(this.bytes.subarray(this.start, this.end));
      this.start += taken;
      this.taken += taken;
      if (this.start < this.end) {
        this.blocked = true;
        return;
      }
      if (this.bytes.length === this.firstBytes) this.lend();
      else if (this.bytes.length > OUTPUT_KEEP_BYTES) this.shrinkWhenCalm();
      this.start = 0;
      this.end = 0;
    }
    if (this.finishing) {
      this.finishing = false;
      this.connection.end();
    }
  }

  /** Body bytes: large ones go straight to the socket when nothing waits; the rest is kept here. */
  writeThrough(bytes: Uint8Array): void {
    if (bytes.length < DIRECT_WRITE_BYTES || this.blocked || this.end > this.start) {
      this.append(bytes);
      return;
    }
    const taken = this.connection.write(bytes);
    this.taken += taken;
    if (taken === bytes.length) return;
    this.blocked = true;
    this.append(bytes.subarray(taken));
  }

  /** Whether more body may come: writes out at the high mark; false when the socket did not take it, then it drains. */
  roomBelow(highBytes: number): boolean {
    if (this.end - this.start < highBytes) return true;
    this.flush();
    return !this.blocked;
  }

  /** The socket has room again. True when nothing waits any more. */
  drained(): boolean {
    this.blocked = false;
    this.flush();
    return !this.blocked;
  }

  /** FIN behind everything written so far. */
  finish(): void {
    this.finishing = true;
    this.flush();
  }

  private schedule(): void {
    this.scheduled = true;
    dirty.push(this);
    if (passScheduled) return;
    passScheduled = true;
    setImmediate(flushPass);
  }

  private shrinkWhenCalm(): void {
    if (this.end > OUTPUT_CALM_BYTES) this.calm = 0;
    else if (++this.calm >= OUTPUT_CALM_WRITES) {
      this.calm = 0;
      this.bytes = NO_BYTES;
    }
  }

  private lend(): void {
    if (this.spare.length < OUTPUT_SPARE_MAX) this.spare.push(this.bytes);
    this.bytes = NO_BYTES;
  }

  private grow(count: number): void {
    if (this.bytes === NO_BYTES && count <= this.firstBytes) {
      this.bytes = this.spare.pop() ?? Buffer.allocUnsafe(this.firstBytes);
      return;
    }
    const pending = this.end - this.start;
    let size = Math.max(this.bytes.length, this.firstBytes);
    while (size < pending + count) size *= 2;
    const target = size === this.bytes.length ? this.bytes : Buffer.allocUnsafeSlow(size);
    this.bytes.copy(target, 0, this.start, this.end);
    this.bytes = target;
    this.start = 0;
    this.end = pending;
  }
}
