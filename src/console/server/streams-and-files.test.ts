/** The console's live streams, with readers that come in crowds or do not read, and its files, with paths that try to leave their folder. */
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { requestRow, startConsoleRig } from '#test/support/console-rig.ts';
import { sendRaw } from '#test/support/send-raw.ts';
import { FolderBundle } from './bundle.ts';
import { CONTENT_SECURITY_POLICY } from './headers.ts';
import { EVENT_STREAMS_MAX, EVENT_STREAMS_PER_CLIENT_MAX } from './limits.ts';

const CROWD = 10_000;
/** So many of them at once, and after them the next; who is served stays. */
const WAVE = 2_000;
/** From one address come no more than may at once. */
const CROWD_OF_ONE = 50;

/** Opens so many connections, from many addresses, and asks each for a live stream; what came up to the end of each head, and of a refusal its text. */
function askForEvents(port: number, first: number, count: number) {
  return Promise.all(
    Array.from({ length: count }, (_, at) => {
      const from = Math.floor((first + at) / CROWD_OF_ONE);
      const localAddress = `127.${1 + (from >> 8)}.${from & 255}.1`;
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      const { promise, resolve, reject } = Promise.withResolvers<{
        socket: Socket;
        text: string;
      }>();
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk.toString();
        const isWhole = text.includes('\r\n\r\n');
        if (isWhole && (text.startsWith('HTTP/1.1 200') || text.endsWith('}')))
          resolve({ socket, text });
      });
      socket.on('error', reject);
      socket.on('close', () => resolve({ socket, text }));
      socket.write('GET /api/v1/graph/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
      return promise;
    }),
  );
}

describe('GET /api/v1/graph', () => {
  test.each([
    ['gzip, deflate, br, zstd', 'zstd'],
    ['gzip', 'gzip'],
    ['zstd;q=0, GZIP', 'gzip'],
    ['br', null],
    ['identity', null],
  ])('packs its answer for those who take it: %s', async (accepted, packing) => {
    await using rig = startConsoleRig();
    const response = await rig.ask('/api/v1/graph', { headers: { 'accept-encoding': accepted } });
    expect(response.headers.get('content-encoding')).toBe(packing);
    expect(response.headers.get('vary')).toBe('accept-encoding');
    expect(await response.json()).toMatchObject({ nodes: [{ name: 'cart' }, {}, {}] });
  });
});

describe('live streams', () => {
  async function* eventsOf(response: Response): AsyncGenerator<{ event: string; data: unknown }> {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body as ReadableStream<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const [, event, data] = /^event: (\w+)\ndata: (.*)$/s.exec(text.slice(0, end)) ?? [];
        text = text.slice(end + 2);
        if (event !== undefined) yield { event, data: JSON.parse(data) };
      }
    }
  }

  test('graph/events begins with the graph, tells of changes, and ends with its reader', async () => {
    await using rig = startConsoleRig();
    const abort = new AbortController();
    const response = await rig.ask('/api/v1/graph/events', { signal: abort.signal });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const events = eventsOf(response);
    expect((await events.next()).value).toMatchObject({
      event: 'graph',
      data: { nodes: [{ name: 'cart' }, {}, {}] },
    });
    for (const listener of rig.data.graphListeners)
      listener.delta(new TextEncoder().encode('{"goneNodes":["x"]}'));
    expect((await events.next()).value).toEqual({ event: 'delta', data: { goneNodes: ['x'] } });
    expect(rig.server.streams.count).toBe(1);
    abort.abort();
    while (rig.server.streams.count > 0) await Bun.sleep(1);
    expect(rig.data.graphListeners.size).toBe(0);
  });

  test('tap asks for what the filter takes and counts what nobody can read', async () => {
    await using rig = startConsoleRig();
    const response = await rig.ask('/api/v1/tap?status=5xx&failed=true&perSecond=2');
    const events = eventsOf(response);
    while (rig.data.tapListeners.size === 0) await Bun.sleep(1);
    for (let at = 0; at < 5; at++)
      for (const listener of rig.data.tapListeners) listener(requestRow());
    expect((await events.next()).value).toMatchObject({
      event: 'request',
      data: { path: '/items' },
    });
    expect((await events.next()).value).toMatchObject({ event: 'request' });
    expect((await events.next()).value).toEqual({ event: 'dropped', data: { count: 3 } });
    expect(rig.data.asked.find(({ what }) => what === 'tap')?.request).toMatchObject({
      status: { from: 500, to: 599 },
      onlyFailed: true,
    });
    await events.return(undefined);
  });

  test('more streams than are served are refused with when to come again, and the others go on', async () => {
    await using rig = startConsoleRig();
    const abort = new AbortController();
    const open = await Promise.all(
      Array.from({ length: EVENT_STREAMS_PER_CLIENT_MAX }, () =>
        rig.ask('/api/v1/graph/events', { signal: abort.signal }),
      ),
    );
    expect(open.every(({ status }) => status === 200)).toBe(true);
    const refused = await Promise.all(
      Array.from({ length: 200 }, () => rig.ask('/api/v1/graph/events')),
    );
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([503]));
    expect(refused[0].headers.get('retry-after')).toBe('15');
    expect(await refused[0].json()).toMatchObject({ code: 'CONSOLE_TOO_MANY' });
    expect(rig.server.streams.count).toBe(EVENT_STREAMS_PER_CLIENT_MAX);
    expect((await rig.ask('/api/v1/session')).status).toBe(200);
    // Held until here: an answer that nobody holds any more is collected, and its stream with it.
    expect(open).toHaveLength(EVENT_STREAMS_PER_CLIENT_MAX);
    abort.abort();
    while (rig.server.streams.count > 0) await Bun.sleep(1);
  });

  test('ten thousand clients, two thousand at a time: as many as may be are served, all others told which limit it is and when to come again', async () => {
    await using rig = startConsoleRig();
    const served: Socket[] = [];
    const answers = new Map<string, number>();
    try {
      for (let from = 0; from < CROWD; from += WAVE)
        for (const { socket, text } of await askForEvents(rig.port, from, WAVE)) {
          const [, status = text] = /^HTTP\/1.1 (\d+)/.exec(text) ?? [];
          const after = /\r\nretry-after: (\d+)\r\n/i.exec(text)?.[1] ?? '';
          const said = /"error":"([^"]*)"/.exec(text)?.[1] ?? '';
          const answer = `${status} ${after} ${said}`.trim();
          answers.set(answer, (answers.get(answer) ?? 0) + 1);
          if (status === '200') served.push(socket);
          else socket.destroy();
        }
      const refusal = `503 15 ${EVENT_STREAMS_MAX} live streams are open, which is the most that are served`;
      expect(Object.fromEntries(answers)).toEqual({
        200: EVENT_STREAMS_MAX,
        [refusal]: CROWD - EVENT_STREAMS_MAX,
      });
      expect(rig.server.streams.count).toBe(EVENT_STREAMS_MAX);
      expect((await rig.ask('/api/v1/session')).status).toBe(200);
    } finally {
      for (const socket of served) socket.destroy();
    }
    while (rig.server.streams.count > 0) await Bun.sleep(1);
    const again = await rig.ask('/api/v1/graph/events');
    expect(again.status).toBe(200);
    await again.body?.cancel();
  }, 60_000);

  test('a reader that does not read is cut off, and holds nothing', async () => {
    await using rig = startConsoleRig();
    const socket = connect(rig.port, '127.0.0.1');
    socket.write('GET /api/v1/graph/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    socket.pause();
    while (rig.data.graphListeners.size === 0) await Bun.sleep(1);
    const large = new TextEncoder().encode(JSON.stringify({ goneNodes: ['x'.repeat(500_000)] }));
    for (let at = 0; at < 200 && rig.data.graphListeners.size > 0; at++) {
      for (const listener of rig.data.graphListeners) listener.delta(large);
      await Bun.sleep(1);
    }
    expect(rig.server.streams.dropped).toBe(1);
    expect(rig.server.streams.count).toBe(0);
    expect(rig.data.graphListeners.size).toBe(0);
    socket.destroy();
  });
});

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bundle-'));
  mkdirSync(join(folder, 'assets'));
  const script = 'console.log("of the console");'.repeat(20);
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Tulle</title>');
  writeFileSync(join(folder, 'assets/main-0a1b2c3d.js'), script);
  writeFileSync(join(folder, 'assets/main-0a1b2c3d.js.br'), brotliCompressSync(script));
  writeFileSync(join(folder, 'icon.svg'), '<svg/>');
  symlinkSync('/etc/passwd', join(folder, 'assets/link-0a1b2c3d.js'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const bundle = new FolderBundle(folder);

  test.each([
    ['/', 200, 'text/html', 'no-cache', 'Tulle'],
    ['/graph?window=5m', 200, 'text/html', 'no-cache', 'Tulle'],
    ['/workloads/shop/product-service.v1', 404, 'text/plain', 'no-store', 'no such file'],
    ['/assets/main-0a1b2c3d.js', 200, 'text/javascript', 'immutable', 'of the console'],
    ['/icon.svg', 200, 'image/svg+xml', 'no-cache', '<svg/>'],
    ['/assets/none-0a1b2c3d.js', 404, 'text/plain', 'no-store', 'no such file'],
    ['/assets/link-0a1b2c3d.js', 404, 'text/plain', 'no-store', 'no such file'],
    ['/assets/main-0a1b2c3d.js.br', 404, 'text/plain', 'no-store', 'no such file'],
  ])('%s is %p as %s', async (path, status, type, caching, text) => {
    await using rig = startConsoleRig({ bundle });
    const response = await rig.ask(path, { headers: { 'accept-encoding': 'identity' } });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toContain(type);
    expect(response.headers.get('cache-control')).toContain(caching);
    expect(response.headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY);
    expect(await response.text()).toContain(text);
  });

  test('a name with a dot is a view where a page is asked for', async () => {
    await using rig = startConsoleRig({ bundle });
    const response = await rig.ask('/services/shop/api.example.com', {
      headers: { accept: 'text/html,*/*' },
    });
    expect(response.status).toBe(200);
  });

  test('what is compressed already is sent so, to those who take it', async () => {
    await using rig = startConsoleRig({ bundle });
    const ask = (encoding: string) =>
      rig.ask('/assets/main-0a1b2c3d.js', { headers: { 'accept-encoding': encoding } });
    const packed = await ask('gzip, br');
    expect(packed.headers.get('content-encoding')).toBe('br');
    expect(await packed.text()).toBe(script);
    expect((await ask('br;q=0')).headers.get('content-encoding')).toBeNull();
    const tag = packed.headers.get('etag') ?? '';
    const same = await rig.ask('/assets/main-0a1b2c3d.js', {
      headers: { 'accept-encoding': 'br', 'if-none-match': tag },
    });
    expect(same.status).toBe(304);
  });

  test.each([
    '/../../../../etc/passwd',
    '/assets/../../../etc/passwd',
    '/assets/..%2f..%2f..%2fetc%2fpasswd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/assets//etc/passwd',
    '/assets/main-0a1b2c3d.js%00.html',
    '/....//....//etc/passwd',
  ])('%s leads nowhere', async (path) => {
    await using rig = startConsoleRig({ bundle });
    const answer = await sendRaw(rig.port, [
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`,
    ]);
    expect(answer).not.toContain('root:');
    expect(answer).toMatch(/^HTTP\/1.1 (200|400|404)/);
  });

  test('without a bundle the page says which command builds it, and obeys the policy', async () => {
    await using rig = startConsoleRig({ bundle: new FolderBundle(join(folder, 'none')) });
    const response = await rig.ask('/');
    expect(response.status).toBe(503);
    expect(response.headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY);
    const page = await response.text();
    expect(page).toContain('npm run web');
    expect(page).not.toMatch(/<style|style=|<script|\son\w+=/);
  });

  test('the policy takes scripts and styles from our own files alone: nothing inline, nothing evaluated, nobody else', () => {
    const directives = new Map(
      CONTENT_SECURITY_POLICY.split('; ').map((each) => {
        const [name = '', ...sources] = each.split(' ');
        return [name, sources.join(' ')];
      }),
    );
    expect(directives.get('default-src')).toBe("'none'");
    for (const name of ['script-src', 'style-src', 'worker-src', 'connect-src'])
      expect([name, directives.get(name)]).toEqual([name, "'self'"]);
    expect([...directives.keys()].filter((name) => /-(elem|attr)$/.test(name))).toEqual([]);
    expect(CONTENT_SECURITY_POLICY).not.toMatch(/unsafe|nonce|sha\d|https?:|\*/);
  });
});
