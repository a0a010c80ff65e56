/** HTTP/2 over the in-memory pair: tunnels, flow control under any cut and pausing, draining, loss. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { type Clock, systemClock } from '#base/clock.ts';
import { cutPair, settle } from '#test/support/cut-pair.ts';
import { Recorder, type Served } from '#test/support/h2-recorder.ts';
import * as code from '#wire/h2/codes.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { H2Connection } from './connection.ts';

const clock: Clock = systemClock;

function connect(
  options: { capacityBytes?: number; cut?: (n: number) => number; streams?: number } = {},
) {
  const pair = cutPair(options);
  const served: Served[] = [];
  const closes: string[] = [];
  const client = new H2Connection(
    pair[0],
    { clock },
    { role: 'client' },
    {
      onStream: () => undefined,
      onChange: () => undefined,
      onClose: (error) => closes.push(`client ${error?.code}`),
    },
  );
  const server = new H2Connection(
    pair[1],
    { clock },
    { role: 'server', concurrentStreamsMax: options.streams ?? 100 },
    {
      onStream(stream, head, end) {
        const recorder = new Recorder();
        recorder.stream = stream;
        stream.handler = recorder;
        served.push({ stream, head, end, recorder });
      },
      onChange: () => undefined,
      onClose: (error) => closes.push(`server ${error?.code}`),
    },
  );
  pair[0].handler = client;
  pair[1].handler = server;
  return { pair, client, server, served, closes };
}

function open(client: H2Connection, head: MessageHead, end: boolean): Recorder {
  const recorder = new Recorder();
  recorder.stream = client.openStream(head, end, recorder);
  return recorder;
}

const connectTo = (authority: string) => MessageHead.request('CONNECT', authority, '');

describe('H2Connection', () => {
  test('tunnels bytes both ways with half-close, and ends at 0 streams', async () => {
    const { pair, client, server, served } = connect();
    const tunnel = open(client, connectTo('10.0.0.1:80'), false);
    await settle(pair);
    expect([served[0].head.method, served[0].head.authority]).toEqual(['CONNECT', '10.0.0.1:80']);
    served[0].stream.respond(MessageHead.response(200), false);
    tunnel.send(Buffer.from('ping'), true);
    await settle(pair);
    expect([tunnel.status, served[0].recorder.bytes.toString()]).toEqual([200, 'ping']);
    expect([served[0].recorder.ended, tunnel.ended]).toEqual([true, false]);
    served[0].recorder.send(Buffer.from('pong'), true);
    await settle(pair);
    expect([tunnel.bytes.toString(), tunnel.ended]).toEqual(['pong', true]);
    expect([client.active, server.active]).toEqual([0, 0]);
    expect([tunnel.resets, served[0].recorder.resets]).toEqual([[], []]);
  });

  test('coalesces all frames of a turn into one write', async () => {
    const { pair, client } = connect();
    await settle(pair);
    const before = pair[0].writes;
    for (let index = 0; index < 10; index++) open(client, connectTo(`10.0.0.${index}:1`), true);
    await settle(pair);
    expect(pair[0].writes - before).toBe(1);
  });

  test('moves every byte in order under any cut, buffer size, and pausing, on many streams', async () => {
    const run = async (seed: {
      cuts: number[];
      capacity: number;
      sizes: number[];
      pauses: boolean[];
    }) => {
      let at = 0;
      // One piece in each round is large, so that a run of tiny ones ends.
      const cut = () => [...seed.cuts, 30_000][at++ % (seed.cuts.length + 1)];
      const { pair, client, server, served } = connect({ cut, capacityBytes: seed.capacity });
      const sent = seed.sizes.map((size, index) => Buffer.alloc(size, index + 1));
      const tunnels = sent.map((bytes) => {
        const tunnel = open(client, connectTo('a:1'), false);
        tunnel.send(bytes, true);
        return tunnel;
      });
      await settle(pair);
      served.forEach(({ stream, recorder }, index) => {
        stream.respond(MessageHead.response(200), false);
        if (seed.pauses[index % seed.pauses.length]) tunnels[index].stream?.pause();
        recorder.send(recorder.bytes, true);
      });
      await settle(pair);
      for (const tunnel of tunnels) tunnel.stream?.resume();
      await settle(pair);
      expect(served.map(({ recorder }) => recorder.bytes.length)).toEqual(seed.sizes);
      expect(tunnels.every((tunnel, index) => tunnel.bytes.equals(sent[index]))).toBe(true);
      expect(tunnels.every((tunnel) => tunnel.ended)).toBe(true);
      expect([client.active, server.active]).toEqual([0, 0]);
    };
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          cuts: fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 5 }),
          capacity: fc.integer({ min: 2000, max: 100_000 }),
          sizes: fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 1, maxLength: 4 }),
          pauses: fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
        }),
        run,
      ),
      { numRuns: 8 },
    );
  }, 30_000);

  test('gives no credit while the reader is paused: the writer stops at the stream window', async () => {
    const { pair, client, served } = connect();
    const tunnel = open(client, connectTo('a:1'), false);
    await settle(pair);
    served[0].stream.pause();
    tunnel.send(Buffer.alloc(1_000_000), true);
    await settle(pair);
    expect(served[0].recorder.bytes.length).toBe(0);
    expect(tunnel.stream?.sendWindow).toBe(0);
    served[0].stream.resume();
    await settle(pair);
    expect(served[0].recorder.bytes.length).toBe(1_000_000);
    expect(served[0].recorder.ended).toBe(true);
  });

  test('bounds streams by the peer’s setting', async () => {
    const { pair, client, served } = connect({ streams: 2 });
    await settle(pair);
    expect(client.capacity).toBe(2);
    open(client, connectTo('a:1'), false);
    const second = open(client, connectTo('a:2'), false);
    expect([client.capacity, open(client, connectTo('a:3'), false).stream]).toEqual([0, undefined]);
    second.stream?.reset(code.CANCEL);
    await settle(pair);
    expect(client.capacity).toBe(1);
    expect(served[1].recorder.resets.map((reset) => [reset.code, reset.initiator])).toEqual([
      [code.CANCEL, 'them'],
    ]);
  });

  test('a draining server still serves what was on its way; running streams finish, then both close', async () => {
    const { pair, client, server, served, closes } = connect();
    const running = open(client, connectTo('a:1'), false);
    await settle(pair);
    server.drain();
    const late = open(client, connectTo('a:2'), false);
    await settle(pair);
    expect([served.length, late.resets, client.capacity, closes]).toEqual([2, [], 0, []]);
    for (const { stream } of served) stream.respond(MessageHead.response(200), true);
    for (const { stream } of [running, late]) stream?.end();
    await settle(pair);
    expect(closes.sort()).toEqual(['client undefined', 'server undefined']);
    expect([...running.resets, ...late.resets]).toEqual([]);
  });

  test('tells every stream when the connection is lost', async () => {
    const { pair, client, closes } = connect();
    const tunnel = open(client, connectTo('a:1'), false);
    await settle(pair);
    pair[1].reset();
    expect(tunnel.resets.map(({ initiator, error }) => [initiator, error.code])).toEqual([
      ['connection', 'H2_CONNECTION_LOST'],
    ]);
    expect(closes.sort()).toEqual(['client H2_CONNECTION_LOST', 'server H2_CONNECTION_LOST']);
    expect(client.closed).toBe(true);
  });
});
