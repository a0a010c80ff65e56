/** An upstream that answers every request with the same bytes, right or wrong, and counts what it got. */
import { createServer, type Socket } from 'node:net';

export interface FaultyUpstream extends AsyncDisposable {
  readonly port: number;
  /** Connections that sent a request. */
  readonly connections: number;
  readonly requests: number;
}

/** `act` is called for each whole request head. */
export async function faultyUpstream(act: (socket: Socket) => void): Promise<FaultyUpstream> {
  let connections = 0;
  let requests = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    let counted = false;
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        text = text.slice(end + 4);
        if (!counted) connections += 1;
        counted = true;
        requests += 1;
        act(socket);
      }
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    get connections() {
      return connections;
    },
    get requests() {
      return requests;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

export interface FaultRow {
  readonly title: string;
  readonly act: (socket: Socket) => void;
  /** What the client gets: a status, and whether its response was whole. */
  readonly client: string;
  /** Flags and details of the log line, as Envoy's. */
  readonly log: string;
  /** Connections that two requests take: 1 when the first one may be used again. */
  readonly connections: 1 | 2;
}

const OK = 'HTTP/1.1 200 OK\r\n';
const says = (text: string) => (socket: Socket) => void socket.write(text, 'latin1');
const saysAndEnds = (text: string) => (socket: Socket) => void socket.end(text, 'latin1');
/** The proxy sees the bytes, then the reset. */
const saysAndResets = (text: string) => (socket: Socket) =>
  void socket.write(text, 'latin1', () => setTimeout(() => socket.resetAndDestroy(), 20));

const RESET = 'UC upstream_reset_before_response_started{connection_termination}';
const PROTOCOL = 'UPE upstream_reset_before_response_started{protocol_error}';
const LATE_PROTOCOL = 'UPE upstream_reset_after_response_started{protocol_error}';
const FINE = '- via_upstream';

function row(
  title: string,
  act: (socket: Socket) => void,
  client: string,
  log: string,
  connections: 1 | 2 = 2,
): FaultRow {
  return { title, act, client, log, connections };
}

export const FAULT_ROWS: readonly FaultRow[] = [
  row('an answer', says(`${OK}Content-Length: 2\r\n\r\nok`), '200 whole', FINE, 1),
  row(
    'an answer in chunks',
    says(`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
    '200 whole',
    FINE,
    1,
  ),
  row('an answer that ends with the connection', saysAndEnds(`${OK}\r\nok`), '200 whole', FINE),
  row(
    'an answer with Connection: close',
    says(`${OK}Connection: close\r\nContent-Length: 2\r\n\r\nok`),
    '200 whole',
    FINE,
  ),
  row(
    'an answer of HTTP/1.0',
    says('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok'),
    '200 whole',
    FINE,
  ),
  row('204', says('HTTP/1.1 204 No Content\r\n\r\n'), '204 whole', FINE, 1),
  row(
    '204 with Content-Length',
    says('HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n'),
    '204 whole',
    FINE,
    1,
  ),
  row(
    '304 with Content-Length',
    says('HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n'),
    '304 whole',
    FINE,
    1,
  ),
  row(
    '100, then an answer',
    says(`HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`),
    '200 whole',
    FINE,
    1,
  ),
  row('close without an answer', saysAndEnds(''), '503 whole', RESET),
  row('a reset without an answer', saysAndResets(''), '503 whole', RESET),
  row('close within the head', saysAndEnds(`${OK}Content-`), '502 whole', PROTOCOL),
  row(
    'close within the body',
    saysAndEnds(`${OK}Content-Length: 9\r\n\r\nok`),
    '200 broken',
    LATE_PROTOCOL,
  ),
  row(
    'a reset within the body',
    saysAndResets(`${OK}Content-Length: 9\r\n\r\nok`),
    '200 broken',
    LATE_PROTOCOL,
  ),
  row(
    'close within a chunk',
    saysAndEnds(`${OK}Transfer-Encoding: chunked\r\n\r\n9\r\nok`),
    '200 broken',
    LATE_PROTOCOL,
  ),
  row(
    'close before the last chunk',
    saysAndEnds(`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`),
    '200 broken',
    LATE_PROTOCOL,
  ),
  row(
    'a reset where the end would be an end',
    saysAndResets(`${OK}\r\nok`),
    '200 broken',
    LATE_PROTOCOL,
  ),
  row('another protocol', says('SSH-2.0-OpenSSH_9.9\r\n'), '502 whole', PROTOCOL),
  row('HTTP/2 frames', says('\0\0\0\x04\0\0\0\0\0'), '502 whole', PROTOCOL),
  row('a status of two digits', says('HTTP/1.1 20 OK\r\n\r\n'), '502 whole', PROTOCOL),
  row('a field without a colon', says(`${OK}a\r\n\r\n`), '502 whole', PROTOCOL),
  row('NUL in a field', says(`${OK}a: b\0c\r\n\r\n`), '502 whole', PROTOCOL),
  row('bare LF', says('HTTP/1.1 200 OK\nContent-Length: 0\n\n'), '502 whole', PROTOCOL),
  row(
    'two lengths',
    says(`${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nok`),
    '502 whole',
    PROTOCOL,
  ),
  row(
    'length and chunks',
    says(`${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
    '502 whole',
    PROTOCOL,
  ),
  row(
    'a coding nobody knows',
    says(`${OK}Transfer-Encoding: gzip\r\n\r\nok`),
    '502 whole',
    PROTOCOL,
  ),
  row(
    'a head over its limit',
    says(`${OK}a: ${'b'.repeat(70_000)}\r\n\r\n`),
    '502 whole',
    PROTOCOL,
  ),
  row(
    '101 that nobody asked for',
    says('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    '502 whole',
    PROTOCOL,
  ),
  row(
    'a broken chunk size',
    says(`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n`),
    '200 broken',
    LATE_PROTOCOL,
  ),
  row(
    'more than Content-Length',
    says(`${OK}Content-Length: 2\r\n\r\nok${OK}Content-Length: 4\r\n\r\nevil`),
    '200 whole',
    FINE,
  ),
  row('a body behind 204', says('HTTP/1.1 204 No Content\r\n\r\nevil'), '204 whole', FINE),
];
