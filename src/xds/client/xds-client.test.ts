import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { createLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type { ClientStreamHandler } from '#http/grpc/channel.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  Resource,
} from '#wire/protobuf/discovery.ts';
import { Any } from '#wire/protobuf/well-known.ts';
import type { ResourceType } from '../resources/resource-type.ts';
import { startXdsClient, type XdsTransport } from './xds-client.ts';

const decodeText = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const typeOf = (typeUrl: string): ResourceType<string> => ({
  typeUrl,
  name: (value) => value,
  encode: (value) => new TextEncoder().encode(value),
  decode: (bytes) =>
    decodeText(bytes).startsWith('bad') ? { reason: 'it is bad' } : { value: decodeText(bytes) },
  aliases: () => [],
});
const APPLE = typeOf('t/Apple');
const PEAR = typeOf('t/Pear');

/** The server's end of every stream that the client opened. */
class FakeTransport implements XdsTransport {
  readonly streams: {
    handler: ClientStreamHandler;
    requests: DeltaDiscoveryRequest[];
    cancelled: boolean;
  }[] = [];
  refusal: MeshError | undefined;
  attempts = 0;

  open(handler: ClientStreamHandler) {
    this.attempts++;
    if (this.refusal !== undefined) throw this.refusal;
    const stream = { handler, requests: [] as DeltaDiscoveryRequest[], cancelled: false };
    this.streams.push(stream);
    return {
      send(bytes: Uint8Array) {
        const request = DeltaDiscoveryRequest.decode(bytes);
        if (typeof request === 'string') throw new Error(request);
        stream.requests.push(request);
      },
      cancel() {
        stream.cancelled = true;
        handler.onClose(undefined);
      },
    };
  }

  get last() {
    return this.streams[this.streams.length - 1];
  }

  answer(
    type: ResourceType<string>,
    some: { nonce: string; values?: [string, string][]; removed?: string[] },
  ) {
    const resources = (some.values ?? []).map(([name, value]) =>
      Resource.create({
        name,
        version: `v-${value}`,
        resource: Any.create({ type_url: type.typeUrl, value: type.encode(value) }),
      }),
    );
    const response = DeltaDiscoveryResponse.create({
      type_url: type.typeUrl,
      nonce: some.nonce,
      resources,
      removed_resources: some.removed ?? [],
    });
    this.last.handler.onMessage(DeltaDiscoveryResponse.encode(response));
  }
}

function setup(refusal?: MeshError) {
  const clock = new FakeClock();
  const transport = new FakeTransport();
  transport.refusal = refusal;
  const lines: string[] = [];
  const log = createLogger('xds', { clock, write: (line) => void lines.push(line) });
  const client = startXdsClient(
    { clock, random: seededRandom(1), log, transport },
    {
      node: { type: 'ztunnel', ip: '198.18.0.1', podName: 'a', podNamespace: 'b', metadata: {} },
      types: [APPLE, PEAR],
    },
  );
  return { clock, transport, client, lines };
}

const LOST = new MeshError('GRPC_UNAVAILABLE', 'connection lost', { side: 'upstream', hint: 'x' });

describe('XdsClient', () => {
  test('asks for every type in order, naming itself', () => {
    const { transport } = setup();
    expect(transport.last.requests).toMatchObject([
      { type_url: APPLE.typeUrl, node: { id: 'ztunnel~198.18.0.1~a.b~b.svc.cluster.local' } },
      { type_url: PEAR.typeUrl },
    ]);
  });

  test('is synced when every type was answered, also with nothing', async () => {
    const { transport, client } = setup();
    let synced = false;
    const waiting = client.whenSynced().then(() => {
      synced = true;
    });
    transport.answer(APPLE, { nonce: '1', values: [['a', 'x']] });
    await Promise.resolve();
    expect(synced).toBe(false);
    expect(client.store(PEAR).synced).toBe(false);
    transport.answer(PEAR, { nonce: '2' });
    await waiting;
    expect(client.store(APPLE).get('a')).toBe('x');
  });

  test('the store is whole when it tells, and the ACK goes out after that', () => {
    const { transport, client } = setup();
    const store = client.store(APPLE);
    const seen: unknown[] = [];
    store.onChange(({ changed, removed }) =>
      seen.push({
        changed,
        removed,
        all: [...store.entries()],
        acks: transport.last.requests.length,
      }),
    );
    transport.answer(APPLE, {
      nonce: '1',
      values: [
        ['a', 'x'],
        ['b', 'y'],
      ],
    });
    transport.answer(APPLE, { nonce: '2', values: [['b', 'z']], removed: ['a', 'never'] });
    expect(seen).toEqual([
      {
        changed: ['a', 'b'],
        removed: [],
        all: [
          ['a', 'x'],
          ['b', 'y'],
        ],
        acks: 2,
      },
      { changed: ['b'], removed: ['a'], all: [['b', 'z']], acks: 3 },
    ]);
    expect(transport.last.requests.at(-1)).toMatchObject({ response_nonce: '2', node: undefined });
  });

  test('keeps everything while away and says on return what it has, without what it refused', () => {
    const { transport, client, clock } = setup();
    transport.answer(APPLE, { nonce: '1', values: [['a', 'x']] });
    transport.answer(APPLE, {
      nonce: '2',
      values: [
        ['a', 'bad'],
        ['b', 'bad'],
      ],
    });
    expect(transport.last.requests.at(-1)?.error_detail?.message).toBe(
      'a: it is bad; b: it is bad',
    );
    const states: boolean[] = [];
    client.onConnection((connected) => states.push(connected));
    transport.last.handler.onClose(LOST);
    expect(client.store(APPLE).get('a')).toBe('x');
    expect(client.status()).toMatchObject({
      connected: false,
      lastError: 'connection lost',
      terminations: { ConnectionError: 0, Error: 1, Complete: 0 },
      types: [{ messages: 2 }, {}],
    });
    clock.advance(10);
    expect(transport.streams.length).toBe(2);
    expect(transport.last.requests[0].initial_resource_versions).toEqual(new Map([['a', 'v-x']]));
    expect(client.connected).toBe(false);
    transport.answer(APPLE, { nonce: '3' });
    expect(states).toEqual([false, true]);
    expect(client.status().lastError).toBeUndefined();
  });

  test('backs off up to the cap, afresh after a stream that lived', () => {
    const { transport, clock } = setup(LOST);
    clock.advance(60_000);
    // 10 ms growing by half each time: about 16 attempts to the cap of 5 s, then one in 4 to 5 s.
    expect(transport.attempts).toBeGreaterThan(20);
    expect(transport.attempts).toBeLessThan(40);
    transport.refusal = undefined;
    clock.advance(5_000);
    expect(transport.streams.length).toBe(1);
    clock.advance(2_000);
    transport.last.handler.onClose(LOST);
    clock.advance(10);
    expect(transport.streams.length).toBe(2);
  });

  test('tells of a stream that is down once for each cause, and that it is up again', () => {
    const { transport, clock, lines } = setup(LOST);
    clock.advance(60_000);
    const other = new MeshError('GRPC_REFUSED', 'token refused', { side: 'upstream', hint: 'x' });
    transport.refusal = other;
    clock.advance(60_000);
    transport.refusal = undefined;
    clock.advance(5_000);
    transport.answer(APPLE, { nonce: '1' });
    expect(lines.map((line) => line.split('\t').slice(1).join(' '))).toEqual([
      expect.stringMatching(/^warn xds xDS stream is down.*"connection lost"/),
      expect.stringMatching(/^warn xds xDS stream is down.*"token refused"/),
      'info xds xDS stream is up again\n',
    ]);
  });

  test('acknowledges a type it did not ask for', () => {
    const { transport } = setup();
    transport.answer(typeOf('t/Plum'), { nonce: '9', values: [['p', 'q']] });
    expect(transport.last.requests.at(-1)).toMatchObject({
      type_url: 't/Plum',
      response_nonce: '9',
      error_detail: undefined,
    });
  });

  test('breaks off a stream whose bytes make no sense, and tries again', () => {
    const { transport, client, clock } = setup();
    transport.last.handler.onMessage(new Uint8Array([0x0a, 0xff]));
    expect(transport.streams[0].cancelled).toBe(true);
    expect(client.status().lastError).toContain('malformed');
    clock.advance(10);
    expect(transport.streams.length).toBe(2);
    // What an old stream still says is not heard.
    transport.streams[0].handler.onClose(LOST);
    expect(clock.pending).toBe(0);
  });

  test('stop ends the stream and all timers', () => {
    const { transport, client, clock } = setup();
    client.stop();
    expect(transport.last.cancelled).toBe(true);
    expect(clock.pending).toBe(0);
    const away = setup(LOST);
    expect(away.clock.pending).toBe(1);
    away.client.stop();
    expect(away.clock.pending).toBe(0);
  });
});
