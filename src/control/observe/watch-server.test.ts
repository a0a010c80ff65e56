import { beforeEach, describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import type { ServerStream, ServerStreamHandler } from '#http/grpc/server.ts';
import { GRPC_STATUS } from '#http/grpc/status.ts';
import { NOBODY } from '#telemetry/flow/flow-book.ts';
import { edgeMessage } from '#telemetry/report/messages.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { RecordingSink } from '#test/support/recording-sink.ts';
import {
  type OrderMessage,
  RelayMessage,
  ReportMessage,
  WatchMessage,
} from '#wire/protobuf/telemetry.ts';
import type { Carrier } from './carrier.ts';
import { ClockOffset } from './clock-offset.ts';
import { type DirectProxy, Intake } from './intake.ts';
import { RELAYS_UNTAKEN_BYTES_MAX } from './limits.ts';
import { watchMethod } from './watch-server.ts';

const PRINCIPAL = 'spiffe://cluster.local/ns/istio-system/sa/istiod';
const NOW = 1_800_000_000_000;

class FakeWatch implements ServerStream {
  readonly peer = '198.18.0.2:1';
  readonly principals: readonly string[];
  readonly relays: RelayMessage[] = [];
  status: { code: number; details: string } | undefined;
  handler: ServerStreamHandler | undefined;

  constructor(principals: readonly string[] = [PRINCIPAL]) {
    this.principals = principals;
  }

  header(): undefined {
    return undefined;
  }
  send(bytes: Uint8Array): void {
    const relay = RelayMessage.decode(bytes);
    if (typeof relay === 'string') throw new Error(relay);
    this.relays.push(relay);
  }
  close(status: { code: number; details: string }): void {
    if (this.status !== undefined) return;
    this.status = status;
    this.handler?.onClose();
  }

  say(message: Partial<WatchMessage>): void {
    this.handler?.onMessage(WatchMessage.encode(WatchMessage.create(message)));
  }

  get kinds(): string[] {
    return this.relays.map(({ is_closed, report }) => {
      if (is_closed) return 'closed';
      if (report.length === 0) return 'opened';
      const read = ReportMessage.decode(report);
      if (typeof read === 'string') return read;
      return read.edges.length > 0 ? `${read.edges.length} edges` : `at ${read.now_ms}`;
    });
  }
}

class FakeProxy implements DirectProxy {
  readonly carrier: Carrier;
  readonly orders: Partial<OrderMessage>[] = [];

  constructor(intake: Intake, proxy: string) {
    const offset = new ClockOffset();
    const carrier = intake.begin({ proxy, connectedMs: NOW, replica: '', offset });
    if (carrier === undefined) throw new Error('not begun');
    this.carrier = carrier;
    intake.welcome(this);
  }
  order(order: Partial<OrderMessage>): void {
    this.orders.push(order);
  }
  end(): void {
    return;
  }
}

let intake: Intake;

beforeEach(() => {
  intake = new Intake({
    clock: new FakeClock(NOW),
    log: silentLogger,
    sink: new RecordingSink(),
    refine: (edge) => edge,
    reportProblem: () => undefined,
  });
});

function watch(stream = new FakeWatch()): FakeWatch {
  stream.handler = watchMethod(intake, { log: silentLogger, principal: PRINCIPAL })(stream);
  return stream;
}

const report = (now_ms: number) => ReportMessage.encode(ReportMessage.create({ now_ms }));

describe('a watch', () => {
  test('tells who is connected, and relays a proxy once that sends from the second that was asked for', () => {
    const proxy = new FakeProxy(intake, 'shop/wp-1');
    const facts = {
      reporter: 'waypoint' as const,
      protocol: 'http' as const,
      source: NOBODY,
      destination: NOBODY,
      service: { host: '', namespace: '', name: '' },
      isMutualTls: true,
    };
    const edges = [edgeMessage({ id: 3, ...facts })];
    proxy.carrier.take(ReportMessage.create({ edges, now_ms: NOW }), NOW);
    const stream = watch();
    expect(stream.kinds).toEqual(['opened']);
    intake.reported(proxy, report(1), undefined);
    stream.say({ known: [{ proxy: 'shop/wp-1', second: 50 }], taken: 1 });
    expect(proxy.orders.at(-1)).toMatchObject({ resend: { since: 50 } });
    // On its way before the proxy knew, and what another replica asked for.
    intake.reported(proxy, report(2), undefined);
    intake.reported(proxy, report(3), 90);
    expect(stream.kinds).toEqual(['opened']);
    intake.reported(proxy, report(4), 50);
    intake.reported(proxy, report(5), undefined);
    intake.left(proxy);
    expect(stream.kinds).toEqual(['opened', '1 edges', 'at 4', 'at 5', 'closed']);
  });

  test('of one that does not take what it is told ends', () => {
    const proxy = new FakeProxy(intake, 'shop/wp-1');
    const stream = watch();
    stream.say({ known: [{ proxy: 'shop/wp-1', second: -1 }] });
    const large = new Uint8Array(4 * 1024 * 1024);
    intake.reported(proxy, large, -1);
    for (let bytes = 0; bytes <= RELAYS_UNTAKEN_BYTES_MAX; bytes += large.length) {
      stream.say({ taken: stream.relays.length });
      intake.reported(proxy, large, undefined);
    }
    expect(stream.status).toBeUndefined();
    for (let bytes = 0; bytes <= RELAYS_UNTAKEN_BYTES_MAX; bytes += large.length)
      intake.reported(proxy, large, undefined);
    expect(stream.status?.code).toBe(GRPC_STATUS.resourceExhausted);
  });

  test('brings what is asked for at the other replica, until it leaves', () => {
    const stream = watch();
    stream.say({ taps: { taps: [{ ...TAP, only_failed: true }] } });
    expect(intake.filters.all).toMatchObject([{ onlyFailed: true }]);
    expect(intake.filters.own).toEqual([]);
    stream.close({ code: 0, details: '' });
    expect(intake.filters.all).toEqual([]);
  });

  test.each([
    ['nobody', [], 'no certificate'],
    ['a workload', ['spiffe://cluster.local/ns/shop/sa/web'], 'sa/web'],
  ])('of %s is refused', (_title, principals, shown) => {
    new FakeProxy(intake, 'shop/wp-1');
    const stream = watch(new FakeWatch(principals));
    expect(stream.status?.code).toBe(GRPC_STATUS.permissionDenied);
    expect(stream.status?.details).toContain(shown);
    expect(stream.relays).toEqual([]);
  });

  test('that says nonsense ends', () => {
    const stream = watch();
    stream.handler?.onMessage(Uint8Array.of(0xff));
    expect(stream.status?.code).toBe(GRPC_STATUS.invalidArgument);
  });
});

const TAP = {
  namespaces: [],
  workloads: [],
  services: [],
  methods: [],
  path_prefix: '',
  status_from: 0,
  status_to: 599,
  only_failed: false,
  per_second_max: 10,
};
