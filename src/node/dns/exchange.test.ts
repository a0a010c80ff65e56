import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { ConnectionHandler } from '#net/connection.ts';
import { dnsUpstreams, failure, settle } from '#test/support/dns-upstreams.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { TYPE } from '#wire/dns/codes.ts';
import { framed, MessageReader } from '#wire/dns/framing.ts';
import { encodeMessage, queryFor } from '#wire/dns/message.ts';
import { readId, withId } from '#wire/dns/query.ts';
import type { ExchangeRequest } from './exchange.ts';
import {
  TRANSFER_IDLE_MS,
  UPSTREAM_DEADLINE_MS,
  UPSTREAM_TRIES,
  UPSTREAM_TRY_MS,
} from './limits.ts';
import { TcpExchange } from './tcp-exchange.ts';
import { UdpExchange } from './udp-exchange.ts';

const QUERY = encodeMessage(queryFor(0x0102, 'www.example.org', TYPE.A), 512);

function turned(query: Uint8Array, tail = 1): Uint8Array {
  const answer = Uint8Array.from([...query, tail]);
  answer[2] |= 0x80;
  return answer;
}

function rig(kind: typeof UdpExchange | typeof TcpExchange, servers: number, transfer = false) {
  const clock = new FakeClock();
  const upstreams = dnsUpstreams(clock);
  const responses: Uint8Array[] = [];
  const ends: (string | undefined)[] = [];
  const request: ExchangeRequest = {
    query: QUERY,
    transfer,
    servers: Array.from({ length: servers }, (_, index) => ({
      address: `198.18.0.${index + 1}`,
      port: 53,
      namespace: undefined,
    })),
  };
  const exchange = new kind(upstreams.deps, request, {
    onResponse: (bytes) => responses.push(Uint8Array.from(bytes)),
    onEnd: (reason) => ends.push(reason),
  });
  const asked = () => upstreams.datagrams.map(({ options }) => options.address.at(-1)).join('');
  const dialled = () => upstreams.connections.map(({ options }) => options.address.at(-1)).join('');
  return { ...upstreams, clock, exchange, responses, ends, asked, dialled };
}

describe('UdpExchange', () => {
  test("the first answer ends it: the id is the client's again, nothing is left", () => {
    const { exchange, datagrams, responses, ends, clock } = rig(UdpExchange, 2);
    exchange.start();
    const [{ sent, handler, options }] = datagrams;
    expect(options).toMatchObject({ address: '198.18.0.1', port: 53, mark: 0x539 });
    expect(sent[0].subarray(2)).toEqual(QUERY.subarray(2));
    expect(readId(sent[0])).not.toBe(0x0102);
    handler.onDatagram(turned(sent[0]), options);
    handler.onDatagram(turned(sent[0]), options);
    expect(responses).toEqual([turned(QUERY)]);
    expect(ends).toEqual([undefined]);
    expect([datagrams[0].closed, clock.pending]).toEqual([true, 0]);
  });

  test('silence moves on to the next server, and after the last try it has failed', () => {
    const { exchange, asked, ends, clock, datagrams } = rig(UdpExchange, 2);
    exchange.start();
    clock.advance(UPSTREAM_TRY_MS);
    expect(asked()).toBe('12');
    clock.advance(UPSTREAM_TRY_MS * (UPSTREAM_TRIES - 1) - 1);
    expect([asked(), ends.length]).toEqual(['121', 0]);
    clock.advance(1);
    expect(ends).toEqual(['no answer from 198.18.0.1:53']);
    expect(datagrams.every(({ closed }) => closed)).toBe(true);
    expect(clock.pending).toBe(0);
    expect(UPSTREAM_DEADLINE_MS).toBeLessThan(5000);
  });

  test('each try has an id of its own', () => {
    const { exchange, clock, datagrams } = rig(UdpExchange, 1);
    exchange.start();
    clock.advance(UPSTREAM_DEADLINE_MS);
    expect(new Set(datagrams.map(({ sent }) => readId(sent[0]))).size).toBe(UPSTREAM_TRIES);
  });

  test('a slow answer to an earlier try counts', () => {
    const { exchange, clock, datagrams, responses } = rig(UdpExchange, 2);
    exchange.start();
    clock.advance(UPSTREAM_TRY_MS * 2);
    datagrams[0].handler.onDatagram(turned(datagrams[0].sent[0]), datagrams[0].options);
    expect(responses).toEqual([turned(QUERY)]);
  });

  test('an answer to one try is none to another', () => {
    const { exchange, clock, datagrams, responses } = rig(UdpExchange, 2);
    exchange.start();
    clock.advance(UPSTREAM_TRY_MS);
    datagrams[1].handler.onDatagram(turned(datagrams[0].sent[0]), datagrams[1].options);
    expect(responses).toEqual([]);
  });

  test('a refusal by the network moves on at once', () => {
    const { exchange, asked, datagrams, ends, clock } = rig(UdpExchange, 3);
    exchange.start();
    for (let index = 0; index < 3; index++) datagrams[index].handler.onError(failure('refused'));
    expect([asked(), ends, clock.pending]).toEqual(['123', ['refused'], 0]);
  });

  test('the last refusal waits for the tries that may still be answered', () => {
    const { exchange, clock, datagrams, ends } = rig(UdpExchange, 3);
    exchange.start();
    clock.advance(UPSTREAM_TRY_MS * 2);
    datagrams[2].handler.onError(failure('refused'));
    datagrams[2].handler.onError(failure('refused'));
    expect(ends).toEqual([]);
    datagrams[0].handler.onDatagram(turned(datagrams[0].sent[0]), datagrams[0].options);
    expect(ends).toEqual([undefined]);
  });

  test('where nothing can be sent it fails before it returns', () => {
    const noRoute = rig(UdpExchange, 2);
    noRoute.next.throws = true;
    noRoute.exchange.start();
    expect(noRoute.ends).toEqual(['no route']);
    const noRoom = rig(UdpExchange, 2);
    noRoom.next.sends = false;
    noRoom.exchange.start();
    expect(noRoom.ends).toEqual(['cannot send to 198.18.0.1:53']);
    expect(noRoom.datagrams.every(({ closed }) => closed)).toBe(true);
  });

  test('cancelled it says nothing and leaves nothing', () => {
    const { exchange, datagrams, ends, responses, clock } = rig(UdpExchange, 2);
    exchange.start();
    exchange.cancel();
    datagrams[0].handler.onDatagram(turned(datagrams[0].sent[0]), datagrams[0].options);
    datagrams[0].handler.onError(failure('late'));
    clock.advance(UPSTREAM_DEADLINE_MS);
    expect([ends, responses, datagrams.length, clock.pending]).toEqual([[], [], 1, 0]);
  });

  test('no bytes are taken for an answer but those that answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(QUERY.length * 8 - 1), (noise, bit) => {
        const { exchange, datagrams, responses } = rig(UdpExchange, 1);
        exchange.start();
        const [{ sent, handler, options }] = datagrams;
        handler.onDatagram(noise, options);
        handler.onDatagram(sent[0], options);
        // Any other bit of id, type, class or count: not this question. Flags and case may differ.
        const forged = turned(sent[0]);
        forged[bit >> 3] ^= 1 << (bit & 7);
        const byte = bit >> 3;
        const free = byte === 2 || byte === 3 || (byte > 5 && byte < 12) || (bit & 7) === 5;
        if (!free) handler.onDatagram(forged, options);
        expect(responses).toEqual([]);
        handler.onDatagram(turned(sent[0]), options);
        expect(responses).toEqual([turned(QUERY)]);
      }),
    );
  });
});

describe('TcpExchange', () => {
  /** A server that collects queries. */
  function listener() {
    const reader = new MessageReader();
    const queries: Uint8Array[] = [];
    let closed = false;
    const handler: ConnectionHandler = {
      onData: (bytes) => {
        for (const message of reader.read(bytes)) queries.push(Uint8Array.from(message));
      },
      onDrain: () => undefined,
      onEnd: () => undefined,
      onClose: () => {
        closed = true;
      },
    };
    return { handler, queries, closed: () => closed };
  }

  test('the answer may come in any pieces, after others that are none', async () => {
    const { exchange, connections, accept, responses, ends, clock } = rig(TcpExchange, 2);
    exchange.start();
    const { handler, queries, closed } = listener();
    const server = accept(connections[0], handler);
    await settle();
    expect(connections[0].options).toMatchObject({ address: '198.18.0.1', port: 53, mark: 0x539 });
    expect(queries.map((each) => each.subarray(2))).toEqual([QUERY.subarray(2)]);
    const stream = [withId(turned(queries[0]), readId(queries[0]) ^ 1), turned(queries[0])].flatMap(
      (message) => [...(framed(message) ?? [])],
    );
    for (const byte of stream) {
      server.write(Uint8Array.of(byte));
      await settle();
    }
    expect(responses).toEqual([turned(QUERY)]);
    expect(ends).toEqual([undefined]);
    await settle();
    expect([closed(), clock.pending]).toEqual([true, 0]);
  });

  test('a server that refuses, closes or is silent is followed by the next', async () => {
    const { exchange, connections, accept, dialled, ends, clock } = rig(TcpExchange, 3);
    exchange.start();
    connections[0].handler.onFail(failure('refused'));
    expect(dialled()).toBe('12');
    const { handler } = listener();
    accept(connections[1], handler).end();
    await settle();
    expect(dialled()).toBe('123');
    accept(connections[2], listener().handler);
    clock.advance(UPSTREAM_DEADLINE_MS / 3);
    expect(ends).toEqual(['no answer from 198.18.0.3:53']);
    expect(clock.pending).toBe(0);
  });

  test('one server alone has all the time there is', () => {
    const { exchange, clock, ends } = rig(TcpExchange, 1);
    exchange.start();
    clock.advance(UPSTREAM_DEADLINE_MS - 1);
    expect(ends).toEqual([]);
    clock.advance(1);
    expect(ends.length).toBe(1);
  });

  test('a connection that comes too late is reset', async () => {
    const { exchange, connections, accept, clock } = rig(TcpExchange, 2);
    exchange.start();
    clock.advance(UPSTREAM_DEADLINE_MS / 2);
    const { handler, queries } = listener();
    const server = accept(connections[0], handler);
    await settle();
    expect([queries, server.closed]).toEqual([[], true]);
  });

  test('a transfer passes every message until the server closes', async () => {
    const { exchange, connections, accept, responses, ends } = rig(TcpExchange, 1, true);
    exchange.start();
    const { handler, queries } = listener();
    const server = accept(connections[0], handler);
    await settle();
    const follow = Uint8Array.from([
      ...queries[0].subarray(0, 2),
      0x80,
      0,
      0,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      9,
    ]);
    server.write(framed(turned(queries[0])) ?? new Uint8Array());
    server.write(framed(follow) ?? new Uint8Array());
    await settle();
    expect(responses).toEqual([turned(QUERY), withId(follow, 0x0102)]);
    expect(ends).toEqual([]);
    server.end();
    await settle();
    expect(ends).toEqual([undefined]);
  });

  test('a transfer that stands still is over after a while', async () => {
    const { exchange, connections, accept, ends, clock } = rig(TcpExchange, 1, true);
    exchange.start();
    const { handler, queries, closed } = listener();
    const server = accept(connections[0], handler);
    await settle();
    for (let message = 0; message < 3; message++) {
      server.write(framed(turned(queries[0])) ?? new Uint8Array());
      await settle();
      clock.advance(TRANSFER_IDLE_MS - 1);
      expect(ends).toEqual([]);
    }
    clock.advance(1);
    await settle();
    expect([ends, closed(), clock.pending]).toEqual([[undefined], true, 0]);
  });

  test('cancelled it resets its connection and says nothing', async () => {
    const { exchange, connections, accept, ends, clock } = rig(TcpExchange, 1);
    exchange.start();
    const { handler, closed } = listener();
    accept(connections[0], handler);
    await settle();
    exchange.cancel();
    await settle();
    expect([closed(), ends, clock.pending]).toEqual([true, [], 0]);
  });
});
