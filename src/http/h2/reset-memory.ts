/**
 * The streams that we reset lately. What the peer sent on them before it read our RST_STREAM is no fault
 * (RFC 9113 §5.1, "closed"); frames on any other closed stream are. What it forgets, it forgives.
 */
import { RESETS_REMEMBERED_MAX } from '../limits.ts';

export class ResetMemory {
  private readonly ids = new Set<number>();
  /** Streams up to here may have been in the set. */
  private forgottenUpTo = 0;

  add(id: number): void {
    this.ids.add(id);
    if (this.ids.size <= RESETS_REMEMBERED_MAX) return;
    for (const oldest of this.ids) {
      this.ids.delete(oldest);
      this.forgottenUpTo = Math.max(this.forgottenUpTo, oldest);
      return;
    }
  }

  /** Frames on this closed stream may have crossed our reset. */
  covers(id: number): boolean {
    return id <= this.forgottenUpTo || this.ids.has(id);
  }
}
