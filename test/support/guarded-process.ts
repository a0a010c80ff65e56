/** A child process that ends with the test, also when that is killed: a shell between the two waits for its standard input to close. */
import { createServer } from 'node:net';
import { sleep, systemClock } from '#base/clock.ts';

/** One step of waiting for a child to listen, and how many there are. */
const STEP_MS = 50;
const STEPS_MAX = 200;
const GUARD = `"$@" </dev/null >&2 & child=$!; echo $child; read -r _; kill $child 2>/dev/null; wait $child`;

export interface GuardedProcess extends AsyncDisposable {
  readonly pid: number;
}

export async function startGuarded(words: readonly string[]): Promise<GuardedProcess> {
  const child = Bun.spawn(['sh', '-c', GUARD, 'sh', ...words], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'ignore',
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const pid = Number(Buffer.from(value ?? []).toString());
  return {
    pid,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await child.exited;
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => void server.close(resolve));
  return port;
}

export async function untilListening(port: number): Promise<void> {
  for (let step = 0; step < STEPS_MAX; step++) {
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: { data: () => undefined },
    }).catch(() => undefined);
    if (socket !== undefined) {
      socket.end();
      return;
    }
    await sleep(systemClock, STEP_MS);
  }
  throw new Error(`nobody listens on port ${port}`);
}
