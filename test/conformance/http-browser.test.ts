/** A browser in front of a running engine: what pages do with connections, over HTTP/1.1 and over TLS with HTTP/2. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type Browser, chromium } from 'playwright-core';
import { createTestCa } from '#test/support/certificates.ts';
import { httpEngine } from '#test/support/http-engine.ts';
import { missingFor } from '#test/support/lab.ts';

const CHROMIUM = 'chromium';
const PARALLEL = 40;
const UPLOAD_BYTES = 3_000_000;
const EVENTS = 5;

/** What runs in the page: each line is what a reader would see. */
const SCRIPT = `
const say = (text) => document.body.append(text + '\\n');
const all = await Promise.all(Array.from({ length: ${PARALLEL} }, async (_, at) => (await fetch('/n/' + at)).text()));
say('parallel ' + all.filter((text, at) => text === '/n/' + at).length);
const upload = await fetch('/size', { method: 'POST', body: new Uint8Array(${UPLOAD_BYTES}) });
say('upload ' + await upload.text());
const cached = [await fetch('/tagged'), await fetch('/tagged', { cache: 'no-cache' })];
say('cached ' + cached.map((each) => each.status).join(' '));
const events = new EventSource('/events');
let seen = 0;
await new Promise((resolve) => { events.onmessage = () => { seen += 1; if (seen === ${EVENTS}) resolve(); }; });
events.close();
say('events ' + seen);
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket');
const echo = await new Promise((resolve, reject) => {
  socket.onopen = () => socket.send('x'.repeat(100000));
  socket.onmessage = ({ data }) => resolve(data.length);
  socket.onerror = () => reject(new Error('no socket'));
});
say('socket ' + echo);
say('protocol ' + performance.getEntriesByName(location.origin + '/n/0')[0].nextHopProtocol);
document.title = 'done';
`;

const origin = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request, server) {
    const { pathname } = new URL(request.url);
    switch (pathname) {
      case '/':
        return new Response('<!doctype html><body><script type="module" src="/page.js"></script>', {
          headers: { 'content-type': 'text/html' },
        });
      case '/page.js':
        return new Response(SCRIPT, { headers: { 'content-type': 'text/javascript' } });
      case '/size':
        return new Response(String((await request.arrayBuffer()).byteLength));
      case '/tagged':
        return request.headers.get('if-none-match') === '"a"'
          ? new Response(null, { status: 304, headers: { etag: '"a"' } })
          : new Response('tagged', { headers: { etag: '"a"', 'cache-control': 'max-age=60' } });
      case '/events':
        return new Response(
          Array.from({ length: EVENTS }, (_none, at) => `data: ${at}\n\n`).join(''),
          {
            headers: { 'content-type': 'text/event-stream' },
          },
        );
      case '/socket':
        return server.upgrade(request) ? undefined : new Response(null, { status: 400 });
      default:
        return new Response(pathname);
    }
  },
  websocket: {
    message: (socket, message) => void socket.send(message),
  },
});
const identity = await (await createTestCa()).issue('spiffe://cluster.local/ns/shop/sa/p');
const mesh = httpEngine({ upstreamPort: origin.port ?? 0, identity });

afterAll(async () => {
  mesh[Symbol.dispose]();
  await origin.stop(true);
});

const why = missingFor({ programs: [CHROMIUM] });

describe.skipIf(why !== undefined)('chromium', () => {
  let browser: Browser;
  beforeAll(async () => {
    const executablePath = Bun.which(CHROMIUM) ?? CHROMIUM;
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  test.each([
    ['HTTP/1.1', () => `http://127.0.0.1:${mesh.port}/`, 'http/1.1'],
    ['HTTP/2 over TLS', () => `https://127.0.0.1:${mesh.tlsPort}/`, 'h2'],
  ])(
    '%s: requests at once, an upload, a cached answer, events, a socket',
    async (_title, url, protocol) => {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      const page = await context.newPage();
      await page.goto(url());
      await page.waitForFunction("document.title === 'done'");
      expect((await page.textContent('body'))?.trim().split('\n')).toEqual([
        `parallel ${PARALLEL}`,
        `upload ${UPLOAD_BYTES}`,
        'cached 200 200',
        `events ${EVENTS}`,
        'socket 100000',
        `protocol ${protocol}`,
      ]);
      await context.close();
    },
  );
});
