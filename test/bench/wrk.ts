/** Runs wrk (Debian package wrk) for a bounded time and reads its figures. */
import { MeshError } from '#base/errors.ts';
import type { Failures } from './failures.ts';

export interface LoadOptions {
  url: string;
  connections: number;
  seconds: number;
  /** Network namespace to run in, by name. */
  namespace?: string;
  headers?: Record<string, string>;
}

export interface LoadResult {
  requests: number;
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  failures: Failures;
}

const UNIT_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

function milliseconds(text: string): number {
  const match = text.match(/^([\d.]+)(us|ms|s|m)$/);
  return match ? Number(match[1]) * UNIT_MS[match[2]] : Number.NaN;
}

export function parseWrk(output: string): LoadResult {
  const percentile = (rank: number) => {
    const match = output.match(new RegExp(`^\\s+${rank}%\\s+(\\S+)$`, 'm'));
    return match ? milliseconds(match[1]) : Number.NaN;
  };
  const requests = Number(output.match(/^\s+(\d+) requests in/m)?.[1] ?? Number.NaN);
  // Left out where all are 0. `connect`: connect(2) itself failed, a refusal is read; `timeout`: answered after more than 2 s.
  const [, connect = 0, read = 0, write = 0, timeout = 0] = (
    output.match(/Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/) ?? []
  ).map(Number);
  const status = Number(output.match(/Non-2xx or 3xx responses: (\d+)/)?.[1] ?? 0);
  return {
    requests,
    requestsPerSecond: Number(output.match(/Requests\/sec:\s+([\d.]+)/)?.[1] ?? Number.NaN),
    p50Ms: percentile(50),
    p99Ms: percentile(99),
    failures: { connect, read, write, timeout, status },
  };
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const headers = Object.entries(options.headers ?? {}).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ]);
  const wrk = [
    'wrk',
    '-t1',
    `-c${options.connections}`,
    `-d${options.seconds}s`,
    '--latency',
    ...headers,
    options.url,
  ];
  const command = options.namespace
    ? ['nsenter', `--net=/run/netns/${options.namespace}`, ...wrk]
    : wrk;
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe' });
  const [text, complaint, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const result = parseWrk(text);
  if (code !== 0 || !Number.isFinite(result.requests)) {
    throw new MeshError(
      'BENCH_LOAD_FAILED',
      `wrk ended with status ${code}: ${complaint || text}`,
      {
        side: 'self',
        hint: 'apt-get install wrk',
      },
    );
  }
  return result;
}
