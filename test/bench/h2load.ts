/** Runs h2load (Debian package nghttp2-client) for a bounded time and reads its figures and its log of requests. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '#base/errors.ts';
import { inNamespace } from './topology.ts';
import type { LoadOptions, LoadResult } from './wrk.ts';

export interface StreamsOptions extends LoadOptions {
  /** Requests under way on each connection. */
  streams: number;
  /** Sent with POST; undefined = GET. */
  body?: Uint8Array;
  /** Scratch directory. */
  directory: string;
}

export async function runStreams(options: StreamsOptions): Promise<LoadResult> {
  const { connections, seconds, streams, body, directory, namespace, url } = options;
  const log = join(directory, 'h2load.log');
  const bodyFile = join(directory, 'h2load.body');
  if (body !== undefined) writeFileSync(bodyFile, body);
  // It appends.
  writeFileSync(log, '');
  const fields = Object.entries(options.headers ?? {});
  const h2load = [
    'h2load',
    '-t1',
    `-c${connections}`,
    `-m${streams}`,
    `-D${seconds}s`,
    `--log-file=${log}`,
    ...(body === undefined ? [] : ['-d', bodyFile]),
    ...fields.flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    url,
  ];
  const command = namespace === undefined ? h2load : inNamespace(namespace, h2load);
  const child = Bun.spawn([...command], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const [text, complaint, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const result = parseH2Load(text, readFileSync(log, 'utf8'));
  if (code === 0 && result.requests > 0) return result;
  const message = `h2load ended with status ${code}: ${complaint || text}`;
  throw new MeshError('BENCH_LOAD_FAILED', message, {
    side: 'self',
    hint: 'apt-get install nghttp2-client',
  });
}

/** `log` has a line a request: start (us since 1970), status (-1 for none), duration in us. */
export function parseH2Load(output: string, log: string): LoadResult {
  // Each a part of the one before it: h2load(1).
  const [, failed = 0, errored = 0, timeout = 0] = (
    /(\d+) failed, (\d+) errored, (\d+) timeout/.exec(output) ?? []
  ).map(Number);
  const durations: number[] = [];
  let bad = 0;
  for (const line of log.split('\n')) {
    if (line === '') continue;
    const [, status, duration] = line.split('\t');
    durations.push(Number(duration) / 1000);
    if (!/^[23]/.test(status)) bad += 1;
  }
  durations.sort((a, b) => a - b);
  const at = (share: number) => durations[Math.floor(durations.length * share)] ?? Number.NaN;
  return {
    requests: durations.length,
    requestsPerSecond: Number(/finished in .*?, ([\d.]+) req\/s/.exec(output)?.[1] ?? Number.NaN),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    // The log may know of more.
    failures: { status: Math.max(bad, failed) - errored, error: errored - timeout, timeout },
  };
}
