/**
 * One exec session over a WebSocket in Kubernetes' channel framing (v5.channel.k8s.io): the first byte of a frame
 * says which stream it belongs to; at the end the error channel carries a Status with the exit code.
 */
import type { ServerWebSocket } from 'bun';
import { sleep, systemClock } from '#base/clock.ts';
import { enterContainer, signalGroup } from './process.ts';

const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
/** Output that the client has not taken yet; above it the command's output waits. */
const BUFFERED_BYTES_MAX = 1024 * 1024;
const BACKPRESSURE_POLL_MS = 10;

export interface ExecPlan {
  pid: number;
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  stdin: boolean;
  tty: boolean;
}

export class ExecSession {
  readonly #plan: ExecPlan;
  #stdin: { write(bytes: Uint8Array): unknown; end(): unknown } | undefined;
  #resize: ((columns: number, rows: number) => void) | undefined;
  #pid: number | undefined;
  #over = false;

  constructor(plan: ExecPlan) {
    this.#plan = plan;
  }

  async run(socket: ServerWebSocket<unknown>): Promise<void> {
    const words = enterContainer(this.#plan.pid, this.#plan.command);
    const status = this.#plan.tty
      ? await this.#runInTerminal(words, socket)
      : await this.#runPiped(words, socket);
    this.#over = true;
    send(socket, CHANNEL.error, new TextEncoder().encode(JSON.stringify(exitStatus(status))));
    socket.close(1000, '');
  }

  async #runPiped(words: string[], socket: ServerWebSocket<unknown>): Promise<number> {
    const { stdin, environment } = this.#plan;
    const child = Bun.spawn(words, {
      stdin: stdin ? 'pipe' : 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env: environment,
      detached: true,
    });
    this.#pid = child.pid;
    if (child.stdin !== undefined && typeof child.stdin !== 'number') {
      const pipe = child.stdin;
      this.#stdin = {
        write: (bytes) => {
          pipe.write(bytes);
          pipe.flush();
        },
        end: () => pipe.end(),
      };
    }
    const [status] = await Promise.all([
      child.exited,
      pump(child.stdout, CHANNEL.stdout, socket),
      pump(child.stderr, CHANNEL.stderr, socket),
    ]);
    return status;
  }

  async #runInTerminal(words: string[], socket: ServerWebSocket<unknown>): Promise<number> {
    const child = Bun.spawn(words, {
      env: { TERM: 'xterm', ...this.#plan.environment },
      terminal: { cols: 80, rows: 24, data: (_, bytes) => send(socket, CHANNEL.stdout, bytes) },
    });
    this.#pid = child.pid;
    const { terminal } = child;
    if (terminal !== undefined) {
      this.#stdin = {
        write: (bytes) => terminal.write(bytes),
        end: () => terminal.write('\u0004'),
      };
      this.#resize = (columns, rows) => terminal.resize(columns, rows);
    }
    return child.exited;
  }

  receive(frame: Uint8Array): void {
    const payload = frame.subarray(1);
    if (frame[0] === CHANNEL.stdin) this.#stdin?.write(payload.slice());
    else if (frame[0] === CHANNEL.close && payload[0] === CHANNEL.stdin) this.#stdin?.end();
    else if (frame[0] === CHANNEL.resize) this.#onResize(payload);
  }

  /** The client went away: the command gets a hang-up, as from a closed terminal. */
  abandon(): void {
    if (this.#over || this.#pid === undefined) return;
    signalGroup(this.#pid, 'SIGHUP');
    this.#stdin?.end();
  }

  #onResize(payload: Uint8Array): void {
    let size: { Width?: number; Height?: number };
    try {
      size = JSON.parse(new TextDecoder().decode(payload)) as typeof size;
    } catch {
      // A size that cannot be read leaves the terminal as it is.
      return;
    }
    if (Number.isInteger(size.Width) && Number.isInteger(size.Height))
      this.#resize?.(size.Width!, size.Height!);
  }
}

async function pump(
  stream: ReadableStream<Uint8Array>,
  channel: number,
  socket: ServerWebSocket<unknown>,
): Promise<void> {
  for await (const chunk of stream) {
    send(socket, channel, chunk);
    while (socket.readyState === WebSocket.OPEN && socket.getBufferedAmount() > BUFFERED_BYTES_MAX)
      await sleep(systemClock, BACKPRESSURE_POLL_MS);
  }
}

function send(socket: ServerWebSocket<unknown>, channel: number, bytes: Uint8Array): void {
  if (socket.readyState !== WebSocket.OPEN) return;
  const frame = new Uint8Array(bytes.length + 1);
  frame[0] = channel;
  frame.set(bytes, 1);
  socket.send(frame);
}

/** The Status that kubectl turns into its own exit code. */
export function exitStatus(code: number): object {
  if (code === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}
