/**
 * Server-sent events: streams that readers keep open. How many there are is bounded, in all and for one client; who reads slower than
 * events come is cut off, so that nothing grows for it, and comes back with its last state unknown, which every stream begins with.
 */
import type { Clock, Timer } from '#base/clock.ts';
import {
  EVENT_AHEAD_BYTES,
  EVENT_BACKLOG_BYTES_MAX,
  EVENT_HEARTBEAT_MS,
  EVENT_LINGER_SECONDS,
  EVENT_STREAM_RETRY_SECONDS,
  EVENT_STREAMS_MAX,
  EVENT_STREAMS_PER_CLIENT_MAX,
} from './limits.ts';
import { Problem } from './problem.ts';
import type { Call } from './router.ts';

export interface EventStream {
  /** False: the stream is over, nothing more is to be sent. */
  send(event: string, value: object): boolean;
  /** The same of JSON text, in one line. */
  sendJson(event: string, json: Uint8Array): boolean;
  close(): void;
}

/** Called when the stream is open; what it returns is called once when the stream is over. */
export type Begin = (stream: EventStream) => () => void;

export class EventStreams {
  readonly #clock: Clock;
  readonly #open = new Map<OpenStream, string>();
  #heartbeat: Timer | undefined;
  /** Streams that were ended because nobody read them fast enough. */
  dropped = 0;

  constructor({ clock }: { clock: Clock }) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Throws CONSOLE_TOO_MANY with status 503. */
  open(call: Pick<Call, 'client' | 'request' | 'setIdleSeconds'>, begin: Begin): Response {
    const { client } = call;
    this.#admit(client);
    // Quiet for hours where nothing changes; heartbeats find out who is gone.
    call.setIdleSeconds(0);
    const stream = new OpenStream({
      onEnd: () => {
        this.#open.delete(stream);
        if (this.#open.size === 0) this.#stopHeartbeat();
      },
      onDrop: () => {
        this.dropped += 1;
        call.setIdleSeconds(EVENT_LINGER_SECONDS);
      },
    });
    this.#open.set(stream, client);
    this.#heartbeat ??= this.#clock.every(EVENT_HEARTBEAT_MS, () => {
      for (const each of this.#open.keys()) each.write(COMMENT);
    });
    call.request.signal.addEventListener('abort', () => stream.end(), { once: true });
    // The head goes out with the first bytes, and a reader waits for it.
    stream.write(COMMENT);
    try {
      stream.begin(begin);
    } catch (error) {
      stream.close();
      throw error;
    }
    return new Response(stream.body, {
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      },
    });
  }

  stop(): void {
    for (const stream of [...this.#open.keys()]) stream.close();
    this.#stopHeartbeat();
  }

  #admit(client: string): void {
    const own = [...this.#open.values()].filter((each) => each === client).length;
    const isFull = this.#open.size >= EVENT_STREAMS_MAX;
    if (!isFull && own < EVENT_STREAMS_PER_CLIENT_MAX) return;
    const message = isFull
      ? `${this.#open.size} live streams are open, which is the most that are served`
      : `${own} live streams of yours are open, which is the most for one client`;
    throw new Problem('CONSOLE_TOO_MANY', message, {
      status: 503,
      retryAfterSeconds: EVENT_STREAM_RETRY_SECONDS,
    });
  }

  #stopHeartbeat(): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = undefined;
  }
}

const COMMENT = ': \n\n';
const encoder = new TextEncoder();
const END_OF_EVENT = encoder.encode('\n\n');

class OpenStream implements EventStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly #on: { readonly onEnd: () => void; readonly onDrop: () => void };
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #finish: (() => void) | undefined;
  #isOver = false;

  constructor(on: { readonly onEnd: () => void; readonly onDrop: () => void }) {
    this.#on = on;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#flush(),
        cancel: () => this.end(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: EVENT_AHEAD_BYTES }),
    );
  }

  begin(begin: Begin): void {
    const finish = begin(this);
    if (this.#isOver) finish();
    else this.#finish = finish;
  }

  send(event: string, value: object): boolean {
    return this.write(`event: ${event}\ndata: ${JSON.stringify(value)}\n\n`);
  }

  sendJson(event: string, json: Uint8Array): boolean {
    return this.#push(
      Buffer.concat([encoder.encode(`event: ${event}\ndata: `), json, END_OF_EVENT]),
    );
  }

  write(text: string): boolean {
    return this.#push(encoder.encode(text));
  }

  #push(bytes: Uint8Array): boolean {
    if (this.#isOver) return false;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#flush();
    if (this.#waitingBytes <= EVENT_BACKLOG_BYTES_MAX) return true;
    this.#on.onDrop();
    this.close();
    return false;
  }

  /** What waits is thrown away: its reader is behind by more than that. */
  close(): void {
    if (this.#isOver) return;
    this.end();
    this.#controller?.close();
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#finish?.();
    this.#on.onEnd();
  }

  #flush(): void {
    if (this.#controller === undefined || this.#isOver) return;
    while (this.#waiting.length > 0 && (this.#controller.desiredSize ?? 0) > 0) {
      const bytes = this.#waiting.shift() as Uint8Array;
      this.#waitingBytes -= bytes.length;
      this.#controller.enqueue(bytes);
    }
  }
}
