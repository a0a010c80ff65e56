/** Sends a body on an H2Stream for callers that do not keep what `write` left: holds the rest, ends behind it. */
import type { MessageHead } from '../dispatch/message-head.ts';
import type { H2Stream } from './stream.ts';

export class BodySender {
  /** END_STREAM was asked for; it leaves when nothing waits. */
  ending = false;
  private readonly stream: H2Stream;
  private waiting: Buffer[] = [];
  private trailers: MessageHead | undefined;

  constructor(stream: H2Stream) {
    this.stream = stream;
  }

  /** Takes all; false when a part has to wait: then `drained` will be true later. */
  send(bytes: Uint8Array): boolean {
    if (this.ending || this.stream.closed) return true;
    const taken = this.waiting.length > 0 ? 0 : this.stream.write(bytes);
    if (taken === bytes.length) return true;
    this.waiting.push(Buffer.from(bytes.subarray(taken)));
    return false;
  }

  end(trailers: MessageHead | undefined): void {
    if (this.ending || this.stream.closed) return;
    this.ending = true;
    this.trailers = trailers;
    if (this.waiting.length === 0) this.stream.end(trailers);
  }

  /** On the stream's onDrain. True when nothing waits any more. */
  drained(): boolean {
    let index = 0;
    while (index < this.waiting.length) {
      const bytes = this.waiting[index];
      const taken = this.stream.write(bytes);
      if (taken < bytes.length) {
        this.waiting[index] = bytes.subarray(taken);
        break;
      }
      index += 1;
    }
    this.waiting.splice(0, index);
    if (this.waiting.length > 0) return false;
    if (this.ending) this.stream.end(this.trailers);
    return true;
  }
}
