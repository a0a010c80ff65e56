/** Upstreams that agree to every upgrade and CONNECT and then send back what they get: one of HTTP/1.1, one of HTTP/2. */
import { createHash } from 'node:crypto';
import * as http2 from 'node:http2';
import { createServer, type Socket } from 'node:net';

export interface EchoUpstream extends AsyncDisposable {
  readonly port: number;
  /** Start lines (HTTP/1.1), or `METHOD protocol path authority` (HTTP/2), and all fields of each request. */
  readonly heads: readonly string[];
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function acceptOf(key: string): string {
  return createHash('sha1')
    .update(key + GUID)
    .digest('base64');
}

/** A request with `x-refuse` is answered with that status instead. */
export async function h1EchoUpstream(): Promise<EchoUpstream> {
  const heads: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    const onHead = (bytes: Buffer) => {
      text += bytes.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = text.slice(0, end);
      heads.push(head);
      const rest = Buffer.from(text.slice(end + 4), 'latin1');
      text = '';
      const refusal = /^x-refuse: (\d+)/im.exec(head)?.[1];
      if (refusal !== undefined) {
        socket.write(`HTTP/1.1 ${refusal} No\r\nContent-Length: 2\r\n\r\nno`);
        return;
      }
      socket.off('data', onHead);
      socket.write(answerTo(head));
      if (rest.length > 0) socket.write(rest);
      socket.pipe(socket);
    };
    socket.on('data', onHead);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    port: portOf(server),
    heads,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

function answerTo(head: string): string {
  // RFC 9110 §9.3.6: whatever its fields say, nothing frames the answer to CONNECT.
  if (head.startsWith('CONNECT ')) return 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n';
  const protocol = /^upgrade: (.*)$/im.exec(head)?.[1] ?? '';
  const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1];
  const accept = key === undefined ? '' : `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n`;
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${accept}\r\n`;
}

/** `connectProtocol` false: it does not offer RFC 8441. */
export async function h2EchoUpstream(connectProtocol = true): Promise<EchoUpstream> {
  const heads: string[] = [];
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer({ settings: { enableConnectProtocol: connectProtocol } });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    const names = [':method', ':protocol', ':path', ':authority'];
    const fields = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
    heads.push(
      [
        names.map((name) => headers[name] ?? '-').join(' '),
        ...fields.map((f) => f.join(': ')),
      ].join('\r\n'),
    );
    const refusal = headers['x-refuse'];
    if (refusal !== undefined) {
      stream.respond({ ':status': Number(refusal) });
      stream.end('no');
      return;
    }
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    port: portOf(server),
    heads,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as { port: number }).port;
}
