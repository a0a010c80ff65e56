/** A stream handler that remembers what it heard and sends a payload as the windows allow. */
import type { MeshError } from '#base/errors.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { H2Stream, H2StreamHandler } from '#http/h2/connection.ts';

/** Records what a stream hears; writes a payload as windows allow. */
export class Recorder implements H2StreamHandler {
  status = 0;
  received: Buffer[] = [];
  ended = false;
  trailers: MessageHead | undefined;
  resets: { code: number; initiator: string; error: MeshError }[] = [];
  stream: H2Stream | undefined;
  private left: Buffer = Buffer.alloc(0);
  private endAfter = false;

  send(bytes: Buffer, end: boolean): void {
    this.left = bytes;
    this.endAfter = end;
    this.onDrain();
  }

  onHead(head: MessageHead, end: boolean): void {
    this.status = head.status;
    if (end) this.ended = true;
  }

  onData(bytes: Uint8Array): void {
    this.received.push(Buffer.from(bytes));
  }

  onDrain(): void {
    this.left = this.left.subarray(this.stream?.write(this.left) ?? 0);
    if (this.left.length === 0 && this.endAfter) this.stream?.end();
  }

  onEnd(trailers: MessageHead | undefined): void {
    this.ended = true;
    this.trailers = trailers;
  }

  onReset(error: MeshError, errorCode: number, initiator: string): void {
    this.resets.push({ code: errorCode, initiator, error });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
}

export interface Served {
  stream: H2Stream;
  head: MessageHead;
  end: boolean;
  recorder: Recorder;
}
