import { describe, expect, test } from 'bun:test';
import { settle } from '#test/support/dns-upstreams.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { type MemoryConnection, memoryPair } from '#test/support/memory-connection.ts';
import { framed, MessageReader } from '#wire/dns/framing.ts';
import { TCP_IDLE_MS, TCP_PIPELINED_MAX } from './limits.ts';
import type { Asked, ReplyHandler } from './pod-lookups.ts';
import { TcpClient } from './tcp-client.ts';

interface Query {
  asked: Asked;
  handler: ReplyHandler;
  cancelled: boolean;
  paused: boolean;
}

/** Queries wait until the test answers them; those that begin with 1 are answered at once. */
function rig(capacityBytes?: number) {
  const clock = new FakeClock();
  const [app, proxy] = memoryPair({ capacityBytes });
  const queries: Query[] = [];
  let gone = 0;
  const client = new TcpClient(
    proxy,
    { address: '198.18.0.9', port: 53 },
    {
      clock,
      onGone: () => gone++,
      lookups: {
        handle(asked, handler) {
          if (asked.query[0] === 1) {
            handler.onReply(asked.query);
            return undefined;
          }
          const query: Query = { asked, handler, cancelled: false, paused: false };
          queries.push(query);
          return {
            cancel: () => (query.cancelled = true),
            pause: () => (query.paused = true),
            resume: () => (query.paused = false),
          };
        },
      },
    },
  );
  proxy.handler = client;
  const reader = new MessageReader();
  const got: number[][] = [];
  let ended = false;
  let closed = false;
  app.handler = {
    onData: (bytes) => got.push(...reader.read(bytes).map((each) => [...each])),
    onDrain: () => undefined,
    onEnd: () => {
      ended = true;
    },
    onClose: () => {
      closed = true;
    },
  };
  const state = () => ({ ended, closed, gone });
  return { clock, app, client, queries, got, state };
}

const send = async (app: MemoryConnection, ...messages: number[][]) => {
  app.write(Buffer.concat(messages.map((each) => framed(Uint8Array.from(each)) ?? Buffer.of())));
  await settle();
};

function answer({ handler }: Query, bytes: number[]): void {
  handler.onReply(Uint8Array.from(bytes));
  handler.onDone();
}

describe('TcpClient', () => {
  test('queries go on whole, replies come back in any order', async () => {
    const { app, queries, got } = rig();
    await send(app, [2, 2], [3, 3], [1, 1]);
    expect(queries.map(({ asked }) => [...asked.query])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    expect(queries[0].asked).toMatchObject({ protocol: 'tcp' });
    expect(queries[0].asked.server()).toEqual({ address: '198.18.0.9', port: 53 });
    answer(queries[1], [33]);
    answer(queries[0], [22]);
    await settle();
    expect(got).toEqual([[1, 1], [33], [22]]);
  });

  test('no more than TCP_PIPELINED_MAX are worked on; the rest waits and is not lost', async () => {
    const { app, queries, got } = rig();
    const all = Array.from({ length: TCP_PIPELINED_MAX * 2 + 5 }, (_, index) => [2, index]);
    await send(app, ...all);
    expect(queries.length).toBe(TCP_PIPELINED_MAX);
    for (let index = 0; index < all.length; index++) {
      answer(queries[index], [9, index]);
      await settle();
    }
    expect(got).toEqual(all.map(([, index]) => [9, index]));
  });

  test('a client that does not read is not read either, and gets everything once it does', async () => {
    const { app, queries, got } = rig(1000);
    app.pause();
    const large = new Array<number>(60_000).fill(7);
    await send(app, [2], [2], [2], [2], [2], [2]);
    for (const query of [...queries]) answer(query, large);
    await send(app, [2]);
    await send(app, [2]);
    expect(queries.length).toBe(6);
    app.resume();
    for (let turn = 0; turn < 500 && queries.length < 8; turn++) await settle();
    expect(queries.length).toBe(8);
    expect(got.length).toBeGreaterThan(4);
    expect(got[0]).toEqual(large);
  });

  test('a transfer pauses while the client is slow', async () => {
    const { app, queries } = rig(1000);
    app.pause();
    await send(app, [2]);
    const large = Uint8Array.from(new Array<number>(60_000).fill(7));
    for (let index = 0; index < 6; index++) queries[0].handler.onReply(large);
    expect(queries[0].paused).toBe(true);
    app.resume();
    for (let turn = 0; turn < 500 && queries[0].paused; turn++) await settle();
    expect(queries[0].paused).toBe(false);
  });

  test("after the client's FIN what waits is answered, then it is closed", async () => {
    const { app, queries, got, state } = rig();
    await send(app, [2]);
    app.end();
    await settle();
    expect(state()).toEqual({ ended: false, closed: false, gone: 0 });
    answer(queries[0], [5]);
    await settle();
    expect(got).toEqual([[5]]);
    expect(state()).toEqual({ ended: true, closed: true, gone: 1 });
  });

  test('an idle client is closed in order, and reset when it does not close', async () => {
    const { app, clock, state } = rig();
    await send(app, [1]);
    clock.advance(TCP_IDLE_MS - 1);
    await send(app, [1]);
    clock.advance(TCP_IDLE_MS - 1);
    await settle();
    expect(state().ended).toBe(false);
    clock.advance(1);
    await settle();
    expect(state()).toEqual({ ended: true, closed: false, gone: 0 });
    clock.advance(TCP_IDLE_MS);
    await settle();
    expect(state()).toEqual({ ended: true, closed: true, gone: 1 });
    expect(clock.pending).toBe(0);
  });

  test('bytes that never become a query keep nobody connected', async () => {
    const { app, clock, state } = rig();
    for (let index = 0; index < 5; index++) {
      app.write(Uint8Array.of(1));
      await settle();
      clock.advance(TCP_IDLE_MS / 4);
    }
    await settle();
    expect(state().ended).toBe(true);
  });

  test('a client that waits for a slow answer is not idle', async () => {
    const { app, clock, queries, got, state } = rig();
    await send(app, [2]);
    clock.advance(TCP_IDLE_MS * 3);
    await settle();
    expect(state().ended).toBe(false);
    answer(queries[0], [5]);
    await settle();
    expect(got).toEqual([[5]]);
  });

  test('when the client is gone what waits is cancelled', async () => {
    const { app, queries, state, clock } = rig();
    await send(app, [2], [3]);
    app.reset();
    await settle();
    expect(queries.every(({ cancelled }) => cancelled)).toBe(true);
    expect([state().gone, clock.pending]).toEqual([1, 0]);
  });
});
