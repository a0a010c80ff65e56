/**
 * The sending end of HBONE against a receiving end that is not ours (node:http2, a process of its own in the peer's
 * namespace): what a CONNECT holds, what each answer does to the client, when another connection is used. Needs root.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { completeService, completeWorkload } from '#node/config/static-file.ts';
import type { MeshAddress } from '#node/state/mesh-snapshot.ts';
import { type StaticNode, startStaticNode } from '#node/static-node.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { until } from '#test/support/apiserver.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { missingFor } from '#test/support/lab.ts';
import { dial, type Seen } from './apps.ts';
import { type HbonePeer, startPeer } from './hbone-peer.ts';
import { PEER_PORTS, type ServerInput } from './hbone-server.ts';
import { makePodPair, type PodPair } from './pod-pair.ts';

const missing = missingFor({ programs: ['ip'], root: true });
const VIP = '198.18.244.80';
const spiffe = (account: string) => `spiffe://cluster.local/ns/shop/sa/${account}`;
const STREAMS_MAX = 4;

type Workload = Parameters<typeof completeWorkload>[0];

describe.skipIf(missing !== undefined)(`HBONE outbound${missing ? `: ${missing}` : ''}`, () => {
  let pair: PodPair;
  let node: StaticNode;
  let peer: HbonePeer;
  let logs = '';

  beforeAll(async () => {
    pair = makePodPair(244);
    const authority = await createTestCa();
    const input: ServerInput = {
      address: '::',
      identity: await authority.issue(spiffe('product')),
      streamsMax: STREAMS_MAX,
    };
    peer = await startPeer(pair.product.netns, input);
    redirectOnce(pair.web.path, DEFAULT_RULES);
    node = startStaticNode(
      {
        trustDomain: 'cluster.local',
        addresses: mesh({}),
        authorizations: [],
        pods: [
          {
            namespace: 'shop',
            name: 'web',
            serviceAccount: 'web',
            netns: pair.web.path,
            listenAddress: '::',
            certificateFile: '',
            keyFile: '',
            rootFile: '',
            identity: await authority.issue(spiffe('web')),
          },
        ],
      },
      {
        log: silentLogger,
        logFormat: 'text',
        write(text) {
          logs += text;
          return true;
        },
      },
    );
  });

  afterAll(async () => {
    node?.stop();
    await peer?.stop();
    pair?.[Symbol.dispose]();
  });

  beforeEach(async () => {
    await until(() => (node.assembly.context.telemetry.live.size === 0 ? true : undefined));
    node.assembly.accessLog.flush();
    peer.forget();
    logs = '';
    node.replace({ addresses: mesh({}), authorizations: [] });
  });

  function mesh(product: Partial<Workload>): MeshAddress[] {
    const web = completeWorkload(
      {
        name: 'web',
        namespace: 'shop',
        serviceAccount: 'web',
        workloadName: 'web-v2',
        workloadType: 'deployment',
        canonicalName: 'web',
        canonicalRevision: 'v2',
        locality: { region: 'r', zone: 'z', subzone: '' },
        addresses: [pair.web.ip, pair.web.ip6],
        protocol: 'hbone',
      },
      'cluster.local',
    );
    const server = completeWorkload(
      {
        name: 'product',
        namespace: 'shop',
        serviceAccount: 'product',
        addresses: [pair.product.ip, pair.product.ip6],
        protocol: 'hbone',
        services: {
          'shop/product.shop.svc.cluster.local': [
            { servicePort: 80, targetPort: PEER_PORTS.echo },
            { servicePort: 15008, targetPort: 15008 },
          ],
        },
        ...product,
      },
      'cluster.local',
    );
    const service = completeService({
      name: 'product',
      namespace: 'shop',
      addresses: [{ network: '', address: VIP }],
      ports: [{ servicePort: 80, targetPort: PEER_PORTS.echo, appProtocol: 'tcp' }],
    });
    const behind = completeService({
      ...service,
      name: 'behind',
      hostname: 'behind.shop.svc.cluster.local',
      addresses: [{ network: '', address: '198.18.244.90' }],
      waypoint: {
        service: { namespace: 'shop', hostname: 'product.shop.svc.cluster.local' },
        hbonePort: 15008,
      },
    });
    return [
      { kind: 'workload', workload: web },
      { kind: 'workload', workload: server },
      { kind: 'service', service },
      { kind: 'service', service: behind },
    ];
  }

  const connect = (address: string, port: number) => dial(pair.web.namespace, address, port);

  async function echoed(seen: Seen, text = 'hello'): Promise<Seen> {
    const before = seen.text.length;
    seen.connection.write(Buffer.from(text));
    await until(() => (seen.text.length >= before + text.length ? true : undefined));
    expect(seen.text.slice(before)).toBe(text);
    return seen;
  }

  async function finish(seen: Seen): Promise<void> {
    seen.connection.end();
    expect(await seen.closed).toBeUndefined();
    expect(seen.text.endsWith('bye')).toBe(true);
  }

  const streams = () => peer.streams();

  test('TLS 1.3 with ALPN h2, no server name, the pod’s certificate', async () => {
    await finish(await echoed(await connect(pair.product.ip, PEER_PORTS.echo)));
    expect(peer.connections()).toEqual([
      {
        event: 'connection',
        connection: 1,
        inner: false,
        serverName: null,
        alpn: 'h2',
        tls: 'TLSv1.3',
        client: `URI:${spiffe('web')}`,
      },
    ]);
  });

  test('a CONNECT holds the authority and who asks for it, and nothing else', async () => {
    await finish(await echoed(await connect(VIP, 80)));
    await finish(await echoed(await connect(VIP, 80)));
    const [first, second] = streams();
    const source = first.headers.forwarded.match(/^for="(.*):(\d+)";host=(.*)$/);
    expect(source?.slice(1)).toEqual([
      pair.web.ip,
      expect.any(String),
      'product.shop.svc.cluster.local',
    ]);
    // One in a hundred is sampled.
    expect(first.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
    expect(second.headers.traceparent).not.toBe(first.headers.traceparent);
    const { forwarded, traceparent, ...rest } = first.headers;
    expect(rest).toEqual({
      ':method': 'CONNECT',
      ':authority': `${pair.product.ip}:${PEER_PORTS.echo}`,
      baggage:
        'k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=web-v2,service.name=web,service.version=v2,cloud.region=r,cloud.availability_zone=z',
    });
  });

  const authorities: {
    title: string;
    to: () => [string, number];
    want: () => string;
    host?: string;
  }[] = [
    {
      title: 'a pod by its address: the same',
      to: () => [pair.product.ip, PEER_PORTS.echo],
      want: () => `${pair.product.ip}:${PEER_PORTS.echo}`,
    },
    {
      title: 'a service: the endpoint and its target port',
      to: () => [VIP, 80],
      want: () => `${pair.product.ip}:${PEER_PORTS.echo}`,
      host: 'product.shop.svc.cluster.local',
    },
    {
      title: 'a service behind a waypoint: its own address and port',
      to: () => ['198.18.244.90', 80],
      want: () => '198.18.244.90:80',
      host: 'behind.shop.svc.cluster.local',
    },
    {
      title: 'a pod by its IPv6 address: in brackets',
      to: () => [pair.product.ip6, PEER_PORTS.echo],
      want: () => `[${pair.product.ip6}]:${PEER_PORTS.echo}`,
    },
  ];
  for (const { title, to, want, host } of authorities) {
    test(`authority of ${title}`, async () => {
      const seen = await connect(...to());
      const [stream] = await until(() => (streams().length > 0 ? streams() : undefined));
      expect(stream.headers[':authority']).toBe(want());
      expect(stream.headers.forwarded.split(';host=')[1]).toBe(host as string);
      seen.connection.reset();
    });
  }

  for (const status of [400, 401, 503, 204, 302]) {
    test(`status ${status} refuses the client, and the log says it`, async () => {
      const seen = await connect(pair.product.ip, PEER_PORTS.status + status);
      expect((await seen.closed)?.code).toBe('NET_RESET');
      node.assembly.accessLog.flush();
      expect(logs).toContain(`http status: ${status}`);
      expect(streams().length).toBe(1);
    });
  }

  test('a tunnel that the peer breaks off instead of answering is not tried again', async () => {
    const seen = await connect(pair.product.ip, PEER_PORTS.reset);
    expect((await seen.closed)?.code).toBe('NET_RESET');
    expect(streams().length).toBe(1);
  });

  test('a peer that never answers CONNECT is given up in time, said once, and others of its connection notice nothing', async () => {
    const neighbour = await echoed(await connect(pair.product.ip, PEER_PORTS.echo));
    const seen = await connect(pair.product.ip, PEER_PORTS.mute);
    await until(() => (streams().length === 2 ? true : undefined));
    await echoed(neighbour, 'meanwhile');
    expect((await seen.closed)?.code).toBe('NET_RESET');
    node.assembly.accessLog.flush();
    const lines = logs.split('\n').filter((line) => line.includes('no answer to CONNECT'));
    expect(lines).toEqual([
      expect.stringContaining('closed_by="upstream" reason="answer timeout"'),
    ]);
    await finish(await echoed(neighbour, 'afterwards'));
    expect(streams()[0].connection).toBe(streams()[1].connection);
  }, 120_000);

  test('after GOAWAY new tunnels go over another connection, the running ones finish on theirs', async () => {
    const running = await echoed(await connect(pair.product.ip, PEER_PORTS.goaway));
    await until(() =>
      node.assembly.context.pool.status().some(({ streams: open }) => open === 1)
        ? true
        : undefined,
    );
    const [{ connection: old }] = streams();
    const later = await echoed(await connect(pair.product.ip, PEER_PORTS.echo));
    expect(streams()[1].connection).not.toBe(old);
    await echoed(running, 'still here');
    await finish(running);
    await finish(later);
  });

  test('more tunnels than the peer takes on one connection are spread over several', async () => {
    const all = await Promise.all(
      Array.from({ length: STREAMS_MAX * 2 + 1 }, async () =>
        echoed(await connect(pair.product.ip, PEER_PORTS.echo)),
      ),
    );
    const counts = new Map<number, number>();
    for (const { connection } of streams()) {
      counts.set(connection, (counts.get(connection) ?? 0) + 1);
    }
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(STREAMS_MAX);
    expect(counts.size).toBeGreaterThanOrEqual(3);
    await Promise.all(all.map(finish));
  });

  test('tunnels to one peer share a connection; another family of it has its own', async () => {
    await finish(await echoed(await connect(pair.product.ip, PEER_PORTS.echo)));
    await finish(await echoed(await connect(VIP, 80)));
    await finish(await echoed(await connect(pair.product.ip6, PEER_PORTS.echo)));
    const used = streams().map(({ connection }) => connection);
    expect(used[0]).toBe(used[1]);
    expect(used[2]).not.toBe(used[0]);
  });

  test('a peer that proves another identity than the expected one is not talked to', async () => {
    node.replace({ addresses: mesh({ serviceAccount: 'other' }), authorizations: [] });
    const seen = await connect(pair.product.ip, PEER_PORTS.echo);
    expect((await seen.closed)?.code).toBe('NET_RESET');
    node.assembly.accessLog.flush();
    expect(logs).toContain(spiffe('other'));
    expect(streams()).toEqual([]);
  });
});
