/**
 * The holder as a process (`main.ts host OPTIONS`): JSON lines on standard output tell its starter how far it is; while
 * standard input is open and did not say `detach`, the end of it ends the cluster. Afterwards a unix socket takes orders.
 */
import { rmSync } from 'node:fs';
import { ClusterHost } from './host.ts';
import { DETACH, type HostEvent } from './host-events.ts';
import type { HostOptions } from './options.ts';
import { failedLogs, hostLog, statePaths } from './state.ts';

export async function runHost(options: HostOptions): Promise<never> {
  const emit = (event: HostEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`);
  const host = new ClusterHost(options, (text) => emit({ event: 'step', text }));
  const end = async (code: number): Promise<never> => {
    await host.stop();
    if (code === 0) rmSync(hostLog(options.name), { force: true });
    process.exit(code);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => void end(0));
  void untilLeft().then((detached) => (detached ? undefined : end(0)));
  // The starter may be gone; that is heard from standard input.
  process.stdout.on('error', () => undefined);
  try {
    await host.start();
  } catch (error) {
    host.keepLogs();
    const message = error instanceof Error ? error.message : String(error);
    await host.stop().catch((again: unknown) => console.error(again));
    const logs = `logs: ${hostLog(options.name)} and ${failedLogs(options.name)}`;
    emit({ event: 'failed', message: `${message} (${logs})` });
    process.exit(1);
  }
  serveOrders(host, options.name, () => end(0));
  emit({ event: 'ready' });
  return new Promise(() => undefined);
}

/** True when the starter let go, false when it went away. */
async function untilLeft(): Promise<boolean> {
  for await (const chunk of process.stdin) if (String(chunk).includes(DETACH)) return true;
  return false;
}

/** `POST /parts?name=…&do=stop|start|kill`, `GET /parts`, `POST /images?archive=…`, `POST /down`. */
function serveOrders(host: ClusterHost, name: string, down: () => Promise<never>): void {
  const answer = async (work: () => unknown): Promise<Response> => {
    try {
      return Response.json((await work()) ?? null);
    } catch (error) {
      return new Response(error instanceof Error ? error.message : String(error), { status: 500 });
    }
  };
  // Starting a node takes longer than a request may be silent. Bun takes the option for unix sockets, its types do not.
  const patient: object = { idleTimeout: 0 };
  Bun.serve({
    ...patient,
    unix: statePaths(name).control,
    fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      const part = searchParams.get('name') ?? '';
      const orders: Record<string, () => unknown> = {
        'GET /parts': () => host.parts,
        'POST /parts/stop': () => host.stopPart(part),
        'POST /parts/start': () => host.startPart(part),
        'POST /parts/kill': () => host.killPart(part),
        'POST /images': () => host.loadImage(searchParams.get('archive') ?? ''),
        'POST /down': () => void down(),
      };
      const order = orders[`${request.method} ${pathname}`];
      return answer(order ?? (() => Promise.reject(new Error(`no order ${pathname}`))));
    },
  });
}
