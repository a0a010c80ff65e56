/**
 * A captured pod that asks two name servers on the other side of a veth pair, over UDP and TCP, with the real rules. What
 * the mesh knows is answered by the proxy, everything else by the server that was asked. Needs root.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import { BunDatagrams } from '#net/bun/bun-datagrams.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection, SocketAddress } from '#net/connection.ts';
import type { ConnectedDatagrams } from '#net/datagram.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { missingFor } from '#test/support/lab.ts';
import { join, TestNamespace } from '#test/support/namespaces.ts';
import { CLASS_IN, RCODE, TYPE } from '#wire/dns/codes.ts';
import { framed, MessageReader } from '#wire/dns/framing.ts';
import { type DnsMessage, decodeMessage, encodeMessage, queryFor } from '#wire/dns/message.ts';
import { readId } from '#wire/dns/query.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { type StaticNode, startStaticNode } from '../static-node.ts';
import { PENDING_QUERIES_PER_POD_MAX, TCP_CONNECTIONS_PER_POD_MAX } from './limits.ts';

const POD = '198.18.240.2';
const SERVERS = ['198.18.240.10', '198.18.240.11', '2001:2:240::10'];
/** Nobody has it. */
const SILENT = '198.18.240.99';
const VIP = '198.19.0.1';
const PRODUCT = 'product.shop.svc.cluster.local';
const skip = missingFor({ programs: ['ip', 'nft'], root: true }) !== undefined;

const network = new BunNetwork({ clock: systemClock });
const datagrams = new BunDatagrams();

interface Seen {
  bytes: Uint8Array;
  from: SocketAddress;
  server: string;
  protocol: 'udp' | 'tcp';
}

const raw = (bytes: Uint8Array | number[]) => Uint8Array.from(bytes);
const query = (name: string, type: number, id = 0x1111) =>
  encodeMessage(queryFor(id, name, type), 512);
const read = (bytes: Uint8Array) => decodeMessage(bytes) as DnsMessage;
const addressesIn = (bytes: Uint8Array) =>
  read(bytes).answers.map(({ value }) => (value.kind === 'address' ? value.address : value.kind));
const sameBut = (bytes: Uint8Array, id: number) => raw([id >> 8, id & 255, ...bytes.subarray(2)]);

/** What a server says: the query turned around, `more` behind it, `flags` in its fourth byte. */
function turned(bytes: Uint8Array, more: number[], flags = 0x80): Uint8Array {
  const answer = raw([...bytes, ...more]);
  answer[2] |= 0x80;
  answer[3] = flags;
  return answer;
}

describe.skipIf(skip)('the DNS proxy of a captured pod', () => {
  let pod: TestNamespace;
  let upstream: TestNamespace;
  let node: StaticNode;
  let directory: string;
  const logs: string[] = [];
  let seen: Seen[] = [];
  let answer: (bytes: Uint8Array, place: Seen) => Uint8Array | undefined;

  beforeAll(async () => {
    pod = new TestNamespace('pod');
    upstream = new TestNamespace('dns');
    join(
      { namespace: pod, device: 'eth0', addresses: [`${POD}/24`, '2001:2:240::2/64'] },
      {
        namespace: upstream,
        device: 'eth0',
        addresses: SERVERS.map((each) => `${each}/${each.includes(':') ? 64 : 24}`),
      },
    );
    for (const address of SERVERS) serve(address);
    directory = mkdtempSync(joinPath(tmpdir(), 'tulle-dns-'));
    const resolvConf = joinPath(directory, 'resolv.conf');
    writeFileSync(
      resolvConf,
      `search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${SERVERS[1]}\noptions ndots:5\n`,
    );
    const authority = await createTestCa();
    const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'web' };
    node = startStaticNode(
      {
        trustDomain: 'cluster.local',
        addresses: [
          {
            kind: 'workload',
            workload: completeWorkload(
              { name: 'web', namespace: 'shop', addresses: [POD], canonicalRevision: 'v2' },
              'cluster.local',
            ),
          },
          {
            kind: 'service',
            service: completeService({
              name: 'product',
              namespace: 'shop',
              addresses: [{ network: '', address: VIP }],
            }),
          },
          {
            kind: 'service',
            service: completeService({
              name: 'api',
              namespace: 'shop',
              hostname: 'api.example.com',
              addresses: [
                { network: '', address: '198.19.0.2' },
                { network: '', address: '2001:2::2' },
              ],
            }),
          },
        ],
        authorizations: [],
        pods: [
          {
            ...identity,
            name: 'web',
            netns: pod.path,
            listenAddress: '0.0.0.0',
            certificateFile: '',
            keyFile: '',
            rootFile: '',
            identity: await authority.issue(formatPrincipal(identity)),
          },
        ],
      },
      {
        log: createLogger('node', {
          clock: systemClock,
          level: 'debug',
          write: (line) => void logs.push(line),
        }),
        logFormat: 'text',
        write: () => true,
        dns: { resolvConf },
      },
    );
    redirectOnce(pod.path, { ...DEFAULT_RULES, dns: true });
  });

  afterAll(() => {
    node?.stop();
    pod?.[Symbol.dispose]();
    upstream?.[Symbol.dispose]();
    if (directory !== undefined) rmSync(directory, { recursive: true });
  });

  function serve(address: string): void {
    const place = { address, port: 53, namespace: upstream.handle };
    const socket = datagrams.bind(place, {
      onDatagram(bytes, from) {
        const query: Seen = { bytes: raw(bytes), from, server: address, protocol: 'udp' };
        seen.push(query);
        const reply = answer(query.bytes, query);
        if (reply !== undefined) socket.send(reply, from);
      },
      onError: () => undefined,
    });
    network.listen(place, (connection) => {
      const reader = new MessageReader();
      const from = { address: connection.remoteAddress, port: connection.remotePort };
      return {
        onData(chunk) {
          for (const bytes of reader.read(chunk)) {
            const query: Seen = { bytes: raw(bytes), from, server: address, protocol: 'tcp' };
            seen.push(query);
            const frame = framed(answer(query.bytes, query) ?? raw([]));
            if (frame !== undefined) connection.write(frame);
          }
        },
        onDrain: () => undefined,
        onEnd: () => connection.end(),
        onClose: () => undefined,
      };
    });
  }

  /** Connected: only what comes from the address that was asked arrives. */
  function open(server: string, port = 53) {
    const got: Uint8Array[] = [];
    let wake = Promise.withResolvers<void>();
    const socket: ConnectedDatagrams = datagrams.connect(
      { address: server, port, namespace: pod.handle },
      {
        onDatagram(bytes) {
          got.push(raw(bytes));
          wake.resolve();
        },
        onError: (error) => wake.reject(error),
      },
    );
    return {
      send: (bytes: Uint8Array) => expect(socket.send(bytes)).toBe(true),
      async take(count: number): Promise<Uint8Array[]> {
        while (got.length < count) {
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
        return got.splice(0, count);
      },
      [Symbol.dispose]: () => socket.close(),
    };
  }

  async function ask(bytes: Uint8Array, server = SERVERS[0], port = 53): Promise<Uint8Array> {
    using client = open(server, port);
    client.send(bytes);
    return (await client.take(1))[0];
  }

  /** A TCP connection of the pod; takes whole messages. */
  async function dial(server = SERVERS[0]) {
    const got: Uint8Array[] = [];
    const closed = Promise.withResolvers<void>();
    let wake = Promise.withResolvers<void>();
    const reader = new MessageReader();
    const connection = await new Promise<Connection>((resolve, reject) =>
      network.connect(
        { address: server, port: 53, namespace: pod.handle, connectTimeoutMs: 5000 },
        {
          onFail: reject,
          onOpen(opened) {
            resolve(opened);
            return {
              onData(bytes) {
                for (const message of reader.read(bytes)) got.push(raw(message));
                wake.resolve();
              },
              onDrain: () => undefined,
              onEnd: () => opened.end(),
              onClose: () => closed.resolve(),
            };
          },
        },
      ),
    );
    return {
      connection,
      closed: closed.promise,
      async take(count: number): Promise<Uint8Array[]> {
        while (got.length < count) {
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
        return got.splice(0, count);
      },
    };
  }

  function reset(reply: typeof answer = (bytes) => turned(bytes, [])): void {
    seen = [];
    answer = reply;
  }

  for (const server of SERVERS) {
    test(`a name of the mesh asked of ${server} is answered from that address, and the server hears nothing`, async () => {
      reset();
      const got = read(await ask(query('PRODUCT.shop.svc.cluster.local', TYPE.A), server));
      expect(got).toMatchObject({ id: 0x1111, authoritative: true, rcode: RCODE.noError });
      expect(got.answers).toMatchObject([
        { name: 'PRODUCT.shop.svc.cluster.local', ttlSeconds: 30, value: { address: VIP } },
      ]);
      expect(seen).toEqual([]);
    });
  }

  test('A and AAAA at once from one socket, as glibc and musl ask, are both answered', async () => {
    reset();
    using client = open(SERVERS[0]);
    for (let round = 0; round < 20; round++) {
      client.send(query('product', TYPE.A, 2 * round));
      client.send(query('product', TYPE.AAAA, 2 * round + 1));
      client.send(query('www.example.org', TYPE.A, 0x8000 + round));
    }
    const answers = await client.take(60);
    for (let round = 0; round < 20; round++) {
      const of = (id: number) =>
        addressesIn(answers.find((each) => readId(each) === id) ?? raw([]));
      expect([of(2 * round), of(2 * round + 1), of(0x8000 + round)]).toEqual([[VIP], [], []]);
    }
  });

  test('the C library resolves through the search domains and gets both families', async () => {
    reset();
    const command = `mount --bind ${directory}/resolv.conf /etc/resolv.conf && getent ahosts product && getent ahosts api.example.com`;
    // Not `run`: it would stop the event loop that the proxy answers on.
    const child = Bun.spawn(pod.inside(['unshare', '--mount', 'sh', '-c', command]));
    const output = await child.stdout.text();
    expect(output).toMatch(/^198\.19\.0\.1 +STREAM/);
    expect(output).toMatch(/^198\.19\.0\.2 +STREAM/m);
    expect(output).toMatch(/^2001:2::2 +STREAM/m);
    expect(seen).toEqual([]);
  });

  /** RFC 6891: NSID asked for, a cookie, DO; everything in it must reach the server. */
  const OPTIONS = [0, 3, 0, 0, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
  const OPT = [0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, OPTIONS.length, ...OPTIONS];
  function withOptions(name: string, type: number): Uint8Array {
    const bytes = raw([...query(name, type), ...OPT]);
    bytes[11] = 1;
    bytes[3] |= 0x30; // AD and CD
    return bytes;
  }

  const FOREIGN: [string, string, number][] = [
    ['an unknown name in mixed case', 'wWw.ExAmPlE.oRg', TYPE.A],
    ['SRV of a service of the mesh', `_http._tcp.${PRODUCT}`, TYPE.SRV],
    ['TXT of a name of the mesh', PRODUCT, TYPE.TXT],
    ['HTTPS of a name of the mesh', PRODUCT, 65],
    ['ANY of a name of the mesh', PRODUCT, TYPE.ANY],
    ['PTR', '1.0.19.198.in-addr.arpa', TYPE.PTR],
    ['a type that nobody knows', 'www.example.org', 65280],
    ['an unknown name of the cluster domain', 'nope.shop.svc.cluster.local', TYPE.A],
  ];
  for (const [title, name, type] of FOREIGN) {
    test(`${title} is forwarded byte for byte, and so is the answer`, async () => {
      const strange = [1, 2, 3, 4, 5, 0, 255, 254];
      reset((bytes) => turned(bytes, strange, 0xb5));
      const bytes = withOptions(name, type);
      const got = await ask(bytes);
      expect(seen.length).toBe(1);
      const [{ bytes: heard, from, server }] = seen;
      expect(sameBut(heard, 0)).toEqual(sameBut(bytes, 0));
      expect({ server, address: from.address }).toEqual({ server: SERVERS[0], address: POD });
      expect(got).toEqual(turned(bytes, strange, 0xb5));
    });
  }

  test('ids and ports towards the server are not those of the client', async () => {
    reset();
    using client = open(SERVERS[0]);
    for (let id = 0; id < 16; id++) client.send(query('www.example.org', TYPE.A, id));
    const answers = await client.take(16);
    expect(answers.map(readId).sort((one, two) => one - two)).toEqual([...Array(16).keys()]);
    expect(new Set(seen.map(({ from }) => from.port)).size).toBe(16);
    expect(new Set(seen.map(({ bytes }) => readId(bytes))).size).toBeGreaterThan(12);
  });

  test('the server that the app asks is the one that answers', async () => {
    reset((bytes, { server }) => turned(bytes, [SERVERS.indexOf(server)]));
    for (const [index, server] of SERVERS.entries())
      expect((await ask(query('www.example.org', TYPE.A), server)).at(-1)).toBe(index);
  });

  test('a query to the listener itself goes to the name servers of the proxy', async () => {
    reset((bytes, { server }) => turned(bytes, [SERVERS.indexOf(server)]));
    expect((await ask(query('www.example.org', TYPE.A), '127.0.0.1', 15053)).at(-1)).toBe(1);
  });

  test('what does not answer the question is not taken for an answer', async () => {
    reset((bytes, { from, server }) => {
      const socket = datagrams.bind(
        { address: server, port: 5353, namespace: upstream.handle },
        {
          onDatagram: () => undefined,
          onError: () => undefined,
        },
      );
      queueMicrotask(() => {
        // Another port, another id, another question.
        socket.send(turned(bytes, [66]), from);
        socket.close();
      });
      return undefined;
    });
    using client = open(SERVERS[0]);
    client.send(query('www.example.org', TYPE.A, 1));
    while (seen.length < 1) await Bun.sleep(1);
    // The try after this one is answered.
    answer = (bytes) => turned(bytes, [7]);
    expect((await client.take(1))[0].at(-1)).toBe(7);
  });

  test('a truncated answer passes with its bit, and the same question over TCP gets all of it', async () => {
    const large = new Array<number>(60_000).fill(9);
    reset((bytes, { protocol }) =>
      protocol === 'udp' ? raw([...turned(bytes, [])].with(2, 0x83)) : turned(bytes, large),
    );
    const bytes = query('large.example.org', TYPE.TXT);
    expect((await ask(bytes))[2] & 2).toBe(2);
    const { connection, take } = await dial();
    connection.write(framed(bytes) ?? raw([]));
    expect((await take(1))[0]).toEqual(turned(bytes, large));
    expect(seen.map(({ protocol, from }) => [protocol, from.address])).toEqual([
      ['udp', POD],
      ['tcp', POD],
    ]);
    connection.end();
  });

  test('pipelined queries on one TCP connection are all answered, cut as they may be', async () => {
    reset();
    const { connection, take, closed } = await dial();
    const frames = Buffer.concat(
      [...Array(40).keys()].map(
        (id) => framed(query(id % 2 === 0 ? PRODUCT : 'www.example.org', TYPE.A, id)) ?? raw([]),
      ),
    );
    for (let offset = 0; offset < frames.length; offset += 100) {
      connection.write(frames.subarray(offset, offset + 100));
      await Bun.sleep(0);
    }
    connection.end();
    const answers = await take(40);
    expect(answers.map(readId).sort((one, two) => one - two)).toEqual([...Array(40).keys()]);
    expect(answers.filter((each) => addressesIn(each)[0] === VIP).length).toBe(20);
    await closed;
  });

  for (const server of SERVERS) {
    test(`what is asked of ${server} over TCP is answered, or asked of that server over TCP`, async () => {
      reset((bytes) => turned(bytes, [7]));
      const { connection, take, closed } = await dial(server);
      const foreign = query('www.example.org', TYPE.A, 2);
      for (const bytes of [query(PRODUCT, TYPE.A, 1), foreign])
        connection.write(framed(bytes) ?? raw([]));
      const answers = await take(2);
      const of = (id: number) => answers.find((each) => readId(each) === id) ?? raw([]);
      expect(addressesIn(of(1))).toEqual([VIP]);
      expect(of(2)).toEqual(turned(foreign, [7]));
      expect(seen.map(({ server, protocol }) => [server, protocol])).toEqual([[server, 'tcp']]);
      connection.end();
      await closed;
    });
    test(`what is asked of ${server} and is not of the mesh is asked of that server, and the answer comes from it`, async () => {
      reset();
      const bytes = query('www.example.org', TYPE.A);
      expect(await ask(bytes, server)).toEqual(turned(bytes, []));
      expect(seen.map(({ server, protocol }) => [server, protocol])).toEqual([[server, 'udp']]);
    });
  }

  test('a port where nobody listens is SERVFAIL at once', async () => {
    reset();
    upstream.ip('address', 'add', '198.18.240.12/24', 'dev', 'eth0');
    const bytes = withOptions('www.example.org', TYPE.A);
    const got = read(await ask(bytes, '198.18.240.12'));
    expect(got).toMatchObject({
      rcode: RCODE.serverFailure,
      authoritative: false,
      questions: [{ name: 'www.example.org', type: TYPE.A, class: CLASS_IN }],
      edns: { dnssecOk: true },
    });
  });

  test('other operations are NOTIMP, responses FORMERR, and garbage harms nobody', async () => {
    reset();
    const changed = (index: number, bits: number) => {
      const bytes = query(PRODUCT, TYPE.A);
      bytes[index] |= bits;
      return bytes;
    };
    expect(read(await ask(changed(2, 0x20))).rcode).toBe(RCODE.notImplemented);
    expect(read(await ask(changed(2, 0x80))).rcode).toBe(RCODE.formatError);
    expect(read(await ask(changed(5, 0x02))).rcode).toBe(RCODE.formatError);
    using client = open(SERVERS[0]);
    for (let length = 0; length < 60; length++)
      client.send(raw(crypto.getRandomValues(new Uint8Array(length + 1))));
    expect(addressesIn(await ask(query(PRODUCT, TYPE.A)))).toEqual([VIP]);
  });

  test('queries that wait are bounded: the next is SERVFAIL at once, counted and logged once', async () => {
    reset();
    using client = open(SILENT);
    const extra = 40;
    for (let id = 0; id < PENDING_QUERIES_PER_POD_MAX + extra; id++) {
      client.send(query('slow.example.org', TYPE.A, id));
      if (id % 50 === 0) await Bun.sleep(1);
    }
    const refused = await client.take(extra);
    expect(refused.map((each) => read(each).rcode)).toEqual(
      new Array(extra).fill(RCODE.serverFailure),
    );
    // Names of the mesh need no place.
    expect(addressesIn(await ask(query(PRODUCT, TYPE.A)))).toEqual([VIP]);
    const metrics = node.assembly.registry.expose();
    expect(metrics).toContain(
      `tulle_limit_hits_total{limit="dns-queries",namespace="shop",pod="web"} ${extra}`,
    );
    expect(logs.filter((line) => line.includes('limit="dns-queries"')).length).toBe(1);
    // Nobody has the address: the kernel says so after its ARP tries, and every place is free again.
    const answers = await client.take(PENDING_QUERIES_PER_POD_MAX);
    expect(new Set(answers.map((each) => read(each).rcode))).toEqual(
      new Set([RCODE.serverFailure]),
    );
    const [{ limits }] = node.assembly.context.usages.report();
    expect(limits['dns-queries'].current).toBe(0);
  }, 60_000);

  test('sockets that somebody destroys go on, or are noticed and opened again', async () => {
    reset();
    const [proxy] = node.proxies;
    expect(proxy.deadListeners()).toEqual([]);
    for (const [kind, dead] of [
      ['-u', []],
      ['-t', ['listener 15053']],
    ] as const) {
      pod.run('ss', '-K', '-a', kind, 'sport', '=', ':15053');
      expect(proxy.deadListeners()).toEqual([...dead]);
      proxy.reopenListeners();
      expect(proxy.deadListeners()).toEqual([]);
      expect(addressesIn(await ask(query(PRODUCT, TYPE.A)))).toEqual([VIP]);
      const { connection, take } = await dial();
      connection.write(framed(query(PRODUCT, TYPE.A)) ?? raw([]));
      expect(addressesIn((await take(1))[0])).toEqual([VIP]);
      connection.reset();
    }
  });

  test('TCP connections are bounded: the next is reset, and has a place once another has gone', async () => {
    reset();
    const open = () => node.assembly.context.usages.report()[0].limits['dns-connections'].current;
    while (open() > 0) await Bun.sleep(1);
    const clients = await Promise.all(
      Array.from({ length: TCP_CONNECTIONS_PER_POD_MAX }, () => dial()),
    );
    const answered = async ({ connection, take }: Awaited<ReturnType<typeof dial>>) => {
      connection.write(framed(query(PRODUCT, TYPE.A)) ?? raw([]));
      return addressesIn((await take(1))[0]);
    };
    expect(await Promise.all(clients.map(answered))).toEqual(clients.map(() => [VIP]));
    const refused = await dial();
    await refused.closed;
    clients[0].connection.end();
    await clients[0].closed;
    expect(await answered(await dial())).toEqual([VIP]);
    for (const { connection } of clients) connection.reset();
  });

  test('metrics and log say who answered what', async () => {
    reset();
    logs.length = 0;
    await ask(query(PRODUCT, TYPE.A));
    await ask(query('other.example.org', TYPE.AAAA));
    const text = node.assembly.registry.expose();
    const source = 'source_canonical_service="web",source_canonical_revision="v2"';
    expect(text).toMatch(
      new RegExp(
        `istio_dns_requests_total\\{request_query_type="a",request_protocol="udp",${source}\\} \\d+`,
      ),
    );
    for (const metric of ['requests_total', 'upstream_requests_total'])
      expect(text).toContain(
        `istio_dns_${metric}{request_query_type="aaaa",request_protocol="udp",${source}} `,
      );
    expect(text).toContain(
      `istio_dns_upstream_request_duration_seconds_count{request_query_type="aaaa",request_protocol="udp",${source}} `,
    );
    expect(text).toContain(
      `istio_dns_upstream_failures_total{request_query_type="a",request_protocol="udp",${source}} `,
    );
    expect(text).toMatch(
      new RegExp(`tulle_dns_lookups_total\\{host="${PRODUCT}",result="answered"\\} \\d+`),
    );
    expect(text).toContain('tulle_dns_lookups_total{host="other",result="forwarded"} ');
    expect(text).not.toContain('example.org');
    const lines = logs.filter((line) => line.includes('lookup'));
    expect(lines[0]).toContain(
      `node.dns\tlookup src.workload="web" src.namespace="shop" query="A" domain="${PRODUCT}" result="success" endpoints=1`,
    );
    expect(lines[1]).toContain(
      'query="AAAA" domain="other.example.org" result="forwarded" endpoints=0',
    );
  });
});
