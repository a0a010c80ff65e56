/** Clients that others wrote, against a running engine: curl, nghttp, h2load and wrk, as far as they are installed. */
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestCa } from '#test/support/certificates.ts';
import { h1EchoUpstream } from '#test/support/echo-upstreams.ts';
import { httpEngine } from '#test/support/http-engine.ts';
import { missingFor, run } from '#test/support/lab.ts';

const origin = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    const bytes = (await request.arrayBuffer()).byteLength;
    return new Response(`${request.method} ${new URL(request.url).pathname} ${bytes}`);
  },
});
const identity = await (await createTestCa()).issue('spiffe://cluster.local/ns/shop/sa/p');
const mesh = httpEngine({ upstreamPort: origin.port ?? 0, identity });
const folder = mkdtempSync(join(tmpdir(), 'tulle-clients-'));
const upload = join(folder, 'upload');
writeFileSync(upload, Buffer.alloc(2_000_000, 'x'));
const url = `http://127.0.0.1:${mesh.port}/a`;
const tlsUrl = `https://127.0.0.1:${mesh.tlsPort}/a`;

afterAll(async () => {
  mesh[Symbol.dispose]();
  await origin.stop(true);
  rmSync(folder, { recursive: true });
});

const lacks = (...programs: string[]) => missingFor({ programs }) !== undefined;

describe.skipIf(lacks('curl'))('curl', () => {
  const STATUS = '\n%{http_code} %{http_version} %{num_connects}';
  const curl = async (...words: string[]) =>
    (await run(['curl', '-sS', '-k', '--max-time', '20', '-w', STATUS, ...words])).stdout;
  const rows: [title: string, words: string[], want: string][] = [
    ['--http1.0', ['--http1.0', url], 'GET /a 0\n200 1.1 1'],
    ['--http1.1, two on one connection', [url, url], 'GET /a 0\n200 1.1 1GET /a 0\n200 1.1 0'],
    ['--http2-prior-knowledge', ['--http2-prior-knowledge', url], 'GET /a 0\n200 2 1'],
    ['--http2 over TLS', ['--http2', tlsUrl], 'GET /a 0\n200 2 1'],
    ['--http1.1 over TLS', ['--http1.1', tlsUrl], 'GET /a 0\n200 1.1 1'],
    ['an upgrade to h2c that nobody takes', ['--http2', url], 'GET /a 0\n200 1.1 1'],
    ['HEAD', ['-I', '-o', '/dev/null', url], '\n200 1.1 1'],
    [
      'an upload that expects 100',
      ['-H', 'Expect: 100-continue', '-T', upload, url],
      'PUT /a 2000000\n200 1.1 1',
    ],
    [
      'an upload in chunks',
      ['-H', 'Transfer-Encoding: chunked', '-T', upload, url],
      'PUT /a 2000000\n200 1.1 1',
    ],
    [
      'an upload over HTTP/2',
      ['--http2-prior-knowledge', '-T', upload, url],
      'PUT /a 2000000\n200 2 1',
    ],
    ['an unknown expectation', ['-H', 'Expect: tea', '-o', '/dev/null', url], '\n417 1.1 1'],
  ];
  test.each(rows)('%s', async (_title, words, want) => expect(await curl(...words)).toBe(want));

  test('a WebSocket handshake', async () => {
    await using echo = await h1EchoUpstream();
    using tunnels = httpEngine({ upstreamPort: echo.port });
    const fields = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const words = [...fields, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='].flatMap((line) => [
      '-H',
      line,
    ]);
    const { stdout } = await run([
      'curl',
      '-sS',
      '-i',
      '--max-time',
      '1',
      ...words,
      `http://127.0.0.1:${tunnels.port}/`,
    ]);
    expect(stdout).toStartWith('HTTP/1.1 101 Switching Protocols');
    expect(stdout).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });
});

describe.skipIf(lacks('nghttp', 'h2load'))('nghttp2', () => {
  test('nghttp gets, with padding and a small window', async () => {
    const { stdout } = await run(['nghttp', '--padding=64', '-w', '10', url]);
    expect(stdout).toBe('GET /a 0');
  });

  test('h2load: every request of 2,000 over 10 connections with 20 streams each succeeds', async () => {
    const { stdout } = await run(['h2load', '-n', '2000', '-c', '10', '-m', '20', url]);
    expect(stdout).toContain('2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed');
    expect(stdout).toContain('status codes: 2000 2xx');
  });
});

describe.skipIf(lacks('wrk'))('wrk', () => {
  test('no error in a second of 20 connections', async () => {
    const { stdout } = await run(['wrk', '-t', '1', '-c', '20', '-d', '1', url]);
    expect(stdout).toMatch(/\d+ requests in/);
    expect(stdout).not.toMatch(/Socket errors|Non-2xx/);
  });
});
