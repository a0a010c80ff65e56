/** What the commands about traffic print: tables of answers, and the text that people, graphviz and scripts get. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { GraphAnswer, GraphEdge, GraphNode } from '#console/api/graph.ts';
import type { TraceAnswer } from '#console/api/traffic.ts';
import { node, requestRow, TRAFFIC } from '#test/support/console-rig.ts';
import { parseEvent } from '../../console-client.ts';
import { addressOf, requestQuery } from './flags.ts';
import { formatDot, formatGraph } from './graph.ts';
import { formatLine } from './mesh-logs.ts';
import { formatRequest } from './tap.ts';
import { formatTop, sorted } from './top.ts';
import { formatTrace, formatTraces } from './traces.ts';
import { errorText, printable, rateText, shareText } from './words.ts';

const plain = (_colour: string, text: string) => text;
const HEALTHY = { status: 'healthy', reason: '', samples: 10 } as const;

function edge(source: string, target: string, more: Partial<GraphEdge> = {}): GraphEdge {
  return {
    id: `${source} ${target} http`,
    source,
    target,
    protocol: 'http',
    requestsPerSecond: 12,
    errorRate: 0.041,
    p50Ms: 3.2,
    p95Ms: 120.4,
    bytesPerSecond: 2048,
    connectionsPerSecond: 0,
    mtls: 1,
    responseCodes: {},
    flags: {},
    health: HEALTHY,
    ...more,
  };
}

function answer(
  nodes: GraphNode[],
  edges: GraphEdge[],
  more: Partial<GraphAnswer> = {},
): GraphAnswer {
  return {
    generatedAt: '',
    at: '',
    windowSeconds: 60,
    type: 'workload',
    isLive: true,
    nodes,
    edges,
    ...more,
  };
}

describe('formatGraph', () => {
  const ejected = {
    address: '198.18.1.9:80',
    workload: 'shop/cart',
    service: 'shop/cart',
    reason: '3 consecutive 5xx errors',
    remainingMs: 4200,
    by: 'shop/waypoint',
  };
  const text = formatGraph(
    answer(
      [
        node('shop', 'web'),
        { ...node('shop', 'cart'), ejected: [ejected] },
        { ...node('shop', 'cart-service'), ejected: [ejected] },
      ],
      [
        edge('workload/shop/web', 'workload/shop/cart', {
          split: { intended: 90, seen: 89.68, route: 'r' },
          via: 'waypoint/shop/waypoint',
        }),
        edge('workload/shop/web', 'external/db', {
          errorRate: 0,
          protocol: 'tcp',
          mtls: undefined,
          requestsPerSecond: 0,
        }),
      ],
    ),
    plain,
  );

  test('a source stands once, above what it talks to', () => {
    const lines = text.split('\n');
    expect(lines[1]).toBe('shop/web@v1');
    expect(lines[2]).toMatch(
      /^├─▶ shop\/cart@v1 \(90% → 89.7%\) +http +12.0\/s +4.1% +3.2 ms +120 ms +100% +via waypoint shop\/waypoint$/,
    );
    expect(lines[3]).toMatch(/^└─▶ external db +tcp +2.0 KiB\/s +-$/);
  });

  test('who is ejected, and why, stands beneath, once for all nodes that have it', () => {
    expect(text.match(/consecutive 5xx/g)).toHaveLength(1);
    expect(text).toMatch(/shop\/cart +shop\/cart +5s +shop\/waypoint +3 consecutive 5xx errors/);
  });

  test('an empty graph names the first broken link and what mends it', () => {
    const steps = [
      {
        question: 'Is a namespace enrolled?',
        state: 'no',
        detail: 'none of 4',
        command: 'tulle enroll shop',
      },
    ] as const;
    const empty = formatGraph(
      answer([], [], { diagnosis: { summary: 'no proxy reports', steps } }),
      plain,
    );
    expect(empty).toBe(
      'no proxy reports\n  no  Is a namespace enrolled?: none of 4\n      try: tulle enroll shop\n',
    );
    expect(formatGraph(answer([], []), plain)).toContain('nothing flowed in the last 60 s');
  });

  test('stale numbers say their age', () => {
    const stale = formatGraph(
      answer([node('shop', 'web')], [edge('workload/shop/web', 'unknown')], { ageSeconds: 42 }),
      plain,
    );
    expect(stale).toContain('42 s ago');
    expect(stale).toContain('outside the mesh');
  });
});

test('formatDot quotes what names may hold', () => {
  const hostile = { ...node('shop', 'web'), id: 'workload/shop/a"];x[' };
  const text = formatDot(
    answer(
      [hostile],
      [edge(hostile.id, 'unknown', { mtls: 0.5, health: { ...HEALTHY, status: 'failing' } })],
    ),
  );
  expect(text).toContain('"workload/shop/a\\"];x["');
  expect(text).toContain('color=red, style=dashed');
  expect(text.split('\n').length).toBe(7);
});

describe('top', () => {
  const row = (name: string, rate: number, errorRate: number, p95Ms?: number) => ({
    id: '',
    namespace: 'shop',
    name,
    kind: 'Deployment',
    app: name,
    versions: [],
    replicas: { ready: 1, desired: 2 },
    isCaptured: true,
    notCaptured: '',
    waypoint: '',
    identity: '',
    health: { status: 'degraded', reason: '1 of 2 replicas are ready', samples: 1 } as const,
    inbound: { ...TRAFFIC, requestsPerSecond: rate, errorRate },
    outbound: TRAFFIC,
    p95Ms,
  });
  const rows = [row('a', 1, 0.5, 10), row('b', 100, 0, 5), row('c', 10, 0.01)];

  test.each([
    ['rate', ['b', 'c', 'a']],
    ['errors', ['a', 'c', 'b']],
    ['latency', ['a', 'b', 'c']],
    ['name', ['a', 'b', 'c']],
  ])('by %s', (by, want) => {
    expect(sorted(rows, by).map(({ name }) => name)).toEqual(want);
  });

  test('a row says how it is and why', () => {
    expect(formatTop('workloads', [rows[0]], plain)).toMatch(
      /shop\/a +degraded +1.0\/s +50.0% +10.0 ms +100 B\/s +1\/2 +1 of 2 replicas are ready/,
    );
    expect(formatTop('services', [], plain)).toBe('there are no services to see\n');
  });
});

describe('tap and logs', () => {
  test.each([
    [{}, '00:00:00.000  shop/web → shop/cart  GET cart/items  200  3.0 ms'],
    [
      { status: 0, flags: 'UF', reason: 'refused', isMutualTls: false },
      '00:00:00.000  shop/web → shop/cart  GET cart/items  no answer  3.0 ms  plaintext  UF  refused',
    ],
    [
      { protocol: 'tcp' as const, service: 'db.shop' },
      '00:00:00.000  shop/web → shop/cart  tcp db.shop  3.0 ms',
    ],
    [
      { path: '/\u001b[2J\r\nfake', attempts: 2, traceId: 'ab' },
      '00:00:00.000  shop/web → shop/cart  GET cart/·[2J··fake  200  3.0 ms  2 tries  trace ab',
    ],
  ])('%p', (more, want) => {
    expect(formatRequest(requestRow(more), plain)).toBe(want);
  });

  test('--count ends in the middle of what came at once', async () => {
    const event = `event: request\ndata: ${JSON.stringify(requestRow())}\n\n`;
    await using server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () => {
        // Five at once, and the stream stays open.
        const start = (stream: ReadableStreamDefaultController) => stream.enqueue(event.repeat(5));
        const headers = { 'content-type': 'text/event-stream' };
        return new Response(new ReadableStream({ start }), { headers });
      },
    });
    const main = join(import.meta.dir, '../../main.ts');
    const child = Bun.spawn([process.execPath, main, 'tap', '--count', '2', '-o', 'json'], {
      env: { ...process.env, TULLE_CONSOLE: server.url.href },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [shown, problems] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect([shown.trim().split('\n').length, problems, await child.exited]).toEqual([2, '', 0]);
  });

  test('what the mesh saw is marked', () => {
    const line = { at: '2026-01-01T00:00:00.000Z', from: 'mesh', text: 'GET /' } as const;
    expect(formatLine(line, plain)).toBe('2026-01-01T00:00:00.000 ⇄ GET /');
    expect(formatLine({ ...line, from: 'application' }, plain)).toBe(
      '2026-01-01T00:00:00.000   GET /',
    );
  });

  test.each([
    ['event: request\ndata: {"a":1}', { event: 'request', data: { a: 1 } }],
    [':', undefined],
  ])('parseEvent reads %p', (text, want) => {
    expect(parseEvent(text)).toEqual(want);
  });
});

describe('traces', () => {
  const span = {
    spanId: 'b',
    parentSpanId: '',
    depth: 0,
    name: 'GET /',
    service: 'waypoint',
    proxy: 'p',
    kind: 'server',
    isMesh: true,
    startOffsetMs: 0,
    durationMs: 10,
    status: 'unset',
    statusMessage: '',
    attributes: {},
  } as const;
  const trace: TraceAnswer = {
    traceId: 'a'.repeat(32),
    at: '2026-01-01T00:00:00.000Z',
    durationMs: 10,
    name: 'GET /',
    spans: 2,
    services: ['web'],
    status: 'error',
    statusCode: 503,
    spanRows: [
      span,
      {
        ...span,
        depth: 1,
        service: 'cart',
        isMesh: false,
        startOffsetMs: 5,
        durationMs: 5,
        status: 'error',
        statusMessage: 'refused',
      },
    ],
  };

  test('a waterfall draws each span where it lay', () => {
    const lines = formatTrace(trace, plain, 70).split('\n');
    const first = lines[1].match(/━+/)?.[0].length ?? 0;
    expect(lines[2]).toMatch(/^ {2}cart GET/);
    expect(lines[2].match(/━+/)?.[0].length).toBe(Math.round(first / 2));
    expect(lines[2]).toEndWith('5.0 ms  refused');
  });

  test('the list says why it is empty', () => {
    expect(formatTraces({ traces: [trace] }, plain)).toContain(
      `${'a'.repeat(32)}   503      10.0 ms`,
    );
    expect(formatTraces({ traces: [], oldest: 'x' }, plain)).toContain('reaches back to x');
  });
});

describe('words', () => {
  test.each([
    [rateText(0.04), '<0.1/s'],
    [rateText(1234), '1234/s'],
    [shareText(0.9999), '99.9%'],
    [shareText(1), '100%'],
    [errorText(0.0004, plain), '0.04%'],
    [printable('a\u202eb'), 'a·b'],
    [
      addressOf(
        'tap',
        requestQuery({
          namespace: ['a', 'b'],
          workload: [],
          service: [],
          method: [],
          status: '5xx',
          node: 'waypoint/a/w',
          failed: true,
          output: 'text',
        }),
      ),
      '/api/v1/tap?namespaces=a%2Cb&status=5xx&node=waypoint%2Fa%2Fw&failed=true',
    ],
    [addressOf('graph', { idle: false, window: undefined }), '/api/v1/graph'],
  ])('%p', (is, want) => {
    expect(is).toBe(want);
  });
});
