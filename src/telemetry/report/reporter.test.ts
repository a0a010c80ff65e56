import { beforeEach, describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { ClientStream, ClientStreamHandler } from '#http/grpc/channel.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { OrderMessage, ReportMessage } from '#wire/protobuf/telemetry.ts';
import { FlowBook, NOBODY } from '../flow/flow-book.ts';
import { decodeFrame } from '../flow/frame-codec.ts';
import { RING_SECONDS } from '../flow/limits.ts';
import { ANY_REQUEST } from '../requests/match-tap.ts';
import {
  EDGES_PER_MESSAGE,
  FLUSH_MS,
  REOPEN_CAP_MS,
  UNKNOWN_STREAM_RETRY_MS,
  UNTAKEN_BYTES_MAX,
} from './limits.ts';
import { tapMessage } from './messages.ts';
import { type Reporter, startReporter } from './reporter.ts';

const EPOCH_MS = 1_800_000_000_000;
const EPOCH = EPOCH_MS / 1000;

class FakeStream implements ClientStream {
  readonly reports: ReportMessage[] = [];
  cancelled = false;
  readonly handler: ClientStreamHandler;

  constructor(handler: ClientStreamHandler) {
    this.handler = handler;
  }

  send(bytes: Uint8Array): void {
    const report = ReportMessage.decode(bytes);
    if (typeof report === 'string') throw new Error(report);
    this.reports.push(report);
  }

  cancel(): void {
    this.cancelled = true;
  }

  order(order: Partial<OrderMessage>): void {
    this.handler.onMessage(OrderMessage.encode(OrderMessage.create(order)));
  }

  /** Every report so far is taken. */
  take(): void {
    this.order({ taken: this.reports.length });
  }

  get frames() {
    return this.reports.flatMap(({ frames }) =>
      frames.map((bytes) => {
        const frame = decodeFrame(bytes);
        if (typeof frame === 'string') throw new Error(frame);
        return frame;
      }),
    );
  }

  get seconds(): number[] {
    return this.frames.map(({ second }) => second - EPOCH);
  }
}

let clock: FakeClock;
let book: FlowBook;
let streams: FakeStream[];
let reporter: Reporter;
let refuse: MeshError | undefined;

const error = (code: string) => new MeshError(code, 'no', { side: 'upstream', hint: 'none' });

beforeEach(() => {
  clock = new FakeClock(EPOCH_MS);
  book = new FlowBook();
  streams = [];
  refuse = undefined;
  reporter = startReporter(
    {
      clock,
      random: { ...systemRandom, fraction: () => 0 },
      log: silentLogger,
      book,
      open(handler) {
        if (refuse !== undefined) throw refuse;
        const stream = new FakeStream(handler);
        streams.push(stream);
        return stream;
      },
    },
    { proxy: 'shop/waypoint-1', version: '1.2.3' },
  );
});

function count(workload: string, requests = 1): void {
  const tally = book.tally({
    reporter: 'waypoint',
    protocol: 'http',
    source: NOBODY,
    destination: { ...NOBODY, kind: 'workload', namespace: 'shop', workload },
    service: { host: '', namespace: '', name: '' },
    isMutualTls: false,
  });
  for (let index = 0; index < requests; index++) tally.outcome(200, -1, '-').add(1, 10, 20);
}

function welcome(since = -1): FakeStream {
  const stream = streams[streams.length - 1];
  stream.order({ resend: { since } });
  return stream;
}

describe('a reporter', () => {
  test('says who it is, then each second what was counted in it, edges before frames', () => {
    reporter.connected(true);
    const [stream] = streams;
    expect(stream.reports).toMatchObject([
      { hello: { proxy: 'shop/waypoint-1', version: '1.2.3' }, now_ms: EPOCH_MS },
    ]);
    welcome();
    count('v1', 3);
    clock.advance(1000);
    count('v1', 2);
    clock.advance(2000);
    expect(stream.seconds).toEqual([0, 1, 2]);
    expect(stream.frames.map(({ samples }) => samples[0]?.requests ?? 0)).toEqual([3, 2, 0]);
    const kinds = stream.reports.map(({ edges, frames }) => `${edges.length} ${frames.length}`);
    expect(kinds).toEqual(['0 0', '1 0', '0 1', '0 1', '0 1']);
    reporter.stop();
    expect(stream.cancelled).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test('sends nothing before it is told since when', () => {
    reporter.connected(true);
    count('v1');
    clock.advance(5000);
    expect(streams[0].reports).toHaveLength(1);
    welcome(EPOCH + 2);
    expect(streams[0].seconds).toEqual([3, 4]);
    expect(streams[0].reports[1]).toMatchObject({ resent_since: EPOCH + 2 });
    expect(streams[0].reports[2].resent_since).toBeUndefined();
  });

  test('after an absence it sends what was missed, with the edges of it, and no second twice', () => {
    reporter.connected(true);
    welcome();
    count('v1');
    clock.advance(2000);
    reporter.connected(false);
    expect(streams[0].cancelled).toBe(true);
    count('v2');
    clock.advance(3000);
    reporter.connected(true);
    const second = welcome(EPOCH + 1);
    expect(second.seconds).toEqual([2, 3, 4]);
    const edges = second.reports.flatMap((report) => report.edges);
    expect(edges.map(({ destination }) => destination?.workload)).toEqual(['v2']);
    count('v1');
    clock.advance(1000);
    const said = second.reports.flatMap((report) => report.edges);
    expect(said.map(({ destination }) => destination?.workload)).toEqual(['v2', 'v1']);
    expect(second.seconds).toEqual([2, 3, 4, 5]);
  });

  test('sends again what another asks for, from then on', () => {
    reporter.connected(true);
    const stream = welcome();
    clock.advance(3000);
    stream.order({ resend: { since: EPOCH } });
    expect(stream.seconds).toEqual([0, 1, 2, 1, 2]);
    const marked = stream.reports.filter((report) => report.resent_since !== undefined);
    expect(marked.map((report) => report.resent_since)).toEqual([-1, EPOCH]);
  });

  test(`keeps ${RING_SECONDS} seconds for a control plane that is away`, () => {
    clock.advance(300_000);
    reporter.connected(true);
    const { seconds } = welcome();
    expect(seconds.length).toBe(RING_SECONDS);
    expect(seconds.at(-1)).toBe(299);
  });

  test('puts no more on the way than is taken, and goes on when it is', () => {
    reporter.connected(true);
    const stream = welcome();
    stream.take();
    // Two messages of edges reach the bound; one edge more is left.
    const name = 'x'.repeat(Math.ceil(UNTAKEN_BYTES_MAX / (2 * EDGES_PER_MESSAGE)));
    const edges = 2 * EDGES_PER_MESSAGE + 1;
    for (let index = 0; index < edges; index++) count(`${name}-${index}`);
    clock.advance(3000);
    const said = () => stream.reports.map(({ edges, frames }) => [edges.length, frames.length]);
    const first = [
      [0, 0],
      [EDGES_PER_MESSAGE, 0],
      [EDGES_PER_MESSAGE, 0],
    ];
    expect(said()).toEqual(first);
    stream.take();
    expect(said()).toEqual([...first, [1, 0], [0, 1], [0, 1], [0, 1]]);
    expect(stream.seconds).toEqual([0, 1, 2]);
    expect(stream.frames[0].samples).toHaveLength(edges);
  });

  test('sends failed requests and spans soon, and those that a filter asks for', () => {
    reporter.connected(true);
    const stream = welcome();
    const { report } = reporter;
    /** One that failed, one of the sample, one that only somebody who watches would want. */
    const wanted = () => [
      report.wantsRecord(true, 0),
      report.wantsRecord(false, 0),
      report.wantsRecord(false, -1),
    ];
    expect(wanted()).toEqual([true, true, false]);
    stream.order({ taps: { taps: [tapMessage(ANY_REQUEST)] } });
    expect(wanted()).toEqual([true, true, true]);
    report.offerSpan(SPAN);
    clock.advance(FLUSH_MS);
    expect(stream.reports.at(-1)?.spans).toMatchObject([{ name: 'GET /', start_nanos: 5n }]);
    reporter.connected(false);
    // Nobody asks while nobody is there.
    expect(wanted()).toEqual([true, false, false]);
  });

  test('keeps spans for a control plane that is away, and says how many it had to drop', () => {
    for (let index = 0; index < 1030; index++) reporter.report.offerSpan(SPAN);
    reporter.connected(true);
    const stream = welcome();
    expect(stream.reports.reduce((sum, { spans }) => sum + spans.length, 0)).toBe(1024);
    expect(stream.reports[1].dropped).toEqual({ spans: 6, records: 0 });
  });

  test('asks a control plane that knows no such stream again much later, or when it is another', () => {
    reporter.connected(true);
    streams[0].handler.onClose(error('GRPC_UNIMPLEMENTED'));
    clock.advance(UNKNOWN_STREAM_RETRY_MS - 1);
    expect(streams).toHaveLength(1);
    clock.advance(1);
    expect(streams).toHaveLength(2);
    streams[1].handler.onClose(error('GRPC_UNIMPLEMENTED'));
    reporter.connected(false);
    reporter.connected(true);
    expect(streams).toHaveLength(3);
  });

  test.each([
    ['ends it', undefined],
    ['refuses', error('GRPC_REFUSED')],
  ])('asks one that %s again, ever more slowly', (_title, why) => {
    reporter.connected(true);
    for (let attempt = 1; attempt <= 10; attempt++) {
      streams[attempt - 1].handler.onClose(why);
      expect(streams).toHaveLength(attempt);
      clock.advance(REOPEN_CAP_MS);
      expect(streams).toHaveLength(attempt + 1);
    }
  });

  test('goes on when there is no connection after all, and when an order is malformed', () => {
    refuse = error('GRPC_UNAVAILABLE');
    reporter.connected(true);
    expect(streams).toHaveLength(0);
    refuse = undefined;
    clock.advance(REOPEN_CAP_MS);
    expect(streams).toHaveLength(1);
    streams[0].handler.onMessage(Uint8Array.of(0xff));
    expect(streams[0].cancelled).toBe(true);
    clock.advance(REOPEN_CAP_MS);
    expect(streams).toHaveLength(2);
  });

  test('what an old stream still says is not heard', () => {
    reporter.connected(true);
    reporter.connected(false);
    reporter.connected(true);
    streams[0].order({ resend: { since: -1 } });
    streams[0].handler.onClose(undefined);
    clock.advance(5000);
    expect(streams).toHaveLength(2);
    expect(streams[0].seconds).toEqual([]);
  });
});

const SPAN = {
  traceId: 'a',
  spanId: 'b',
  parentSpanId: '',
  traceState: '',
  kind: 'server' as const,
  name: 'GET /',
  startNanos: 5n,
  endNanos: 6n,
  status: 'ok' as const,
  statusMessage: '',
  attributes: {},
  links: [],
  service: 's',
  proxy: 'p',
};
