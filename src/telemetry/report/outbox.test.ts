import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { NOBODY } from '../flow/flow-book.ts';
import { ANY_REQUEST, hasFailed, matchTap } from '../requests/match-tap.ts';
import type { RequestRecord, TapFilter } from '../requests/request-record.ts';
import {
  FAILED_RECORDS_PER_SECOND_MAX,
  RECORDS_WAITING_MAX,
  SAMPLED_RECORDS_PER_SECOND_MAX,
  SPANS_WAITING_MAX,
  TAPPED_RECORDS_PER_SECOND_MAX,
  TAPS_MAX,
} from './limits.ts';
import { Outbox } from './outbox.ts';
import { WaitingList } from './waiting-list.ts';

const peer = (workload: string, namespace = 'shop') => ({
  ...NOBODY,
  kind: 'workload' as const,
  namespace,
  workload,
});

const RECORD: RequestRecord = {
  startMs: 1_800_000_000_000,
  durationMs: 4.5,
  proxy: 'shop/waypoint-1',
  reporter: 'waypoint',
  protocol: 'http',
  source: peer('web'),
  sourceAddress: '10.0.0.1:40000',
  destination: peer('product-v1'),
  destinationAddress: '10.0.0.2:8080',
  service: 'product.shop.svc.cluster.local',
  isMutualTls: true,
  method: 'GET',
  authority: 'product',
  path: '/a/b?c=d',
  status: 200,
  grpcStatus: '',
  flags: '-',
  reason: '',
  route: 'HTTPRoute shop/product',
  policy: '',
  requestBytes: 100,
  responseBytes: 2000,
  attempts: 1,
  requestId: 'id',
  userAgent: 'curl',
  traceId: '',
  spanId: '',
};
const FAILED: RequestRecord = { ...RECORD, status: 503, flags: 'UF', reason: 'connect failed' };

describe('matchTap', () => {
  const ROWS: [string, Partial<TapFilter>, Partial<RequestRecord>, boolean][] = [
    ['nothing restricted', {}, {}, true],
    ['the namespace of the source', { namespaces: ['a'] }, { source: peer('x', 'a') }, true],
    ['the namespace of neither end', { namespaces: ['a'] }, {}, false],
    ['one of two namespaces', { namespaces: ['a', 'shop'] }, {}, true],
    ['the workload at the source', { workloads: ['shop/web'] }, {}, true],
    ['the workload at the destination', { workloads: ['shop/product-v1'] }, {}, true],
    ['the same name elsewhere', { workloads: ['other/web'] }, {}, false],
    ['the service', { services: ['product.shop.svc.cluster.local'] }, {}, true],
    ['another service', { services: ['product'] }, {}, false],
    ['no service known', { services: [''] }, { service: '' }, false],
    ['another method', { methods: ['POST', 'PUT'] }, {}, false],
    ['the start of the path', { pathPrefix: '/a/' }, {}, true],
    ['another path', { pathPrefix: '/b' }, {}, false],
    ['a status above', { statusFrom: 400 }, {}, false],
    ['a status below', { statusTo: 199 }, {}, false],
    ['the status at both ends', { statusFrom: 200, statusTo: 200 }, {}, true],
    ['nothing answered', { statusTo: 0 }, { status: 0 }, true],
    ['one that went well, of the failed', { onlyFailed: true }, {}, false],
    ['one that failed', { onlyFailed: true }, { status: 500 }, true],
    ['two things of which one fits', { methods: ['GET'], namespaces: ['a'] }, {}, false],
  ];
  test.each(ROWS)('%s', (_title, filter, record, want) => {
    expect(matchTap({ ...ANY_REQUEST, ...filter }, { ...RECORD, ...record })).toBe(want);
  });
});

describe('hasFailed', () => {
  const ROWS: [Partial<RequestRecord>, boolean][] = [
    [{}, false],
    [{ status: 404 }, false],
    [{ status: 403, reason: 'denied by shop/deny' }, true],
    [{ status: 500 }, true],
    [{ status: 0 }, true],
    [{ status: 404, flags: 'NR' }, true],
    [{ protocol: 'tcp', status: 0 }, false],
    [{ protocol: 'tcp', status: 0, flags: 'DENY' }, true],
    [{ protocol: 'grpc', status: 200, grpcStatus: '5' }, false],
  ];
  test.each(ROWS)('%p: %p', (record, want) => {
    expect(hasFailed({ ...RECORD, ...record })).toBe(want);
  });
});

describe('Outbox', () => {
  function make() {
    const clock = new FakeClock();
    let somethings = 0;
    const outbox = new Outbox(clock, { proxy: 'shop/p', onSomething: () => somethings++ });
    return { clock, outbox, told: () => somethings };
  }
  const offer = (outbox: Outbox, record: RequestRecord, times: number) => {
    for (let index = 0; index < times; index++)
      if (outbox.wantsRecord(hasFailed(record), record.durationMs)) outbox.offerRecord(record);
  };

  test('takes failed requests always, others while somebody asks', () => {
    const { outbox, told } = make();
    offer(outbox, RECORD, 1);
    expect(told()).toBe(0);
    offer(outbox, FAILED, 1);
    outbox.tap([{ ...ANY_REQUEST, methods: ['GET'] }]);
    offer(outbox, RECORD, 2);
    offer(outbox, { ...RECORD, method: 'POST' }, 1);
    outbox.tap(undefined);
    offer(outbox, { ...RECORD, durationMs: 5 }, 1);
    expect(outbox.records.take(10)).toEqual([FAILED, RECORD, RECORD]);
    expect(outbox.records.takeDropped()).toBe(0);
    expect(told()).toBe(3);
  });

  test('takes a sample of the others: the first of a second, and those that took longer than all before', () => {
    const { outbox, clock } = make();
    outbox.tap([]);
    const lasting = (...durations: number[]) => {
      for (const durationMs of durations) offer(outbox, { ...RECORD, durationMs }, 1);
      return outbox.records.take(100).map(({ durationMs }) => durationMs);
    };
    expect(lasting(0, 3, 2, 3, 1, 4)).toEqual([0, 3, 4]);
    // One that failed is no measure for the others.
    offer(outbox, { ...FAILED, durationMs: 1000 }, 1);
    expect(lasting(5).at(-1)).toBe(5);
    clock.advance(1000);
    expect(lasting(2, 1)).toEqual([2]);
    clock.advance(1000);
    const rising = Array.from({ length: 20 }, (_, index) => index);
    expect(lasting(...rising)).toHaveLength(SAMPLED_RECORDS_PER_SECOND_MAX);
    expect(outbox.records.takeDropped()).toBe(0);
  });

  test('takes so many failed ones a second, and counts the others', () => {
    const { outbox, clock } = make();
    offer(outbox, FAILED, FAILED_RECORDS_PER_SECOND_MAX + 7);
    expect(outbox.records.takeDropped()).toBe(7);
    clock.advance(1000);
    offer(outbox, FAILED, 1);
    expect(outbox.records.take(1000)).toHaveLength(FAILED_RECORDS_PER_SECOND_MAX + 1);
  });

  test('takes of each filter what it asks for, and of all together no more than a person reads', () => {
    const { outbox, clock } = make();
    outbox.tap([{ ...ANY_REQUEST, perSecondMax: 3 }]);
    offer(outbox, RECORD, 10);
    expect(outbox.records.take(100)).toHaveLength(3);
    expect(outbox.records.takeDropped()).toBe(7);
    outbox.tap([ANY_REQUEST, ANY_REQUEST, ANY_REQUEST]);
    outbox.tap(Array(3).fill({ ...ANY_REQUEST, perSecondMax: 1000 }));
    clock.advance(1000);
    offer(outbox, RECORD, 2 * TAPPED_RECORDS_PER_SECOND_MAX);
    expect(outbox.records.take(10_000)).toHaveLength(TAPPED_RECORDS_PER_SECOND_MAX);
    expect(outbox.records.takeDropped()).toBe(TAPPED_RECORDS_PER_SECOND_MAX);
  });

  test('holds no more filters than it may', () => {
    const { outbox } = make();
    const filter = (path: number) => ({ ...ANY_REQUEST, pathPrefix: `/${path}/` });
    outbox.tap(Array.from({ length: TAPS_MAX + 1 }, (_, index) => filter(index)));
    offer(outbox, { ...RECORD, path: `/${TAPS_MAX}/`, durationMs: -1 }, 1);
    offer(outbox, { ...RECORD, path: `/${TAPS_MAX - 1}/` }, 1);
    expect(outbox.records.take(10)).toHaveLength(1);
  });

  test('a record that fits several filters goes out once', () => {
    const { outbox } = make();
    outbox.tap([ANY_REQUEST, { ...ANY_REQUEST, onlyFailed: true }]);
    offer(outbox, FAILED, 1);
    expect(outbox.records.take(10)).toHaveLength(1);
  });

  test('its bounds are those of limits.ts', () => {
    const { outbox } = make();
    for (let index = 0; index < SPANS_WAITING_MAX + 5; index++)
      outbox.offerSpan({ name: String(index) } as never);
    expect(outbox.spans.takeDropped()).toBe(5);
    expect(outbox.spans.take(1)[0].name).toBe('5');
    expect(RECORDS_WAITING_MAX).toBeGreaterThan(FAILED_RECORDS_PER_SECOND_MAX);
  });
});

describe('WaitingList', () => {
  test('keeps the newest, in order, and counts every other one', () => {
    const operation = fc.oneof(
      fc.record({ add: fc.nat(20) }),
      fc.record({ take: fc.nat(20) }),
      fc.constant('dropped' as const),
    );
    fc.assert(
      fc.property(fc.array(operation), (operations) => {
        const list = new WaitingList<number>(5);
        let next = 0;
        let gone = 0;
        let last = -1;
        const took = (items: number[]) => {
          expect(items.length).toBeLessThanOrEqual(5);
          for (const item of items) {
            expect(item).toBeGreaterThan(last);
            last = item;
          }
          gone += items.length;
        };
        for (const each of operations) {
          if (each === 'dropped') gone += list.takeDropped();
          else if ('take' in each) took(list.take(each.take));
          else for (let index = 0; index < each.add; index++) list.add(next++);
        }
        took(list.take(100));
        gone += list.takeDropped();
        expect(gone).toBe(next);
      }),
    );
  });
});
