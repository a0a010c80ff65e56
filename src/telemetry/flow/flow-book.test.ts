import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FlowBook, NOBODY } from './flow-book.ts';
import type { FlowEdge, FlowSample } from './flow-frame.ts';
import type { EdgeFacts } from './flow-tally.ts';
import { FrameRing } from './frame-ring.ts';
import { EDGE_FORGOTTEN_SECONDS } from './limits.ts';
import { ReportClock } from './report-clock.ts';

function facts(workload: string, protocol: FlowEdge['protocol'] = 'http'): EdgeFacts {
  return {
    reporter: 'waypoint',
    protocol,
    source: { ...NOBODY, kind: 'workload', namespace: 'shop', workload: 'web' },
    destination: { ...NOBODY, kind: 'workload', namespace: 'shop', workload },
    service: { host: 'a.shop.svc.cluster.local', namespace: 'shop', name: 'a' },
    isMutualTls: true,
  };
}

describe('FlowBook', () => {
  test('makes a sample of what was counted since the last one, and none of what rested', () => {
    const book = new FlowBook();
    const tally = book.tally(facts('v1'));
    const fine = tally.outcome(200, -1, '-');
    const bad = tally.outcome(503, -1, 'UF');
    fine.add(0.4, 100, 1000);
    fine.add(7, 100, 1000);
    bad.add(5, 100, 50);
    expect(book.take(1)).toEqual([
      {
        edge: 0,
        requests: 3,
        codes: [
          [200, 2],
          [503, 1],
        ],
        grpcStatuses: [],
        flags: [['UF', 1]],
        latency: [
          [0, 1],
          [2, 1],
          [3, 1],
        ],
        durationMsSum: 12.4,
        opened: 0,
        closed: 0,
        failed: 0,
        sentBytes: 300,
        receivedBytes: 2050,
      },
    ]);
    expect(book.take(2)).toEqual([]);
    fine.add(1, 1, 1);
    expect(book.take(3)).toMatchObject([{ requests: 1, codes: [[200, 1]], latency: [[1, 1]] }]);
  });

  test('counts connections with their flags, and what live ones moved when it is asked', () => {
    const book = new FlowBook();
    const tally = book.tally(facts('db', 'tcp'));
    let moved = 0;
    book.onTake(() => {
      tally.bytes(moved, 2 * moved);
      moved = 0;
    });
    tally.open();
    tally.open();
    tally.fail('DENY');
    tally.close();
    moved = 10;
    expect(book.take(1)).toMatchObject([
      { opened: 2, closed: 1, failed: 1, flags: [['DENY', 1]], sentBytes: 10, receivedBytes: 20 },
    ]);
    expect(book.take(2)).toEqual([]);
    moved = 5;
    expect(book.take(3)).toMatchObject([{ opened: 0, sentBytes: 5 }]);
  });

  test('holders of the same edge share a tally; gRPC keeps its statuses', () => {
    const book = new FlowBook();
    const tally = book.tally(facts('v1', 'grpc'));
    expect(book.tally(facts('v1', 'grpc'))).toBe(tally);
    expect(book.tally(facts('v1'))).not.toBe(tally);
    tally.outcome(200, 0, '-').add(1, 1, 1);
    tally.outcome(200, 14, '-').add(1, 1, 1);
    expect(book.take(1)).toMatchObject([
      {
        codes: [[200, 2]],
        grpcStatuses: [
          [0, 1],
          [14, 1],
        ],
      },
    ]);
  });

  test('tells each stream of an edge once, and of those that had something since', () => {
    const book = new FlowBook();
    book.tally(facts('v1')).open();
    book.take(1);
    book.tally(facts('v2')).open();
    book.take(2);
    const workloads = (edges: FlowEdge[]) => edges.map((each) => each.destination.workload);
    expect(workloads(book.untold(1, 1))).toEqual(['v2']);
    expect(workloads(book.untold(1, 0))).toEqual(['v1']);
    expect(book.untold(1, 0)).toEqual([]);
    expect(workloads(book.untold(2, -1))).toEqual(['v1', 'v2']);
  });

  test('sums what is above its bound on one edge between unknown ends', () => {
    const book = new FlowBook({ edgesMax: 3 });
    for (let index = 0; index < 10; index++) book.tally(facts(`w${index}`)).open();
    const samples = book.take(1);
    expect(samples.reduce((sum, { opened }) => sum + opened, 0)).toBe(10);
    expect(new Set(samples.map(({ edge }) => edge)).size).toBe(samples.length);
    const overflow = book.untold(1, -1).find(({ source }) => source.kind === 'unknown');
    expect(samples.find(({ edge }) => edge === overflow?.id)?.opened).toBe(7);
    expect(book.size).toBeLessThanOrEqual(4);
  });

  test('forgets what was idle for long, gives its id to another, and counts on for who still holds it', () => {
    const book = new FlowBook();
    const old = book.tally(facts('old'));
    old.open();
    expect(book.take(1)[0].edge).toBe(0);
    book.untold(1, 0);
    book.sweep(1 + EDGE_FORGOTTEN_SECONDS);
    expect(book.size).toBe(0);
    book.tally(facts('new')).open();
    expect(book.take(300)[0].edge).toBe(0);
    expect(book.untold(1, 299)).toMatchObject([{ id: 0, destination: { workload: 'new' } }]);
    old.open();
    expect(book.take(301)[0].edge).toBe(1);
    expect(book.untold(1, 300)).toMatchObject([{ id: 1, destination: { workload: 'old' } }]);
  });

  test('neither loses nor doubles anything, whatever is counted, taken and forgotten when', () => {
    const step = fc.oneof(
      fc.record({ edge: fc.nat(6), count: fc.integer({ min: 1, max: 5 }) }),
      fc.constantFrom('take', 'sweep', 'hold'),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const book = new FlowBook({ edgesMax: 4 });
        const held = new Map<number, ReturnType<FlowBook['tally']>>();
        let counted = 0;
        let second = 0;
        const taken: FlowSample[] = [];
        for (const each of steps) {
          if (each === 'take') {
            const samples = book.take(++second);
            expect(new Set(samples.map(({ edge }) => edge)).size).toBe(samples.length);
            taken.push(...samples);
          } else if (each === 'sweep') {
            second += EDGE_FORGOTTEN_SECONDS;
            book.sweep(second);
          } else if (each === 'hold') held.clear();
          else {
            const tally = held.get(each.edge) ?? book.tally(facts(`w${each.edge}`));
            held.set(each.edge, tally);
            for (let index = 0; index < each.count; index++)
              tally.outcome(200, -1, '-').add(1, 1, 1);
            counted += each.count;
          }
        }
        taken.push(...book.take(++second));
        expect(taken.reduce((sum, { requests }) => sum + requests, 0)).toBe(counted);
        const codes = taken.flatMap((sample) => sample.codes.map(([, count]) => count));
        expect(codes.reduce((sum, count) => sum + count, 0)).toBe(counted);
      }),
    );
  });

  test('a sample of another thread adds up with its own', () => {
    const one = new FlowBook();
    const other = new FlowBook();
    for (const book of [one, other]) {
      const tally = book.tally(facts('v1', 'grpc'));
      tally.outcome(200, 14, 'UF').add(3, 10, 20);
      tally.open();
      tally.fail('UF');
    }
    for (const sample of other.take(1)) one.tally(facts('v1', 'grpc')).add(sample);
    expect(one.take(1)).toMatchObject([
      {
        requests: 2,
        codes: [[200, 2]],
        grpcStatuses: [[14, 2]],
        flags: [['UF', 4]],
        latency: [[2, 2]],
        durationMsSum: 6,
        opened: 2,
        failed: 2,
        sentBytes: 20,
        receivedBytes: 40,
      },
    ]);
  });
});

describe('FrameRing', () => {
  const frame = (second: number, size = 10) => ({ second, bytes: new Uint8Array(size) });

  test('keeps the last seconds, and no more than its bytes', () => {
    const ring = new FrameRing({ seconds: 5, bytes: 35 });
    for (let second = 1; second <= 10; second++) ring.push(frame(second));
    expect(ring.after(-1)?.second).toBe(8);
    expect(ring.after(9)?.second).toBe(10);
    expect(ring.after(10)).toBeUndefined();
    expect(ring.bytes).toBe(30);
    ring.push(frame(20));
    expect(ring.after(-1)?.second).toBe(20);
    // One that is larger than all of it is still sent once.
    ring.push(frame(21, 100));
    expect(ring.after(-1)?.second).toBe(21);
    expect(ring.newest).toBe(21);
  });
});

describe('ReportClock', () => {
  test('follows the wall clock, and stands when that goes back until it has caught up', () => {
    const clock = new FakeClock(10_000);
    let back = 0;
    const time = new ReportClock({
      ...clock,
      now: () => clock.now(),
      wallTime: () => clock.wallTime() - back,
    } as FakeClock);
    expect(time.now()).toBe(10_000);
    clock.advance(700);
    expect(time.now()).toBe(10_700);
    expect(time.untilNextSecond(0)).toBe(300);
    expect(time.untilNextSecond(100)).toBe(400);
    back = 3_600_000;
    expect(time.now()).toBe(10_700);
    clock.advance(100);
    expect(time.now()).toBe(10_800);
    back = -60_000;
    expect(time.now()).toBeGreaterThan(70_000);
  });
});
