import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  Resource,
} from '#wire/protobuf/discovery.ts';
import { Any, Status } from '#wire/protobuf/well-known.ts';
import type { Decoded } from '../resources/resource-type.ts';
import { acknowledge, DeltaClient } from './delta-client.ts';
import { DeltaServer, type ResourceView } from './delta-server.ts';
import { SharedNames } from './holdings.ts';

const TYPE = 'type.test/T';
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const decode = (bytes: Uint8Array): Decoded<string> => {
  const value = text(bytes);
  return value.startsWith('bad') ? { reason: `${value} is bad` } : { value };
};

class World implements ResourceView {
  readonly values = new Map<string, string>();
  readonly aliases = new Map<string, string[]>();
  readonly local = new Set<string>();

  names() {
    return this.values.keys();
  }

  get(name: string): Resource | undefined {
    const value = this.values.get(name);
    if (value === undefined) return undefined;
    const bytes = new TextEncoder().encode(value);
    return Resource.create({
      name,
      version: `v-${value}`,
      resource: Any.create({ type_url: TYPE, value: bytes }),
    });
  }

  withAliases(name: string): Resource | undefined {
    const resource = this.get(name);
    return resource && { ...resource, aliases: this.aliases.get(name) ?? [] };
  }

  implied(name: string) {
    return this.local.has(name) && this.values.has(name);
  }

  resolve(key: string) {
    if (this.values.has(key)) return [key];
    return [...this.aliases].filter(([, all]) => all.includes(key)).map(([name]) => name);
  }
}

const request = (some: Partial<DeltaDiscoveryRequest>) =>
  DeltaDiscoveryRequest.create({ type_url: TYPE, ...some });
const summary = (response: DeltaDiscoveryResponse | undefined) =>
  response === undefined
    ? undefined
    : {
        sent: response.resources.map(({ name, version }) => `${name}@${version}`),
        removed: response.removed_resources,
      };

describe('DeltaServer', () => {
  test('answers the first wildcard request even when there is nothing', () => {
    const server = new DeltaServer(TYPE, new SharedNames());
    expect(server.respond(new World(), 'n1')).toBeUndefined();
    expect(server.onRequest(request({}))).toBe('subscribed');
    expect(summary(server.respond(new World(), 'n1'))).toEqual({ sent: [], removed: [] });
  });

  test('sends a returning client only what differs, and what is gone', () => {
    const world = new World();
    world.values.set('same', '1').set('newer', '2').set('fresh', '3');
    const server = new DeltaServer(TYPE, new SharedNames());
    const retained = new Map([
      ['same', 'v-1'],
      ['newer', 'v-1'],
      ['gone', 'v-1'],
    ]);
    server.onRequest(request({ initial_resource_versions: retained }));
    expect(summary(server.respond(world, 'n1'))).toEqual({
      sent: ['newer@v-2', 'fresh@v-3'],
      removed: ['gone'],
    });
  });

  test.each([
    { title: 'the same', held: 'v-1', want: false },
    { title: 'another version', held: 'v-0', want: true },
    { title: 'no version', held: '', want: true },
    { title: 'what is not there', held: 'v-1', name: 'gone', want: true },
  ])('contradicts, before its first answer, who holds $title: $want', ({ name, held, want }) => {
    const world = new World();
    world.values.set('a', '1').set('more', '1');
    const server = new DeltaServer(TYPE, new SharedNames());
    server.onRequest(request({ initial_resource_versions: new Map([[name ?? 'a', held]]) }));
    expect(server.contradicts(world)).toBe(want);
    server.respond(world, 'n1');
    world.values.clear();
    expect(server.contradicts(world)).toBe(false);
  });

  test('holds changes back while a response is in flight and merges them', () => {
    const world = new World();
    const server = new DeltaServer(TYPE, new SharedNames());
    server.onRequest(request({}));
    server.respond(world, 'n1');
    world.values.set('a', '1');
    server.onChange(['a']);
    expect(server.respond(world, 'n2')).toBeUndefined();
    world.values.set('a', '2').set('b', '1');
    server.onChange(['a', 'b']);
    expect(server.onRequest(request({ response_nonce: 'n0' }))).toBe('stale');
    expect(server.due).toBe(false);
    expect(server.onRequest(request({ response_nonce: 'n1' }))).toBe('acked');
    expect(summary(server.respond(world, 'n2'))).toEqual({
      sent: ['a@v-2', 'b@v-1'],
      removed: [],
    });
  });

  test('a change that comes to nothing is not sent', () => {
    const world = new World();
    world.values.set('a', '1');
    const server = new DeltaServer(TYPE, new SharedNames());
    server.onRequest(request({}));
    server.respond(world, 'n1');
    server.onRequest(request({ response_nonce: 'n1' }));
    server.onChange(['a', 'never']);
    expect(server.respond(world, 'n2')).toBeUndefined();
    expect(server.due).toBe(false);
  });

  test('records a NACK until the next ACK and does not send the same again', () => {
    const world = new World();
    world.values.set('a', 'bad');
    const server = new DeltaServer(TYPE, new SharedNames());
    server.onRequest(request({}));
    server.respond(world, 'n1');
    const nack = request({
      response_nonce: 'n1',
      error_detail: Status.create({ message: 'a: x' }),
    });
    expect(server.onRequest(nack)).toBe('nacked');
    expect(server.status()).toMatchObject({ nonceSent: 'n1', nonceAcked: undefined, nack: 'a: x' });
    server.onChange(['a']);
    expect(server.respond(world, 'n2')).toBeUndefined();
    world.values.set('a', '2');
    server.onChange(['a']);
    expect(summary(server.respond(world, 'n2'))?.sent).toEqual(['a@v-2']);
    server.onRequest(request({ response_nonce: 'n2' }));
    expect(server.status()).toMatchObject({ nonceAcked: 'n2', nack: undefined });
  });

  test('serves on-demand keys by alias, follows what it sent and says what is missing', () => {
    const world = new World();
    world.values.set('w1', '1').set('w2', '1');
    world.aliases.set('w1', ['/198.18.0.1']).set('w2', ['/198.18.0.2']);
    const server = new DeltaServer(TYPE, new SharedNames());
    const none = { resource_names_subscribe: ['*'], resource_names_unsubscribe: ['*'] };
    server.onRequest(request(none));
    expect(summary(server.respond(world, 'n1'))).toEqual({ sent: [], removed: [] });
    server.onRequest(request({ response_nonce: 'n1' }));
    server.onRequest(request({ resource_names_subscribe: ['/198.18.0.1', '/198.18.0.9'] }));
    const response = server.respond(world, 'n2');
    expect(summary(response)).toEqual({ sent: ['w1@v-1'], removed: ['/198.18.0.9'] });
    expect(response?.resources[0].aliases).toEqual(['/198.18.0.1']);
    server.onRequest(request({ response_nonce: 'n2' }));
    world.values.set('w1', '2').set('w2', '2').set('w9', '1');
    world.aliases.set('w9', ['/198.18.0.9']);
    server.onChange(['w1', 'w2', 'w9']);
    expect(summary(server.respond(world, 'n3'))).toEqual({
      sent: ['w1@v-2', 'w9@v-1'],
      removed: [],
    });
    // Asked for by a key that leads to what was sent before: whoever waits for it is not left waiting.
    server.onRequest(request({ response_nonce: 'n3', resource_names_subscribe: ['/198.18.0.1'] }));
    expect(summary(server.respond(world, 'n4'))).toEqual({ sent: ['w1@v-2'], removed: [] });
  });

  test('a returning on-demand client is subscribed to what it holds, and its open questions are answered', () => {
    const world = new World();
    world.values.set('held', '1').set('stale', '2').set('asked', '1').set('other', '1');
    world.aliases.set('asked', ['/198.18.0.1']);
    const server = new DeltaServer(TYPE, new SharedNames());
    server.onRequest(
      request({
        resource_names_subscribe: ['*'],
        resource_names_unsubscribe: ['*'],
        initial_resource_versions: new Map([
          ['held', 'v-1'],
          ['stale', 'v-1'],
          ['gone', 'v-1'],
          ['/198.18.0.1', ''],
          ['/198.18.0.9', ''],
        ]),
      }),
    );
    expect(summary(server.respond(world, 'n1'))).toEqual({
      sent: ['stale@v-2', 'asked@v-1'],
      removed: ['gone', '/198.18.0.9'],
    });
    server.onRequest(request({ response_nonce: 'n1' }));
    world.values.set('held', '2');
    server.onChange(['held']);
    expect(summary(server.respond(world, 'n2'))?.sent).toEqual(['held@v-2']);
  });

  test('an on-demand client is sent the workloads of its node unasked, and what becomes of them', () => {
    const world = new World();
    world.values.set('near', '1').set('far', '1');
    world.local.add('near').add('later');
    const server = new DeltaServer(TYPE, new SharedNames());
    const none = { resource_names_subscribe: ['*'], resource_names_unsubscribe: ['*'] };
    server.onRequest(request(none));
    expect(summary(server.respond(world, 'n1'))?.sent).toEqual(['near@v-1']);
    server.onRequest(request({ response_nonce: 'n1' }));
    world.values.set('later', '1').set('far', '2');
    world.values.delete('near');
    server.onChange(['near', 'later', 'far']);
    expect(summary(server.respond(world, 'n2'))).toEqual({
      sent: ['later@v-1'],
      removed: ['near'],
    });
  });

  test('refuses more names on demand than a stream may have, also those that it claims to hold', () => {
    const many = Array.from({ length: 100_001 }, (_, index) => String(index));
    const first = { resource_names_subscribe: ['*'], resource_names_unsubscribe: ['*'] };
    expect(
      new DeltaServer(TYPE, new SharedNames()).onRequest(
        request({ resource_names_subscribe: many }),
      ),
    ).toBe('refused');
    const initial_resource_versions = new Map(many.map((name) => [name, '']));
    expect(
      new DeltaServer(TYPE, new SharedNames()).onRequest(
        request({ ...first, initial_resource_versions }),
      ),
    ).toBe('refused');
    expect(
      new DeltaServer(TYPE, new SharedNames()).onRequest(request({ initial_resource_versions })),
    ).toBe('subscribed');
  });
});

describe('DeltaClient', () => {
  test('applies the good part of a response, keeps the last good of the rest and NACKs by name', () => {
    const world = new World();
    const server = new DeltaServer(TYPE, new SharedNames());
    const client = new DeltaClient(TYPE, decode);
    server.onRequest(client.open());
    world.values.set('a', '1').set('b', '1');
    client.onResponse(server.respond(world, 'n1')!);
    server.onRequest(acknowledge(server.respond(world, 'n1') ?? { ...none(), nonce: 'n1' }));
    world.values.set('a', 'bad').set('b', '2');
    server.onChange(['a', 'b']);
    const update = client.onResponse(server.respond(world, 'n2')!);
    expect(update.accepted).toEqual([{ name: 'b', value: '2' }]);
    expect(update.rejected).toEqual([{ name: 'a', reason: 'bad is bad' }]);
    expect(update.reply.error_detail?.message).toBe('a: bad is bad');
    // The version of what is in force is what a new stream is told.
    expect(client.open().initial_resource_versions).toEqual(
      new Map([
        ['a', 'v-1'],
        ['b', 'v-2'],
      ]),
    );
  });

  test('refuses a resource without content or of another type', () => {
    const client = new DeltaClient(TYPE, decode);
    const { rejected } = client.onResponse({
      ...none(),
      resources: [
        { name: 'a', version: '1', aliases: [], resource: undefined },
        {
          name: 'b',
          version: '1',
          aliases: [],
          resource: { type_url: 'other', value: new Uint8Array() },
        },
      ],
    });
    expect(rejected.map(({ name }) => name)).toEqual(['a', 'b']);
  });
});

function none(): DeltaDiscoveryResponse {
  return {
    system_version_info: '',
    resources: [],
    type_url: TYPE,
    nonce: '',
    removed_resources: [],
  };
}

/** Both ends with the two directions of a stream between them; every queue may be cut at any moment. */
class Wire {
  readonly world = new World();
  readonly client = new DeltaClient(TYPE, decode);
  readonly inForce = new Map<string, string>();
  server = new DeltaServer(TYPE, new SharedNames());
  toServer: DeltaDiscoveryRequest[] = [this.client.open()];
  toClient: DeltaDiscoveryResponse[] = [];
  #nonce = 0;

  mutate(name: string, value: string | undefined) {
    if (value === undefined) this.world.values.delete(name);
    else this.world.values.set(name, value);
    this.server.onChange([name]);
  }

  push() {
    const response = this.server.respond(this.world, `n${++this.#nonce}`);
    if (response !== undefined) this.toClient.push(response);
  }

  deliverToClient() {
    const response = this.toClient.shift();
    if (response === undefined) return;
    const { accepted, removed, reply } = this.client.onResponse(response);
    for (const { name, value } of accepted) this.inForce.set(name, value);
    for (const name of removed) this.inForce.delete(name);
    this.toServer.push(reply);
  }

  deliverToServer() {
    const next = this.toServer.shift();
    if (next !== undefined) this.server.onRequest(next);
  }

  cut() {
    this.server = new DeltaServer(TYPE, new SharedNames());
    this.toClient = [];
    this.toServer = [this.client.open()];
  }

  settle() {
    for (let turn = 0; turn < 50; turn++) {
      this.deliverToServer();
      this.push();
      this.deliverToClient();
    }
  }
}

test('both ends converge under any order of changes, pushes, deliveries and cuts', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('mutate' as const),
      name: fc.constantFrom('a', 'b', 'c'),
      value: fc.constantFrom('1', '2', 'bad1', 'bad2', undefined),
    }),
    fc.constantFrom(
      { kind: 'push' as const },
      { kind: 'deliverToClient' as const },
      { kind: 'deliverToServer' as const },
      { kind: 'cut' as const },
    ),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const wire = new Wire();
      for (const one of steps) {
        if ('name' in one) wire.mutate(one.name, one.value);
        else wire[one.kind]();
        expect([...wire.inForce.values()].some((value) => value.startsWith('bad'))).toBe(false);
      }
      wire.settle();
      for (const name of ['a', 'b', 'c']) {
        const truth = wire.world.values.get(name);
        // A bad value leaves whatever good one was there.
        if (!truth?.startsWith('bad')) {
          expect({ name, value: wire.inForce.get(name) }).toEqual({ name, value: truth });
        }
      }
      expect(wire.toServer.length + wire.toClient.length).toBe(0);
      expect(wire.server.due).toBe(false);
      expect([...wire.client.open().initial_resource_versions.keys()].sort()).toEqual(
        [...wire.inForce.keys()].sort(),
      );
    }),
    { numRuns: 300 },
  );
});
