/** One look at the health of the machine's app, as a WorkloadGroup's probe says: HTTP, TCP, gRPC or a command. */
import type { Clock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { ProbeSpec } from '#config/compile/service-entry-kinds.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import { ClientCall } from '#http/grpc/client-call.ts';
import { H2ClientConnection } from '#http/h2/client.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { Network } from '#net/network.ts';
import { field, int32, message, string } from '#wire/protobuf/message.ts';
import { PROBE_DETAIL_CHARS_MAX } from './limits.ts';

export interface ProbeAnswer {
  readonly ok: boolean;
  /** What was wrong. */
  readonly detail: string;
}

export interface ProbeDeps {
  readonly clock: Clock;
  readonly network: Network;
}

/** As istio-agent: the app is on this machine unless the probe says otherwise. */
const DEFAULT_HOST = '127.0.0.1';
const HEALTHY: ProbeAnswer = { ok: true, detail: '' };

/** grpc.health.v1 (github.com/grpc/grpc/blob/master/doc/health-checking.md). */
const HealthCheckRequest = message('grpc.health.v1.HealthCheckRequest', {
  service: field(1, string),
});
const HealthCheckResponse = message('grpc.health.v1.HealthCheckResponse', {
  status: field(1, int32),
});
const GRPC_CHECK = '/grpc.health.v1.Health/Check';
const GRPC_SERVING = 1;

/** Never rejects: what goes wrong is the answer. */
export async function runProbe(
  deps: ProbeDeps,
  probe: ProbeSpec,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const { httpGet, tcpSocket, exec, grpc } = probe;
  try {
    if (httpGet !== undefined) return await httpProbe(httpGet, timeoutMs);
    if (exec !== undefined) return await execProbe(deps, exec.command ?? [], timeoutMs);
    if (tcpSocket !== undefined) {
      const { host = DEFAULT_HOST, port = 0 } = tcpSocket;
      await connected(deps, { address: host, port, timeoutMs }, (connection, done) => {
        done(HEALTHY);
        connection.reset();
        return IGNORE;
      });
      return HEALTHY;
    }
    if (grpc !== undefined) return await grpcProbe(deps, grpc, timeoutMs);
  } catch (error) {
    return bad(messageOf(error));
  }
  return bad('the probe has neither httpGet, tcpSocket, exec nor grpc');
}

async function httpProbe(
  get: NonNullable<ProbeSpec['httpGet']>,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const { scheme = 'HTTP', host = DEFAULT_HOST, port = 80, path = '/' } = get;
  const url = `${scheme.toLowerCase()}://${formatHostPort(host, port)}${path.startsWith('/') ? '' : '/'}${path}`;
  const headers = (get.httpHeaders ?? []).map(({ name = '', value = '' }) => [name, value]);
  const response = await fetch(url, {
    headers: Object.fromEntries(headers) as Record<string, string>,
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
    // As the kubelet: who probes knows the address, not the name of the certificate.
    tls: { rejectUnauthorized: false },
  });
  void response.body?.cancel();
  // kubelet pkg/probe/http: 200 to 399 is success.
  if (response.status >= 200 && response.status < 400) return HEALTHY;
  return bad(`GET ${url}: status ${response.status}`);
}

async function execProbe(
  { clock }: ProbeDeps,
  command: readonly string[],
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const child = Bun.spawn([...command], { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const timer = clock.after(timeoutMs, () => child.kill('SIGKILL'));
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  timer.cancel();
  if (status === 0) return HEALTHY;
  return bad(`${command[0]}: ${(stderr + stdout).trim() || `exit status ${status}`}`);
}

async function grpcProbe(
  deps: ProbeDeps,
  { port = 0, service = '' }: NonNullable<ProbeSpec['grpc']>,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  return connected(deps, { address: DEFAULT_HOST, port, timeoutMs }, (connection, done) => {
    const head = MessageHead.request(
      'POST',
      formatHostPort(DEFAULT_HOST, port),
      GRPC_CHECK,
      'http',
    );
    head.add('te', 'trailers');
    head.add('content-type', 'application/grpc');
    let answer = bad('no answer');
    const call = new ClientCall(head, {
      onMessage(bytes) {
        const response = HealthCheckResponse.decode(bytes);
        const status = typeof response === 'string' ? response : response.status;
        answer = status === GRPC_SERVING ? HEALTHY : bad(`gRPC health status ${status}`);
      },
      onClose(error) {
        done(error === undefined ? answer : bad(error.message));
        client.drain();
      },
    });
    const client = new H2ClientConnection(connection, deps, {});
    call.send(HealthCheckRequest.encode({ service }));
    call.end();
    call.start(client);
    return client;
  });
}

const nothing = () => undefined;
const IGNORE: ConnectionHandler = {
  onData: nothing,
  onDrain: nothing,
  onEnd: nothing,
  onClose: nothing,
};

function connected(
  { network, clock }: ProbeDeps,
  { timeoutMs, ...place }: { address: string; port: number; timeoutMs: number },
  use: (connection: Connection, done: (answer: ProbeAnswer) => void) => ConnectionHandler,
): Promise<ProbeAnswer> {
  return new Promise((resolve, reject) => {
    let opened: Connection | undefined;
    const timer = clock.after(timeoutMs, () => {
      resolve(
        bad(`no answer from ${formatHostPort(place.address, place.port)} in ${timeoutMs} ms`),
      );
      opened?.reset();
    });
    const done = (answer: ProbeAnswer) => {
      timer.cancel();
      resolve(answer);
    };
    network.connect(
      { ...place, connectTimeoutMs: timeoutMs },
      {
        onOpen(connection) {
          opened = connection;
          return use(connection, done);
        },
        onFail(error) {
          timer.cancel();
          reject(error);
        },
      },
    );
  });
}

function bad(detail: string): ProbeAnswer {
  return { ok: false, detail: detail.slice(0, PROBE_DETAIL_CHARS_MAX) };
}
