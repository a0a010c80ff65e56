import { describe, expect, test } from 'bun:test';
import { FlowBook, NOBODY } from '#telemetry/flow/flow-book.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FlowReceiver, type RelayedFlow, relayFlows } from './flow-relay.ts';

const facts = (workload: string) => ({
  reporter: 'source' as const,
  protocol: 'tcp' as const,
  source: NOBODY,
  destination: { ...NOBODY, workload },
  service: { host: '', namespace: '', name: '' },
  isMutualTls: true,
});

describe('relayFlows', () => {
  test('hands over each second what a worker counted; the main thread has it on its own edges', () => {
    const clock = new FakeClock();
    const books = [new FlowBook(), new FlowBook()];
    const main = new FlowBook();
    const sent: RelayedFlow[] = [];
    const stops = books.map((book) => {
      const receiver = new FlowReceiver(main);
      return relayFlows(clock, book, (flow) => {
        sent.push(flow);
        // As between threads.
        receiver.take(structuredClone(flow));
      });
    });
    clock.advance(1000);
    expect(sent).toEqual([]);
    books[0].tally(facts('a')).open();
    books[1].tally(facts('b')).open();
    books[1].tally(facts('a')).bytes(5, 6);
    main.tally(facts('a')).open();
    clock.advance(1000);
    expect(sent.map(({ edges }) => edges.length)).toEqual([1, 2]);
    expect(main.take(1)).toMatchObject([
      { opened: 2, sentBytes: 5, receivedBytes: 6 },
      { opened: 1 },
    ]);
    books[0].tally(facts('a')).close();
    clock.advance(1000);
    // An edge is said once.
    expect(sent.at(-1)).toMatchObject({ edges: [], samples: [{ closed: 1 }] });
    expect(main.take(2)).toMatchObject([{ closed: 1 }]);
    for (const stop of stops) stop();
    expect(clock.pending).toBe(0);
  });
});
