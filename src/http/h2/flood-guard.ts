/** Counts frames that cost us work and bring nothing, and says when a peer has sent too many. */
import type { Clock } from '#base/clock.ts';
import { IDLE_FRAMES_PER_SECOND_MAX, PREMATURE_RESETS_MIN } from '../limits.ts';

export class FloodGuard {
  private readonly clock: Clock;
  private idleFrames = 0;
  private windowStart = 0;
  private streams = 0;
  private prematureResets = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** A stream opened, or body bytes came. */
  progress(): void {
    this.idleFrames = 0;
  }

  streamOpened(): void {
    this.idleFrames = 0;
    this.streams += 1;
  }

  /**
   * PING, SETTINGS, PRIORITY, GOAWAY, empty DATA, 1xx heads, RST_STREAM and HEADERS on streams that are over, unknown types.
   * True when it is a flood.
   */
  idleFrame(): boolean {
    this.idleFrames += 1;
    // The clock is read once in 64 frames: it costs as much as handling the frame.
    if ((this.idleFrames & 63) === 0) {
      const now = this.clock.now();
      if (now - this.windowStart > 1000) {
        this.windowStart = now;
        this.idleFrames = 0;
      }
    }
    return this.idleFrames > IDLE_FRAMES_PER_SECOND_MAX;
  }

  /** A stream was reset that had no answer yet, by the client or for its fault. True when it is a flood. */
  prematureReset(): boolean {
    this.prematureResets += 1;
    return this.prematureResets >= PREMATURE_RESETS_MIN && this.prematureResets * 2 > this.streams;
  }
}
