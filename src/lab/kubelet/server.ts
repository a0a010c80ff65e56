/**
 * What the API server asks of a kubelet: container logs, exec and ports, with the kubelet's own paths. Listens on a unix
 * socket in the lab's private /run, which only the lab's user can open.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Server } from 'bun';
import type { Clock } from '#base/clock.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { ExecSession } from './exec-session.ts';
import type { Kubelet } from './kubelet.ts';
import type { ContainerLog, LogLine, LogQuery } from './logs.ts';
import { PortSession } from './port-session.ts';

export function kubeletSocket(node: string): string {
  return `/run/tulle/${node}/kubelet.sock`;
}

export function startKubeletServer(kubelet: Kubelet, node: string, clock: Clock): void {
  const unix = kubeletSocket(node);
  mkdirSync(dirname(unix), { recursive: true, mode: 0o755 });
  rmSync(unix, { force: true });
  const network = new BunNetwork({ clock });
  Bun.serve<ExecSession | PortSession>({
    unix,
    fetch(request, server) {
      // A log that is followed may be quiet for hours.
      server.timeout(request, 0);
      const url = new URL(request.url);
      const [, action, namespace, pod, container] = url.pathname.split('/').map(decodeURIComponent);
      const worker = kubelet.find(namespace, pod);
      if (action === 'portForward') {
        const port = Number(url.searchParams.get('port'));
        const pid = worker?.container(undefined)?.pid;
        if (pid === undefined)
          return new Response(`pod ${namespace}/${pod} does not run on ${node}`, { status: 404 });
        if (!Number.isInteger(port) || port < 1 || port > 65535)
          return new Response('one port is forwarded at a time', { status: 400 });
        return upgrade(request, server, new PortSession(network, { pid, port }));
      }
      const runner = worker?.container(container);
      if (worker === undefined || runner === undefined)
        return new Response(
          `container ${container} of pod ${namespace}/${pod} not found on ${node}`,
          { status: 404 },
        );
      if (action === 'containerLogs') {
        const log = url.searchParams.get('previous') === 'true' ? runner.previousLog : runner.log;
        if (log === undefined)
          return new Response(
            `previous terminated container "${container}" in pod "${pod}" not found`,
            { status: 400 },
          );
        return logResponse(log, url.searchParams, clock);
      }
      if (action !== 'exec') return new Response('not found', { status: 404 });
      const { pid } = runner;
      const command = url.searchParams.getAll('command');
      if (pid === undefined)
        return new Response(`container ${container} is not running`, { status: 400 });
      if (command.length === 0) return new Response('you must specify a command', { status: 400 });
      const session = new ExecSession({
        pid,
        command,
        environment: worker.environmentOf(runner.view.name),
        stdin: flag(url.searchParams, 'stdin', 'input'),
        tty: flag(url.searchParams, 'tty', 'tty'),
      });
      return upgrade(request, server, session);
    },
    websocket: {
      idleTimeout: 0,
      open: (socket) => void socket.data.run(socket),
      message: (socket, frame) =>
        socket.data.receive(typeof frame === 'string' ? Buffer.from(frame) : frame),
      drain: (socket) => {
        if (socket.data instanceof PortSession) socket.data.drained();
      },
      close: (socket) => socket.data.abandon(),
    },
  });
  chmodSync(unix, 0o600);
}

function upgrade<Session>(request: Request, server: Server<Session>, session: Session) {
  return server.upgrade(request, { data: session } as never)
    ? undefined
    : new Response('this needs a WebSocket', { status: 400 });
}

function flag(query: URLSearchParams, ...names: string[]): boolean {
  return names.some((name) => query.get(name) === 'true' || query.get(name) === '1');
}

export function logQuery(query: URLSearchParams, nowMs: number): LogQuery {
  const number = (name: string) => (query.has(name) ? Number(query.get(name)) : undefined);
  const since = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  return {
    tailLines: number('tailLines'),
    limitBytes: number('limitBytes'),
    ...(since === undefined ? {} : { sinceTime: nowMs - since * 1000 }),
    ...(sinceTime === null ? {} : { sinceTime: Date.parse(sinceTime) }),
  };
}

function logResponse(log: ContainerLog, query: URLSearchParams, clock: Clock): Response {
  const timestamps = flag(query, 'timestamps');
  const text = (line: LogLine) =>
    `${timestamps ? `${new Date(line.time).toISOString()} ` : ''}${line.text}\n`;
  const wanted = logQuery(query, clock.wallTime());
  const lines = log.read(wanted).map(text).join('');
  const headers = { 'content-type': 'text/plain' };
  if (!flag(query, 'follow')) return new Response(lines.slice(0, wanted.limitBytes), { headers });
  const encoder = new TextEncoder();
  let stop: (() => void) | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (lines !== '') controller.enqueue(encoder.encode(lines));
      stop = log.follow((line) => {
        if (line === undefined) controller.close();
        else controller.enqueue(encoder.encode(text(line)));
      });
    },
    cancel: () => stop?.(),
  });
  return new Response(body, { headers });
}
