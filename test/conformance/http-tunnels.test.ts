/**
 * Upgrades and CONNECT through a running engine, from either protocol to either (RFC 9110 §7.8 and §9.3.6, RFC 9113 §8.5,
 * RFC 8441): the handshake as each side must see it, bytes both ways, the end, and a refusal.
 */
import { describe, expect, test } from 'bun:test';
import * as http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import {
  acceptOf,
  type EchoUpstream,
  h1EchoUpstream,
  h2EchoUpstream,
} from '#test/support/echo-upstreams.ts';
import { type HttpEngine, httpEngine } from '#test/support/http-engine.ts';

type Version = 'h1' | 'h2';
const PAIRS: [from: Version, to: Version][] = [
  ['h1', 'h1'],
  ['h1', 'h2'],
  ['h2', 'h1'],
  ['h2', 'h2'],
];
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ECHO_BYTES = 64 * 1024 * 1024;

interface Tunnel {
  /** Status line and fields, or `:status` and fields. */
  readonly head: string;
  readonly stream: Socket | http2.ClientHttp2Stream;
}

/** What comes behind the head stays in the stream. */
async function openH1(port: number, request: string): Promise<Tunnel> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.write(request);
  let text = '';
  const { promise, resolve } = Promise.withResolvers<string>();
  const onData = (bytes: Buffer) => {
    text += bytes.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    socket.off('data', onData);
    socket.pause();
    const rest = text.slice(end + 4);
    if (rest !== '') socket.unshift(Buffer.from(rest, 'latin1'));
    resolve(text.slice(0, end));
  };
  socket.on('data', onData);
  return { head: await promise, stream: socket };
}

async function openH2(port: number, headers: http2.OutgoingHttpHeaders): Promise<Tunnel> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  const stream = session.request(headers);
  stream.on('error', () => undefined);
  stream.on('close', () => session.close());
  const head = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
    stream.once('response', resolve),
  );
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
  return { head: lines.join('\r\n'), stream };
}

function open(mesh: HttpEngine, from: Version, upgrade: string, refuse?: number): Promise<Tunnel> {
  if (from === 'h1') {
    const fields = [
      `Connection: Upgrade\r\nUpgrade: ${upgrade}`,
      ...(upgrade === 'websocket' ? [`Sec-WebSocket-Key: ${KEY}`] : []),
      ...(refuse === undefined ? [] : [`X-Refuse: ${refuse}`]),
    ];
    return openH1(mesh.port, `GET /chat HTTP/1.1\r\nHost: a:80\r\n${fields.join('\r\n')}\r\n\r\n`);
  }
  return openH2(mesh.port, {
    ...{ ':method': 'CONNECT', ':protocol': upgrade, ':scheme': 'http' },
    ...{ ':path': '/chat', ':authority': 'a:80' },
    ...(refuse === undefined ? {} : { 'x-refuse': String(refuse) }),
  });
}

function openConnect(mesh: HttpEngine, from: Version): Promise<Tunnel> {
  if (from === 'h1')
    return openH1(mesh.port, 'CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nearly ');
  return openH2(mesh.port, { ':method': 'CONNECT', ':authority': 'b:443' });
}

/** Sends, ends, and gives what came until the end. */
async function echo({ stream }: Tunnel, text: string): Promise<string> {
  let got = '';
  stream.on('data', (bytes: Buffer) => {
    got += bytes.toString('latin1');
  });
  const ended = new Promise((resolve) => void stream.once('end', resolve));
  stream.end(text);
  stream.resume();
  await ended;
  return got;
}

function upstreamOf(version: Version): Promise<EchoUpstream> {
  return version === 'h1' ? h1EchoUpstream() : h2EchoUpstream();
}

function engineFor(upstream: EchoUpstream, version: Version): HttpEngine {
  return httpEngine({
    upstreamPort: upstream.port,
    protocol: version === 'h1' ? 'http' : 'http2',
  });
}

describe.each(PAIRS)('from %s to %s', (from, to) => {
  test.each(['websocket', 'foo/2'])('an upgrade to %s', async (protocol) => {
    await using upstream = await upstreamOf(to);
    using mesh = engineFor(upstream, to);
    const tunnel = await open(mesh, from, protocol);
    const isWebSocket = protocol === 'websocket';
    if (from === 'h1') {
      expect(tunnel.head).toStartWith('HTTP/1.1 101 Switching Protocols\r\n');
      expect(tunnel.head).toContain(`\r\nconnection: upgrade\r\nupgrade: ${protocol}`);
      const accept = /^sec-websocket-accept: (.*)$/im.exec(tunnel.head)?.[1];
      expect(accept).toBe(isWebSocket ? acceptOf(KEY) : undefined);
    } else {
      expect(tunnel.head).toStartWith(':status: 200');
      expect(tunnel.head).not.toContain('sec-websocket-accept');
    }
    const [head] = upstream.heads;
    if (to === 'h1') {
      expect(head).toStartWith('GET /chat HTTP/1.1\r\nhost: a:80\r\n');
      expect(head).toContain(`connection: upgrade\r\nupgrade: ${protocol}`);
      const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1];
      if (isWebSocket) expect(Buffer.from(key ?? '', 'base64').length).toBe(16);
    } else {
      expect(head).toStartWith(`CONNECT ${protocol} /chat a:80\r\n`);
      expect(head).not.toContain('sec-websocket-key');
    }
    expect(await echo(tunnel, 'ping')).toBe('ping');
    expect(mesh.log()).toMatch(/" 101 - via_upstream /);
  });

  test('an upgrade that is refused is an ordinary answer', async () => {
    await using upstream = await upstreamOf(to);
    using mesh = engineFor(upstream, to);
    const tunnel = await open(mesh, from, 'websocket', 403);
    expect(tunnel.head).toContain(from === 'h1' ? 'HTTP/1.1 403 ' : ':status: 403');
    if (from === 'h1') expect(tunnel.head).toMatch(/content-length: 2|transfer-encoding: chunked/i);
    tunnel.stream.destroy();
  });

  test('CONNECT', async () => {
    await using upstream = await upstreamOf(to);
    using mesh = engineFor(upstream, to);
    const tunnel = await openConnect(mesh, from);
    expect(tunnel.head).toStartWith(from === 'h1' ? 'HTTP/1.1 200 ' : ':status: 200');
    expect(tunnel.head).not.toMatch(/content-length|transfer-encoding/i);
    expect(upstream.heads[0]).toStartWith(
      to === 'h1' ? 'CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\n' : 'CONNECT - - b:443',
    );
    const early = from === 'h1' ? 'early ' : '';
    expect(await echo(tunnel, 'ping')).toBe(`${early}ping`);
  });

  test('64 MiB are echoed whole while the reader stalls now and then', async () => {
    await using upstream = await upstreamOf(to);
    using mesh = engineFor(upstream, to);
    const { stream } = await open(mesh, from, 'websocket');
    const piece = Buffer.alloc(1024 * 1024);
    for (let at = 0; at < piece.length; at += 4) piece.writeUInt32LE(at, at);
    let got = 0;
    let wrong = 0;
    stream.on('data', (bytes: Buffer) => {
      // The pattern repeats each MiB: a few places of each piece tell.
      for (let at = (4 - (got % 4)) % 4; at + 4 <= bytes.length; at += 4096) {
        if (bytes.readUInt32LE(at) !== (got + at) % piece.length) wrong += 1;
      }
      got += bytes.length;
      if (got % 7 !== 0) return;
      stream.pause();
      setTimeout(() => stream.resume(), 1);
    });
    const ended = new Promise((resolve) => void stream.once('end', resolve));
    stream.resume();
    for (let sent = 0; sent < ECHO_BYTES; sent += piece.length) {
      if (!stream.write(piece)) await new Promise((resolve) => void stream.once('drain', resolve));
    }
    stream.end();
    await ended;
    expect([got, wrong]).toEqual([ECHO_BYTES, 0]);
  }, 30_000);
});

test('an upgrade to an HTTP/2 upstream that does not offer RFC 8441 is 502 UPE', async () => {
  await using upstream = await h2EchoUpstream(false);
  using mesh = engineFor(upstream, 'h2');
  const { head, stream } = await open(mesh, 'h1', 'websocket');
  expect(head).toStartWith('HTTP/1.1 502 ');
  stream.destroy();
  expect(mesh.log()).toContain(' 502 UPE ');
});
