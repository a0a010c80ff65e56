/**
 * A hand-made receiving end of HBONE, a program of its own so that it can run in a pod's namespace: node:http2 over mutual
 * TLS on 15008. Reads one JSON object from its standard input and prints one JSON line for whatever happens. The port of
 * the authority says what it does: see PEER_PORTS.
 */
import * as http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as net from 'node:net';
import type { TLSSocket } from 'node:tls';

export const PEER_PORTS = {
  echo: 8080,
  /** 200, then GOAWAY while the stream goes on. */
  goaway: 2000,
  /** Never answers. */
  mute: 2001,
  /** Breaks the stream off instead of an answer. */
  reset: 2002,
  /** Answers with the status that is left after this. */
  status: 3000,
} as const;

/** How it describes itself in its answers. */
export const PEER_BAGGAGE =
  'k8s.cluster.name=far-cluster,k8s.namespace.name=shop,k8s.deployment.name=far-v1,service.name=far';

export interface ServerInput {
  address: string;
  identity: { certificateChain: string; privateKey: string; trustBundle: string };
  streamsMax: number;
  /** Makes a gateway of it: tunnels to a name are passed on to a receiver with this identity, behind it. */
  inner?: { certificateChain: string; privateKey: string; trustBundle: string };
}

export type ServerEvent =
  | { event: 'listening' }
  | {
      event: 'connection';
      connection: number;
      inner: boolean;
      serverName: string | null;
      alpn: string | null;
      tls: string | null;
      client: string;
    }
  | { event: 'stream'; connection: number; inner: boolean; headers: Record<string, string> }
  | { event: 'end'; connection: number };

const INTERNAL_ERROR = 2;

if (import.meta.main) {
  const input = (await Bun.stdin.json()) as ServerInput;
  const say = (event: ServerEvent) => process.stdout.write(`${JSON.stringify(event)}\n`);
  let connections = 0;
  const numbers = new Map<http2.Http2Session, number>();
  const makeServer = (identity: ServerInput['identity'], inner: boolean) => {
    const server = http2.createSecureServer({
      cert: identity.certificateChain,
      key: identity.privateKey,
      ca: identity.trustBundle,
      requestCert: true,
      rejectUnauthorized: true,
      settings: { maxConcurrentStreams: input.streamsMax },
    });
    server.on('session', (session) => {
      const connection = ++connections;
      numbers.set(session, connection);
      session.on('error', () => undefined);
      const socket = session.socket as TLSSocket & { servername?: string | false };
      say({
        event: 'connection',
        connection,
        inner,
        serverName: socket.servername || null,
        alpn: socket.alpnProtocol || null,
        tls: socket.getProtocol(),
        client: String(socket.getPeerCertificate().subjectaltname),
      });
    });
    server.on('stream', (opened, headers) => {
      const stream = opened as http2.ServerHttp2Stream;
      const session = stream.session as http2.Http2Session;
      const connection = numbers.get(session) ?? 0;
      stream.on('error', () => undefined);
      const seen = Object.entries(headers).map(([name, value]) => [name, String(value)]);
      say({ event: 'stream', connection, inner, headers: Object.fromEntries(seen) });
      const port = Number(String(headers[':authority']).split(':').at(-1));
      if (input.inner !== undefined && !inner) passOn(stream);
      else if (port === PEER_PORTS.reset) stream.close(INTERNAL_ERROR);
      else if (port === PEER_PORTS.mute) return;
      else if (port >= PEER_PORTS.status) {
        const status = port === PEER_PORTS.echo ? 200 : port - PEER_PORTS.status;
        if (status === 200) echo(stream, connection);
        else stream.respond({ ':status': status }, { endStream: true });
      } else {
        echo(stream, connection);
        if (port === PEER_PORTS.goaway) session.goaway(0, stream.id);
      }
    });
    return server;
  };
  const passOn = (stream: http2.ServerHttp2Stream) => {
    const { port } = behind.address() as AddressInfo;
    const socket = net.connect(port, '127.0.0.1', () => {
      stream.respond({ ':status': 200 });
      stream.pipe(socket);
      socket.pipe(stream);
    });
    socket.on('error', () => stream.close(INTERNAL_ERROR));
    stream.on('close', () => socket.destroy());
  };
  const echo = (stream: http2.ServerHttp2Stream, connection: number) => {
    stream.respond({ ':status': 200, baggage: PEER_BAGGAGE });
    stream.on('data', (chunk: Uint8Array) => stream.write(chunk));
    stream.on('end', () => {
      say({ event: 'end', connection });
      stream.end('bye');
    });
  };
  const behind = makeServer(input.inner ?? input.identity, true);
  behind.listen(0, '127.0.0.1');
  const server = makeServer(input.identity, false);
  server.listen(15008, input.address, () => say({ event: 'listening' }));
}
