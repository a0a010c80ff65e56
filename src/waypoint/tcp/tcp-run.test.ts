import { describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import type { HttpPolicy, PolicyRule } from '#model/authorization/http-policies.ts';
import type { L4Route, TrafficPolicy } from '#model/route/route-table.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import { completeWorkload } from '#node/config/static-file.ts';
import { type MemoryConnection, memoryPair } from '#test/support/memory-connection.ts';
import {
  endpoint,
  HOST,
  POLICY,
  route,
  to,
  upstream,
  WaypointRig,
} from '#test/support/waypoint-rig.ts';
import { ConnectionServer } from '../listener/serve-connection.ts';
import type { Transport, TransportTarget } from '../transport/transport.ts';

const PROVENANCE = { kind: 'VirtualService', namespace: 'shop', name: 'p' };
const rule = (name: string, subset: string, match: Partial<L4Route['matches'][0]>): L4Route => ({
  name,
  provenance: PROVENANCE,
  matches: [{ sniHosts: [], destinationSubnets: [], sourceSubnets: [], ...match }],
  destinations: [to(subset)],
});

class Side implements ConnectionHandler {
  text = '';
  closed = false;
  error: MeshError | undefined;
  onData(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString('latin1');
  }
  onDrain(): void {
    // Everything fits.
  }
  onEnd(): void {
    this.closed = true;
  }
  onClose(error: MeshError | undefined): void {
    this.closed = true;
    this.error = error;
  }
}

/** Connections of bytes through a waypoint; endpoints say their name and keep what they get. */
class TcpRig extends WaypointRig {
  readonly opened: string[] = [];
  /** `ours` is the waypoint's end. */
  readonly servers: { connection: MemoryConnection; side: Side; ours: MemoryConnection }[] = [];
  /** What opening fails with. */
  refusal: MeshError | undefined;
  readonly #server: ConnectionServer;

  constructor() {
    super();
    const transport: Transport = {
      open: (target: TransportTarget, handler) => {
        this.opened.push(target.address);
        if (this.refusal !== undefined) {
          handler.onFail(this.refusal);
          return;
        }
        const [ours, theirs] = memoryPair();
        const side = new Side();
        theirs.handler = side;
        this.servers.push({ connection: theirs, side, ours });
        ours.handler = handler.onOpen(ours);
      },
    };
    this.#server = new ConnectionServer({ engine: this.engine, transport });
  }

  table(
    l4Routes: L4Route[] | undefined,
    {
      protocol = 'tls' as 'tls' | 'tcp',
      policy = POLICY as TrafficPolicy,
      denied = false,
      judges = [] as readonly HttpPolicy[],
    } = {},
  ): void {
    const subsets = ['stable', 'canary'].map((name, at) => ({
      name,
      labels: { version: `v${at + 1}` },
      policy,
    }));
    const routes = [route('default', [to('stable')])];
    this.configure(routes, [upstream({ policy, subsets })], {
      ports: [{ port: 80, protocol, routes, ...(l4Routes && { l4Routes }) }],
      ...(denied && { denied: { policy: 'P', reason: 'policy P forbids it' } }),
      ...(judges.length > 0 && {
        policies: { trustDomains: ['cluster.local'], policies: judges, tokens: [] },
      }),
    });
  }

  async connect(first?: Uint8Array): Promise<{ client: Side; connection: Connection }> {
    const [connection, ours] = memoryPair();
    const client = new Side();
    connection.handler = client;
    ours.handler = this.#server.serve(this.tunnel(), ours);
    if (first !== undefined) connection.write(first);
    await this.settleAll();
    return { client, connection };
  }

  async settleAll(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await this.settle();
  }
}

/** A ClientHello that asks for a server name. */
function clientHello(name: string): Uint8Array {
  const host = Buffer.from(name);
  const u16 = (value: number) => [value >> 8, value & 255];
  const entry = [0, ...u16(host.length), ...host];
  const list = [...u16(entry.length), ...entry];
  const extensions = [0, 0, ...u16(list.length), ...list];
  const body = [
    ...[3, 3],
    ...new Array<number>(32).fill(7),
    ...[0, 0, 2, 0x13, 0x01, 1, 0],
    ...u16(extensions.length),
    ...extensions,
  ];
  const message = [1, 0, ...u16(body.length), ...body];
  return Uint8Array.from([22, 3, 1, ...u16(message.length), ...message]);
}

describe('routes for bytes', () => {
  const byName = [
    rule('own', 'canary', { sniHosts: ['a.example'] }),
    rule('wild', 'stable', { sniHosts: ['*.example'] }),
  ];

  test('a TLS client goes by the server name that it asks for, in however many pieces', async () => {
    const mesh = new TcpRig();
    mesh.table(byName);
    const hello = clientHello('a.example');
    const { connection } = await mesh.connect(hello.subarray(0, 20));
    expect(mesh.opened.length).toBe(0);
    connection.write(hello.subarray(20));
    await mesh.settleAll();
    expect(mesh.servers[0].side.text).toBe(Buffer.from(hello).toString('latin1'));
    connection.end();
    mesh.servers[0].connection.end();
    await mesh.settleAll();
    expect(mesh.log).toContain('outbound|80|canary|');
    expect(mesh.log).toContain(' a.example own');
    expect(mesh.engine.active).toBe(0);
  });

  test('a name that no rule takes ends with NR and is named', async () => {
    const mesh = new TcpRig();
    mesh.table(byName);
    const { client } = await mesh.connect(clientHello('other.test'));
    expect([client.closed, mesh.opened.length]).toEqual([true, 0]);
    expect(mesh.log).toContain(' 0 NR ');
    expect(mesh.log).toContain('server name other.test');
  });

  test('rules by address need no look at the bytes', async () => {
    const mesh = new TcpRig();
    const routes = [
      rule('elsewhere', 'stable', { sourceSubnets: ['203.0.113.0/24'] }),
      rule('here', 'canary', { sourceSubnets: ['198.18.0.0/15'] }),
    ];
    mesh.table(routes, { protocol: 'tcp' });
    await mesh.connect();
    expect(mesh.opened.length).toBe(1);
    expect(mesh.engine.connections.values().next().value?.routeName).toBe('here');
  });

  test('without rules bytes go to the service itself', async () => {
    const mesh = new TcpRig();
    mesh.table(undefined, { protocol: 'tcp' });
    const { client, connection } = await mesh.connect(Buffer.from('hi'));
    mesh.servers[0].connection.write(Buffer.from('there'));
    await mesh.settleAll();
    expect([mesh.servers[0].side.text, client.text]).toEqual(['hi', 'there']);
    connection.end();
  });
});

test('a connection of a client that becomes known goes on under its name', async () => {
  const mesh = new TcpRig();
  mesh.table(undefined, { protocol: 'tcp' });
  const { connection } = await mesh.connect(Buffer.from('hi'));
  const report = () => {
    for (const run of mesh.engine.connections) run.report();
  };
  report();
  const pod = { namespace: 'shop', name: 'web-1', workloadName: 'web' };
  mesh.clients.set('198.18.1.5', completeWorkload(pod, 'cluster.local'));
  connection.write(Buffer.from('there'));
  await mesh.settleAll();
  report();
  connection.end();
  mesh.servers[0].connection.end();
  await mesh.settleAll();
  const told = (family: string) =>
    mesh.registry
      .expose()
      .split('\n')
      .filter((line) => line.startsWith(`${family}{`))
      .map((line) => `${/source_workload="([^"]*)"/.exec(line)?.[1]} ${line.split(' ').at(-1)}`)
      .sort();
  expect(told('istio_tcp_sent_bytes_total')).toEqual(['unknown 0', 'web 0']);
  expect(told('istio_tcp_received_bytes_total')).toEqual(['unknown 2', 'web 5']);
  expect(told('istio_tcp_connections_opened_total')).toEqual(['unknown 1', 'web 1']);
  expect(told('istio_tcp_connections_closed_total')).toEqual(['unknown 1', 'web 1']);
});

describe('how a connection of bytes ends', () => {
  const withPool = (part: Partial<TrafficPolicy['connectionPool']>): TrafficPolicy => ({
    ...POLICY,
    connectionPool: { ...POLICY.connectionPool, ...part },
  });
  const metric = (mesh: TcpRig, name: string, flags: string) =>
    mesh.registry
      .expose()
      .split('\n')
      .some((line) => line.startsWith(`${name}{`) && line.includes(`response_flags="${flags}"`));

  test('a policy that comes later ends what it would not let in', async () => {
    const mesh = new TcpRig();
    mesh.table(undefined, { protocol: 'tcp' });
    const { client } = await mesh.connect(Buffer.from('x'));
    mesh.table(undefined, { protocol: 'tcp', denied: true });
    await mesh.settleAll();
    expect([client.closed, mesh.servers[0].side.closed]).toEqual([true, true]);
    expect(mesh.log).toContain('LR');
    expect(mesh.log).toContain('policy P forbids it');
    expect([mesh.engine.active, mesh.engine.deadlines.pending]).toEqual([0, 0]);
    expect((await mesh.connect()).client.closed).toBe(true);
  });

  test('above maxConnections: UO', async () => {
    const mesh = new TcpRig();
    mesh.table(undefined, { protocol: 'tcp', policy: withPool({ maxConnections: 1 }) });
    await mesh.connect();
    const { client } = await mesh.connect();
    expect([client.closed, mesh.opened.length]).toEqual([true, 1]);
    expect(mesh.log).toContain(' 0 UO ');
    expect(metric(mesh, 'istio_tcp_connections_failed_total', 'UO')).toBe(true);
  });

  test.each([
    ['an endpoint that refuses', 'NET_CONNECT_REFUSED', 'upstream', 'connect failed'],
    ['an endpoint that broke the handshake off', 'NET_TLS_FAILED', 'upstream', 'connect failed'],
    ['an expired certificate', 'NET_CERTIFICATE_EXPIRED', 'self', 'certificate expired'],
    [
      'a certificate of a foreign root',
      'NET_CERTIFICATE_UNTRUSTED',
      'self',
      'certificate untrusted',
    ],
    ['a revoked certificate', 'TRUST_REVOKED', 'self', 'certificate revoked'],
    ['another identity', 'NET_PEER_IDENTITY', 'self', 'peer identity'],
  ])('%s: UF, with who ended it and why', async (_, code, by, reason) => {
    const mesh = new TcpRig();
    mesh.table(undefined, { protocol: 'tcp' });
    // Two reasons of one edge have a series each.
    for (const each of ['NET_CONNECT_REFUSED', code]) {
      mesh.refusal = new MeshError(each, 'refused', { side: 'upstream', hint: 'h' });
      expect((await mesh.connect()).client.closed).toBe(true);
    }
    expect(mesh.log).toContain(' 0 UF ');
    const failed = mesh.registry
      .expose()
      .split('\n')
      .filter((line) => line.startsWith('istio_tcp_connections_failed_total{'));
    const count = failed.length === 1 ? 2 : 1;
    expect(failed.at(-1)).toContain('response_flags="UF"');
    expect(failed.at(-1)).toEndWith(`closed_by="${by}",reason="${reason}"} ${count}`);
  });

  test('an upstream whose certificate is revoked while a connection runs: we ended it', async () => {
    const mesh = new TcpRig();
    mesh.table(undefined, { protocol: 'tcp' });
    await mesh.connect();
    const why = { side: 'upstream', hint: 'h' } as const;
    mesh.servers[0].ours.handler.onClose(new MeshError('TRUST_REVOKED', 'revoked', why));
    await mesh.settleAll();
    const failed = mesh.registry
      .expose()
      .split('\n')
      .find(
        (line) => line.startsWith('istio_tcp_connections_failed_total{') && !line.endsWith(' 0'),
      );
    expect(failed).toContain('closed_by="self",reason="certificate revoked"} 1');
  });

  test('nothing moves for tcp idleTimeout: SI; a byte now and then keeps it', async () => {
    const mesh = new TcpRig();
    mesh.table(undefined, { protocol: 'tcp', policy: withPool({ tcpIdleTimeoutMs: 10_000 }) });
    const { client, connection } = await mesh.connect();
    for (let turn = 0; turn < 5; turn += 1) {
      mesh.clock.advance(8_000);
      connection.write(Buffer.from('.'));
      await mesh.settleAll();
    }
    expect(client.closed).toBe(false);
    mesh.clock.advance(12_000);
    await mesh.settleAll();
    expect(client.closed).toBe(true);
    expect(mesh.log).toContain(' 0 SI ');
    expect(metric(mesh, 'istio_tcp_connections_failed_total', 'SI')).toBe(true);
  });

  test('it lasts no longer than maxConnectionDuration: DT', async () => {
    const mesh = new TcpRig();
    const policy = withPool({ maxConnectionDurationMs: 5_000 });
    mesh.table(undefined, { protocol: 'tcp', policy });
    const { client } = await mesh.connect();
    mesh.clock.advance(5_020);
    await mesh.settleAll();
    expect(client.closed).toBe(true);
    expect(mesh.log).toContain(' 0 DT ');
    expect(mesh.log).toContain(HOST);
  });
});

describe('AuthorizationPolicies on bytes', () => {
  const policy = (name: string, action: 'ALLOW' | 'DENY', rule: PolicyRule): HttpPolicy => ({
    namespace: 'shop',
    name,
    action,
    dryRun: false,
    rules: [rule],
  });
  const from = (account: string): PolicyRule => ({
    from: [{ source: { principals: [`cluster.local/ns/shop/sa/${account}`] } }],
  });
  const onPort = (port: string, ...more: object[]): PolicyRule => ({
    to: [{ operation: { ports: [port], ...more[0] } }],
  });
  const ROWS: [string, HttpPolicy[], boolean][] = [
    ['who may call', [policy('p', 'ALLOW', from('web'))], true],
    ['who else may call', [policy('p', 'ALLOW', from('job'))], false],
    ['who may not', [policy('p', 'DENY', from('web'))], false],
    ['a port', [policy('p', 'ALLOW', onPort('80'))], true],
    ['another port', [policy('p', 'ALLOW', onPort('81'))], false],
    ['a port, for a method alone', [policy('p', 'ALLOW', onPort('80', { methods: ['*'] }))], false],
    ['a method, denied', [policy('p', 'DENY', onPort('80', { methods: ['GET'] }))], false],
    [
      'a method on another port, denied',
      [policy('p', 'DENY', onPort('81', { methods: ['*'] }))],
      true,
    ],
    [
      'a server name',
      [policy('p', 'ALLOW', { when: [{ key: 'connection.sni', values: ['a.*'] }] })],
      true,
    ],
    [
      'another name',
      [policy('p', 'ALLOW', { when: [{ key: 'connection.sni', values: ['b.*'] }] })],
      false,
    ],
  ];
  test.each(ROWS)('go by %s', async (_title, judges, passes) => {
    const mesh = new TcpRig();
    mesh.table([rule('own', 'stable', { sniHosts: ['a.example'] })], { judges });
    const { client } = await mesh.connect(clientHello('a.example'));
    expect([client.closed, mesh.opened.length]).toEqual(passes ? [false, 1] : [true, 0]);
    if (!passes) expect(mesh.log).toContain('shop/p');
  });

  test('know the server name also where no route asks for it', async () => {
    const mesh = new TcpRig();
    const named = { when: [{ key: 'connection.sni', values: ['a.example'] }] };
    mesh.table(undefined, { judges: [policy('p', 'ALLOW', named)] });
    expect((await mesh.connect(clientHello('a.example'))).client.closed).toBe(false);
    expect((await mesh.connect(clientHello('b.example'))).client.closed).toBe(true);
    expect((await mesh.connect(Buffer.from('no TLS at all'))).client.closed).toBe(true);
  });

  test('end what is open when they change, and only what they forbid', async () => {
    const mesh = new TcpRig();
    mesh.table(undefined, { protocol: 'tcp' });
    const { client } = await mesh.connect(Buffer.from('x'));
    mesh.table(undefined, { protocol: 'tcp', judges: [policy('mine', 'ALLOW', from('web'))] });
    await mesh.settleAll();
    expect([client.closed, mesh.engine.active]).toEqual([false, 1]);
    mesh.table(undefined, { protocol: 'tcp', judges: [policy('not-you', 'DENY', from('web'))] });
    await mesh.settleAll();
    expect([client.closed, mesh.servers[0].side.closed, mesh.engine.active]).toEqual([
      true,
      true,
      0,
    ]);
    expect(mesh.log).toContain(' 0 LR ');
    expect(mesh.log).toContain('policy change: explicitly denied by: shop/not-you, rule 0');
  });
});

test('a request under way ends when a policy comes that would not let it in', async () => {
  const denied = { policy: 'P', reason: 'policy P forbids it' };
  const mesh = new WaypointRig();
  const routes = [route('r', [to('canary')])];
  mesh.configure(routes);
  mesh.scripts.set('c1', () => 'hang');
  const waiting = await mesh.get();
  const { MessageHead } = await import('#http/dispatch/message-head.ts');
  const streaming = await mesh.get();
  mesh.seen[1].handler.onHead(MessageHead.response(200), false);
  mesh.configure(routes, [upstream({ denied })]);
  expect([waiting.status, streaming.aborted, mesh.engine.active]).toEqual([403, true, 0]);
  expect(mesh.seen.every((seen) => seen.aborted)).toBe(true);
  expect(mesh.log).toContain('200 LR rbac_access_denied_matched_policy');
});

describe('a destination that is a name', () => {
  function named() {
    const mesh = new TcpRig();
    const routes = [route('default', [to('stable')])];
    const database = endpoint('db', 'v1', { address: 'db.test', protocol: 'none' });
    mesh.configure(routes, [upstream({ resolution: 'dns', endpoints: [database] })], {
      ports: [{ port: 80, protocol: 'tcp', routes }],
    });
    return mesh;
  }

  test('the first connection waits for the answer, with what the client sent', async () => {
    const mesh = named();
    await mesh.connect(Buffer.from('hello'));
    expect(mesh.opened).toEqual([]);
    mesh.names.answer('db.test', ['198.18.7.1']);
    await mesh.settleAll();
    expect(mesh.opened).toEqual(['198.18.7.1']);
    expect(mesh.servers[0].side.text).toBe('hello');
  });

  test('no answer ends it with UH and the reason; a client that goes ends the wait', async () => {
    const mesh = named();
    const { client } = await mesh.connect();
    const gone = await mesh.connect();
    gone.connection.reset();
    await mesh.settleAll();
    mesh.names.fail('db.test');
    await mesh.settleAll();
    expect([client.closed, mesh.engine.active]).toEqual([true, 0]);
    expect(mesh.log).toContain(' 0 UH ');
    expect(mesh.log).toContain('cannot resolve db.test: no such name');
  });

  test('TLS to a wildcard host goes to the server name that the client asks for, if that is covered', async () => {
    const mesh = new TcpRig();
    const hostname = '*.example.test';
    const wild = { upstream: `shop/${hostname}`, host: hostname, port: 80, weight: 1 };
    const routes = [route('default', [wild])];
    mesh.configure(routes, [upstream({ hostname, resolution: 'dynamic-dns', endpoints: [] })], {
      hostname,
      ports: [{ port: 80, protocol: 'tls', routes }],
    });
    await mesh.connect(clientHello('a.example.test'));
    mesh.names.answer('a.example.test', ['198.18.7.2']);
    await mesh.settleAll();
    const { client } = await mesh.connect(clientHello('elsewhere.test'));
    expect([mesh.opened, client.closed]).toEqual([['198.18.7.2'], true]);
    expect(mesh.log).toContain('elsewhere.test is no host of *.example.test');
  });
});
