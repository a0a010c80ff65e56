import { describe, expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  ACCESS_LOG_BATCH_BYTES,
  ACCESS_LOG_BATCH_MS,
  ACCESS_LOG_FIELD_CHARS_MAX,
} from '../limits.ts';
import { formatAccess } from './format.ts';
import { type LogOutput, LogWriter } from './log-writer.ts';
import type { AccessRecord } from './record.ts';

const RECORD: AccessRecord = {
  startMs: Date.UTC(2026, 0, 2, 3, 4, 5, 7),
  method: 'GET',
  path: '/x?y=1',
  protocol: 'HTTP/1.1',
  responseCode: 200,
  responseFlags: '-',
  responseCodeDetails: 'via_upstream',
  upstreamTransportFailure: '',
  bytesReceived: 0,
  bytesSent: 12,
  durationMs: 4.6,
  upstreamServiceMs: 3.2,
  forwardedFor: '198.18.1.5',
  userAgent: 'curl/8',
  requestId: 'id-1',
  authority: 'product-service',
  upstreamHost: '198.18.2.7:8080',
  upstreamCluster: 'outbound|80|stable|p',
  downstreamLocal: '198.19.0.7:80',
  downstreamRemote: '198.18.1.5:41000',
  routeName: 'default',
  note: 'rerouted from canary to stable: all 1 endpoints of subset canary are ejected',
};

describe('formatAccess', () => {
  test('text has Envoy’s default fields in order and the note last', () => {
    expect(formatAccess(RECORD, 'text')).toBe(
      '[2026-01-02T03:04:05.007Z] "GET /x?y=1 HTTP/1.1" 200 - via_upstream - "-" 0 12 5 3 "198.18.1.5" "curl/8" "id-1" "product-service" "198.18.2.7:8080" outbound|80|stable|p - 198.19.0.7:80 198.18.1.5:41000 - default "rerouted from canary to stable: all 1 endpoints of subset canary are ejected"\n',
    );
  });

  test('text of requests that differ in one field alone has that field of each', () => {
    const fields = [
      'method',
      'path',
      'protocol',
      'responseCodeDetails',
      'upstreamTransportFailure',
      'forwardedFor',
      'userAgent',
      'requestId',
      'authority',
      'upstreamHost',
      'upstreamCluster',
      'downstreamLocal',
      'downstreamRemote',
      'routeName',
      'serverName',
      'note',
    ] as const;
    for (const field of fields)
      for (const value of ['one', 'two', '', 'one', 'a"b'])
        expect(formatAccess({ ...RECORD, [field]: value }, 'text')).toContain(
          value === 'a"b' ? 'a\\"b' : value,
        );
    for (const code of [200, 503, 200])
      for (const flags of ['-', 'UF', '-']) {
        const line = formatAccess({ ...RECORD, responseCode: code, responseFlags: flags }, 'text');
        expect(line).toContain(`" ${code} ${flags} via_upstream`);
      }
    const other = formatAccess({ ...RECORD, authority: 'elsewhere' }, 'text');
    expect(other).toBe(formatAccess(RECORD, 'text').replace('"product-service"', '"elsewhere"'));
  });

  test('json has Istio’s keys, null where there is nothing', () => {
    const line = JSON.parse(
      formatAccess({ ...RECORD, userAgent: undefined, upstreamServiceMs: -1, note: '' }, 'json'),
    );
    expect(line).toMatchObject({
      start_time: '2026-01-02T03:04:05.007Z',
      route_name: 'default',
      response_code: 200,
      duration: 5,
      user_agent: null,
      upstream_service_time: null,
      upstream_cluster: 'outbound|80|stable|p',
      note: null,
    });
  });

  test('what a client sends can neither forge a line nor a field, nor grow without bound', () => {
    const evil = { ...RECORD, userAgent: 'a"\n[fake] \u0007', path: 'x'.repeat(100_000) };
    const line = formatAccess(evil, 'text');
    expect(line.split('\n').length).toBe(2);
    expect(line).toContain('"a\\"\\x0a[fake] \\x07"');
    expect(line.length).toBeLessThan(ACCESS_LOG_FIELD_CHARS_MAX + 1000);
    expect(formatAccess(evil, 'json').split('\n').length).toBe(2);
  });
});

describe('LogWriter', () => {
  function scripted() {
    const writes: string[] = [];
    const state = { hasRoom: true, drained: () => undefined as unknown };
    const output: LogOutput = {
      write: (lines) => {
        writes.push(Buffer.from(lines).toString());
        return state.hasRoom;
      },
      onDrain: (callback) => {
        state.drained = callback;
      },
    };
    return { writes, state, output };
  }
  const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

  test('all lines of a turn leave in one write', async () => {
    const { writes, output } = scripted();
    const writer = new LogWriter(output, undefined, { batchMs: 0 });
    writer.write('a\n');
    writer.write('b\n');
    expect(writes).toEqual([]);
    await turn();
    expect(writes).toEqual(['a\nb\n']);
  });

  test('lines wait a moment for others, and not when there are many', async () => {
    const { writes, output } = scripted();
    const clock = new FakeClock();
    const writer = new LogWriter(output, undefined, { clock });
    writer.write('a\n');
    clock.advance(ACCESS_LOG_BATCH_MS - 1);
    writer.write('b\n');
    await turn();
    expect(writes).toEqual([]);
    clock.advance(1);
    expect(writes).toEqual(['a\nb\n']);
    const line = `${'x'.repeat(ACCESS_LOG_BATCH_BYTES / 2)}\n`;
    writer.write(line);
    writer.write(line);
    writer.write('c\n');
    await turn();
    expect(writes.length).toBe(2);
    expect(writes[1]).toEndWith('c\n');
    clock.advance(ACCESS_LOG_BATCH_MS);
    expect(writes.length).toBe(2);
  });

  test('while the output is full lines wait up to the bound, then are dropped and counted', async () => {
    const { writes, state, output } = scripted();
    const writer = new LogWriter(output, 4, { batchMs: 0 });
    state.hasRoom = false;
    writer.write('a\n');
    await turn();
    for (const line of ['b\n', 'c\n', 'd\n', 'e\n']) writer.write(line);
    await turn();
    expect(writes).toEqual(['a\n']);
    expect(writer.droppedTotal).toBe(2);
    state.hasRoom = true;
    state.drained();
    expect(writes[1]).toStartWith('b\nc\n{"dropped_access_log_lines":2,');
  });
});
