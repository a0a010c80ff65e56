/** The encoded frames of the last seconds, for a control plane that was away. Bounded in seconds and in bytes: the oldest go first. */
import { RING_BYTES_MAX, RING_SECONDS } from './limits.ts';

export interface RingFrame {
  readonly second: number;
  readonly bytes: Uint8Array;
}

export class FrameRing {
  #frames: RingFrame[] = [];
  #bytes = 0;
  readonly #limits: { seconds: number; bytes: number };

  constructor(limits = { seconds: RING_SECONDS, bytes: RING_BYTES_MAX }) {
    this.#limits = limits;
  }

  /** Of a second after all others. */
  push(frame: RingFrame): void {
    this.#frames.push(frame);
    this.#bytes += frame.bytes.length;
    const oldest = frame.second - this.#limits.seconds;
    let dropped = 0;
    while (
      dropped < this.#frames.length - 1 &&
      (this.#frames[dropped].second <= oldest || this.#bytes > this.#limits.bytes)
    )
      this.#bytes -= this.#frames[dropped++].bytes.length;
    if (dropped > 0) this.#frames = this.#frames.slice(dropped);
  }

  /** The first frame later than `second`. */
  after(second: number): RingFrame | undefined {
    return this.#frames.find((frame) => frame.second > second);
  }

  get newest(): number {
    return this.#frames.at(-1)?.second ?? -1;
  }

  get bytes(): number {
    return this.#bytes;
  }
}
