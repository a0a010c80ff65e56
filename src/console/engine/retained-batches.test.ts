import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { edge, peer, sample } from '#test/support/flows.ts';
import type { ToEngine } from './messages.ts';
import { RetainedBatches } from './retained-batches.ts';
import { readSink } from './sink-wire.ts';
import { ThreadSink } from './thread-sink.ts';

/** What a thread makes of what it is told: each frame with the name that its edge had at that time. */
class Heard {
  readonly frames: string[] = [];
  readonly #edges = new Map<string, Map<number, string>>();

  take(bytes: Uint8Array): void {
    readSink(bytes, {
      opened: (proxy) => this.#edges.set(proxy, new Map()),
      edge: (proxy, { id, source }) => this.#edges.get(proxy)?.set(id, source.workload),
      frame: (proxy, { second, samples }) => {
        for (const each of samples)
          this.frames.push(`${proxy} ${second} ${this.#edges.get(proxy)?.get(each.edge)}`);
      },
    });
  }
}

function sinkTo(take: (message: ToEngine) => boolean, retained = new RetainedBatches()) {
  const clock = new FakeClock();
  return { clock, sink: new ThreadSink(clock, { tell: take }, retained) };
}

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('frame' as const), id: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('edge' as const), id: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const), id: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), id: fc.nat(900) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('booked' as const), id: fc.nat(1500) }) },
);

describe('RetainedBatches', () => {
  test('a second thread hears all that the first did not book, with edges as they were named then', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const first = new Heard();
        const heardAt: { frame: string; sentMs: number }[] = [];
        let isRunning = true;
        const second = new Heard();
        const { clock, sink } = sinkTo((message) => {
          if (message.kind !== 'sink') return true;
          if (!isRunning) second.take(message.bytes);
          else {
            const before = first.frames.length;
            first.take(message.bytes);
            for (const frame of first.frames.slice(before))
              heardAt.push({ frame, sentMs: message.sentMs });
          }
          return true;
        });
        let at = 0;
        let named = 0;
        let bookedMs = 0;
        const proxies = ['a/p', 'a/q'];
        for (const proxy of proxies) sink.opened(proxy);
        for (const { kind, id } of actions) {
          const proxy = proxies[id % 2];
          if (kind === 'wait') clock.advance(id);
          else if (kind === 'edge') sink.edge(proxy, edge(id, { source: peer(`w${named++}`) }));
          else if (kind === 'reopen') {
            sink.closed(proxy);
            sink.opened(proxy);
          } else if (kind === 'booked') {
            bookedMs = Math.max(bookedMs, clock.wallTime() - id);
            sink.booked(bookedMs);
          } else
            sink.frame(
              proxy,
              { second: ++at, samples: [sample(id, { requests: 1 })] },
              { second: at, receivedMs: clock.wallTime() },
            );
        }
        sink.flush();
        isRunning = false;
        sink.retell({ withRetained: true });
        const wanted = heardAt.filter(({ sentMs }) => sentMs >= bookedMs);
        expect(second.frames).toEqual(wanted.map(({ frame }) => frame));
        expect(sink.lostFrames).toBe(0);
        sink.stop();
      }),
      { numRuns: 300 },
    );
  });

  test('holds no more bytes than it may, and counts what is lost of it when a thread dies', () => {
    const heard = new Heard();
    let told = false;
    const { clock, sink } = sinkTo((message) => {
      if (message.kind === 'sink' && told) heard.take(message.bytes);
      return true;
    }, new RetainedBatches(2000));
    sink.opened('a/p');
    sink.edge('a/p', edge(0));
    for (let at = 0; at < 100; at++) {
      sink.frame(
        'a/p',
        { second: at, samples: [sample(0, { requests: 1 })] },
        { second: at, receivedMs: clock.wallTime() },
      );
      clock.advance(1000);
    }
    told = true;
    sink.retell({ withRetained: true });
    expect(heard.frames.length).toBeGreaterThan(5);
    expect(sink.lostFrames).toBe(100 - heard.frames.length);
    expect(heard.frames.at(-1)).toBe('a/p 99 web');
    sink.stop();
  });

  test('what was booked is not lost, however much it was', () => {
    const { clock, sink } = sinkTo(() => true, new RetainedBatches(500));
    sink.opened('a/p');
    sink.edge('a/p', edge(0));
    for (let at = 0; at < 100; at++) {
      const frame = { second: at, samples: [sample(0, { requests: 1 })] };
      sink.frame('a/p', frame, { second: at, receivedMs: clock.wallTime() });
      clock.advance(1000);
    }
    sink.booked(clock.wallTime());
    sink.retell({ withRetained: true });
    expect(sink.lostFrames).toBe(0);
    sink.stop();
  });

  test('what may have killed two threads is not told to a third; the streams go on', () => {
    const heard = new Heard();
    const { clock, sink } = sinkTo((message) => {
      if (message.kind === 'sink') heard.take(message.bytes);
      return true;
    });
    const frame = (second: number) => ({ second, samples: [sample(0, { requests: 1 })] });
    sink.opened('a/p');
    sink.edge('a/p', edge(0));
    sink.frame('a/p', frame(1), { second: 1, receivedMs: clock.wallTime() });
    sink.flush();
    heard.frames.length = 0;
    sink.retell({ withRetained: false });
    sink.frame('a/p', frame(2), { second: 2, receivedMs: clock.wallTime() });
    sink.flush();
    expect(heard.frames).toEqual(['a/p 2 web']);
    expect(sink.lostFrames).toBe(1);
    sink.stop();
  });

  test('spans and records that came while no thread ran are told as dropped', () => {
    const told: ToEngine[] = [];
    let isRunning = false;
    const { sink } = sinkTo((message) => {
      if (isRunning) told.push(message);
      return isRunning;
    });
    sink.spans('a/p', [{}, {}] as never);
    sink.records('a/p', [{}] as never);
    sink.dropped('a/p', { spans: 3, records: 0 });
    isRunning = true;
    sink.retell({ withRetained: true });
    sink.retell({ withRetained: true });
    expect(told).toEqual([{ kind: 'dropped', spans: 5, records: 1 }]);
    sink.stop();
  });
});
