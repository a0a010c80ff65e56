/** Runs stream-peer.ts: the sink and source behind the subjects, one long stream, or many idle connections. */
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import type { BenchContext } from './subjects/subject.ts';
import { startProcess } from './subjects/subject.ts';
import { CLIENT, inNamespace, SERVER } from './topology.ts';

const PEER = join(import.meta.dir, 'stream-peer.ts');

export type Direction = 'upload' | 'download';

export interface StreamResult {
  bytes: number;
  seconds: number;
}

type Line = Partial<StreamResult> & { steady?: boolean; failed?: string };

/** In the server namespace, in place of the HTTP origin. */
export async function startStreamServer(context: BenchContext): Promise<void> {
  await startProcess(context, {
    name: 'stream-server',
    command: inNamespace(SERVER.name, [
      process.execPath,
      PEER,
      'serve',
      String(context.originPort),
    ]),
    namespace: SERVER.name,
    port: context.originPort,
  });
}

/** One stream from the client namespace for `seconds`; `onSteady` is called when the measured part begins. */
export async function runStream(
  context: BenchContext,
  options: { direction: Direction; seconds: number },
  onSteady: () => void,
): Promise<StreamResult> {
  const child = spawnClient(context, options.direction, options.seconds);
  for await (const line of linesOf(child)) {
    if (line.steady === true) onSteady();
    if (line.bytes !== undefined && line.seconds !== undefined) {
      return { bytes: line.bytes, seconds: line.seconds };
    }
  }
  throw failed(`no figure for the ${options.direction}`);
}

/** `count` connections from the client namespace, each open from end to end, until the returned function is called. */
export function holdConnections(
  context: BenchContext,
  count: number,
): Promise<() => Promise<void>> {
  return heldBy(context, spawnClient(context, 'hold', count), count);
}

/** `count` keep-alive connections to 127.0.0.1:`port`, each with one answered request. */
export function holdHttp(
  context: BenchContext,
  { port, count }: { port: number; count: number },
): Promise<() => Promise<void>> {
  const command = [
    process.execPath,
    PEER,
    'hold',
    '127.0.0.1',
    String(port),
    String(count),
    'http',
  ];
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  return heldBy(context, child, count);
}

async function heldBy(
  context: BenchContext,
  child: Client,
  count: number,
): Promise<() => Promise<void>> {
  context.children.push(child);
  for await (const line of linesOf(child)) {
    if (line.steady !== true) continue;
    return async () => {
      child.kill('SIGKILL');
      await child.exited;
    };
  }
  throw failed(`${count} connections did not open`);
}

type Client = Bun.Subprocess<'ignore', 'pipe', 'inherit'>;

function spawnClient(context: BenchContext, verb: string, amount: number): Client {
  const port = String(context.originPort);
  const command = [process.execPath, PEER, verb, SERVER.address, port, String(amount)];
  return Bun.spawn(inNamespace(CLIENT.name, command), {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
}

async function* linesOf(child: Client): AsyncGenerator<Line> {
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const text of lines) {
      const line = JSON.parse(text) as Line;
      if (line.failed !== undefined) throw failed(line.failed);
      yield line;
    }
  }
}

function failed(message: string): MeshError {
  return new MeshError('BENCH_LOAD_FAILED', message, {
    side: 'self',
    hint: 'is the limit of open files high enough (ulimit -n)?',
  });
}
