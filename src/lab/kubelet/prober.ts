/** Performs one probe from the node, as the kubelet does: HTTP, TCP, or a command in the container. */
import type { Clock } from '#base/clock.ts';
import type { ContainerPort, Probe } from '#kube/client/kinds.ts';
import { probePort } from '#kube/probe/probe-state.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { Network, NetworkNamespace } from '#net/network.ts';
import { PROBE_BODY_BYTES_MAX } from '../limits.ts';
import { enterContainer } from './process.ts';

export interface ProbeTarget {
  namespace: NetworkNamespace;
  address: string;
  ports: readonly ContainerPort[];
  pid: number;
  environment: Readonly<Record<string, string>>;
  timeoutMs: number;
}

export interface ProbeAnswer {
  ok: boolean;
  /** For the event: what was wrong. */
  detail: string;
}

export interface ProberDeps {
  network: Network;
  clock: Clock;
}

export async function runProbe(
  deps: ProberDeps,
  probe: Probe,
  target: ProbeTarget,
): Promise<ProbeAnswer> {
  if (probe.exec !== undefined) return execProbe(deps, probe.exec.command, target);
  if (probe.httpGet === undefined && probe.tcpSocket === undefined)
    return { ok: false, detail: 'probe has no httpGet, tcpSocket or exec' };
  const { port: wanted, host } = (probe.httpGet ?? probe.tcpSocket) as {
    port: number | string;
    host?: string;
  };
  const port = probePort(wanted, target.ports);
  if (port === undefined) return { ok: false, detail: `no port named "${wanted}"` };
  const address = host === undefined || host === '' ? target.address : host;
  const request =
    probe.httpGet === undefined ? undefined : requestText(probe.httpGet, `${address}:${port}`);
  return connectProbe(deps, { ...target, address, port, request });
}

function requestText(get: NonNullable<Probe['httpGet']>, authority: string): string {
  const headers = new Map([
    ['Host', authority],
    ['User-Agent', 'kube-probe/1.34'],
    ['Accept', '*/*'],
    ['Connection', 'close'],
  ]);
  for (const { name, value } of get.httpHeaders ?? [])
    headers.set(name === 'host' ? 'Host' : name, value);
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${get.path ?? '/'} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

interface ConnectTarget extends Pick<ProbeTarget, 'namespace' | 'timeoutMs'> {
  address: string;
  port: number;
  request: string | undefined;
}

function connectProbe({ network, clock }: ProberDeps, target: ConnectTarget): Promise<ProbeAnswer> {
  const { namespace, address, port, timeoutMs, request } = target;
  const where = `${request === undefined ? 'tcp' : 'http'}://${address}:${port}`;
  return new Promise((resolve) => {
    let connection: Connection | undefined;
    let text = '';
    let finished = false;
    const finish = (ok: boolean, detail: string) => {
      if (finished) return;
      finished = true;
      timer.cancel();
      resolve({ ok, detail });
      connection?.reset();
    };
    const timer = clock.after(timeoutMs, () =>
      finish(false, `Get "${where}": timeout after ${timeoutMs} ms`),
    );
    const judge = () => {
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
      // kubelet pkg/probe/http: 200 to 399 is success.
      finish(
        status >= 200 && status < 400,
        status === 0 ? `${where}: no HTTP answer` : `HTTP probe failed with statuscode: ${status}`,
      );
    };
    const handler: ConnectionHandler = {
      onData(bytes) {
        text += Buffer.from(bytes).toString('latin1');
        if (text.includes('\r\n') || text.length > PROBE_BODY_BYTES_MAX) judge();
      },
      onDrain: () => undefined,
      onEnd: judge,
      onClose: judge,
    };
    network.connect(
      { namespace, address, port, connectTimeoutMs: timeoutMs },
      {
        onOpen(opened) {
          connection = opened;
          if (finished) opened.reset();
          else if (request === undefined) finish(true, '');
          // A request of a few hundred bytes fits a new socket's buffer.
          else opened.write(new TextEncoder().encode(request));
          return handler;
        },
        onFail: (error) => finish(false, `${where}: ${error.message}`),
      },
    );
  });
}

async function execProbe(
  { clock }: ProberDeps,
  command: readonly string[],
  target: ProbeTarget,
): Promise<ProbeAnswer> {
  const child = Bun.spawn(enterContainer(target.pid, command), {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: target.environment,
  });
  const timer = clock.after(target.timeoutMs, () => child.kill('SIGKILL'));
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  timer.cancel();
  return {
    ok: status === 0,
    detail: (stdout + stderr).trim().slice(0, 256) || `exit status ${status}`,
  };
}
