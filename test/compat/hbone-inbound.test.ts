/**
 * The receiving end of HBONE, row by row, against a client that is not ours (node:http2, a process of its own in the peer's
 * namespace): status codes, `:authority` forms, PROXY headers, baggage, IPv6. Needs root.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { completeService, completeWorkload } from '#node/config/static-file.ts';
import type { MeshAddress } from '#node/state/mesh-snapshot.ts';
import { type StaticNode, startStaticNode } from '#node/static-node.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { until } from '#test/support/apiserver.ts';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import { missingFor } from '#test/support/lab.ts';
import type { Ask, ClientInput, Heard } from './hbone-client.ts';
import { makePodPair, type PodPair } from './pod-pair.ts';

const missing = missingFor({ programs: ['ip'], root: true });
const TRUST_DOMAIN = 'cluster.local';
const APP_PORT = 8080;
const PROXY_PORT = 15088;
const spiffe = (serviceAccount: string, trustDomain = TRUST_DOMAIN) =>
  `spiffe://${trustDomain}/ns/shop/sa/${serviceAccount}`;

type Workload = Parameters<typeof completeWorkload>[0];

describe.skipIf(missing !== undefined)(`HBONE inbound${missing ? `: ${missing}` : ''}`, () => {
  const network = new BunNetwork({ clock: systemClock });
  let pair: PodPair;
  let authority: TestCa;
  let web: TlsIdentity;
  let node: StaticNode;
  let logs = '';
  const sources: string[] = [];

  beforeAll(async () => {
    pair = makePodPair(241);
    authority = await createTestCa();
    web = await authority.issue(spiffe('web'));
    node = startStaticNode(
      {
        trustDomain: TRUST_DOMAIN,
        addresses: mesh({}),
        authorizations: [],
        pods: [
          {
            namespace: 'shop',
            name: 'product',
            serviceAccount: 'product',
            netns: pair.product.path,
            listenAddress: '::',
            certificateFile: '',
            keyFile: '',
            rootFile: '',
            identity: await authority.issue(spiffe('product')),
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
    redirectOnce(pair.product.path, DEFAULT_RULES);
    // The app echoes and ends after its client does.
    for (const [address, port] of [
      ['::', APP_PORT],
      ['127.0.0.1', PROXY_PORT],
      ['::1', PROXY_PORT],
    ] as const) {
      network.listen({ address, port, namespace: pair.product.namespace }, (connection) => {
        sources.push(connection.remoteAddress);
        return {
          onData: (bytes) => void connection.write(bytes),
          onDrain: () => undefined,
          onEnd: () => connection.end(),
          onClose: () => undefined,
        };
      });
    }
  });

  afterAll(() => {
    node?.stop();
    pair?.[Symbol.dispose]();
  });

  function mesh(product: Partial<Workload>, more: MeshAddress[] = []): MeshAddress[] {
    const workload = completeWorkload(
      {
        name: 'product',
        namespace: 'shop',
        serviceAccount: 'product',
        workloadName: 'product-v1',
        canonicalName: 'product',
        canonicalRevision: 'v1',
        addresses: [pair.product.ip, pair.product.ip6],
        protocol: 'hbone',
        services: {
          'shop/product.shop.svc.cluster.local': [{ servicePort: 80, targetPort: APP_PORT }],
        },
        ...product,
      },
      TRUST_DOMAIN,
    );
    const service = completeService({
      name: 'product',
      namespace: 'shop',
      addresses: [{ network: '', address: '198.18.241.80' }],
      ports: [{ servicePort: 80, targetPort: APP_PORT, appProtocol: 'http' }],
    });
    return [{ kind: 'workload', workload }, { kind: 'service', service }, ...more];
  }

  async function ask(
    asks: Ask[],
    options: { address?: string; identity?: TlsIdentity } = {},
  ): Promise<Heard[]> {
    logs = '';
    sources.length = 0;
    const input: ClientInput = {
      address: options.address ?? pair.product.ip,
      identity: options.identity ?? web,
      asks,
    };
    const program = [process.execPath, `${import.meta.dir}/hbone-client.ts`];
    const child = Bun.spawn(['ip', 'netns', 'exec', pair.web.netns, ...program], {
      stdin: new TextEncoder().encode(JSON.stringify(input)),
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const text = await new Response(child.stdout).text();
    if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
    node.assembly.accessLog.flush();
    return JSON.parse(text) as Heard[];
  }

  async function askOne(one: Ask, options?: Parameters<typeof ask>[1]): Promise<Heard> {
    return (await ask([one], options))[0];
  }

  const deny = {
    name: 'no-web',
    namespace: 'shop',
    scope: 'namespace' as const,
    action: 'deny' as const,
    rules: [{ clauses: [] }],
    dryRun: false,
  };

  test('each refusal has its status, all of them on one connection', async () => {
    node.replace({ addresses: mesh({}), authorizations: [] });
    const own = pair.product.ip;
    const rows: [title: string, ask: Ask, status: number][] = [
      ['its own address', { authority: `${own}:${APP_PORT}` }, 200],
      ['no CONNECT', { method: 'GET', authority: `${own}:${APP_PORT}` }, 400],
      ['no port', { authority: own }, 400],
      ['no host', { authority: `:${APP_PORT}` }, 400],
      ['no authority to speak of', { authority: 'a/b:80' }, 400],
      ['another address', { authority: `198.18.241.99:${APP_PORT}` }, 400],
      ['a name it serves', { authority: 'product.shop.svc.cluster.local:80' }, 200],
      ['the same in capitals', { authority: 'PRODUCT.shop.svc.cluster.local:80' }, 200],
      ['an unknown name', { authority: 'gone.shop.svc.cluster.local:80' }, 503],
      [
        'a port of the name it does not serve',
        { authority: 'product.shop.svc.cluster.local:81' },
        503,
      ],
      ['outbound capture', { authority: `${own}:15001` }, 503],
      ['inbound capture', { authority: `${own}:15006` }, 503],
      ['HBONE itself', { authority: `${own}:15008` }, 503],
      ['nobody listens', { authority: `${own}:9` }, 503],
    ];
    const heard = await ask(rows.map(([, one]) => one));
    expect(heard.map(({ status }, index) => [rows[index][0], status])).toEqual(
      rows.map(([title, , status]) => [title, status]),
    );
    expect(logs).toContain('recursive call');
  });

  test('200 comes once the app is connected; bytes and both ends of it pass; the app sees the client', async () => {
    const heard = await askOne({ authority: `${pair.product.ip}:${APP_PORT}`, send: 'hello' });
    expect(heard).toMatchObject({ status: 200, body: 'hello', reset: false });
    expect(sources).toEqual([pair.web.ip]);
  });

  test('the answer describes the destination in baggage; a refusal does not', async () => {
    const heard = await ask([
      { authority: `${pair.product.ip}:${APP_PORT}` },
      { authority: `${pair.product.ip}:9` },
    ]);
    expect(heard[0].baggage).toBe(
      'k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.pod.name=product-v1,service.name=product,service.version=v1',
    );
    expect(heard[1].baggage).toBeUndefined();
  });

  test('denied by policy: 401, and the log names the policy', async () => {
    node.replace({ addresses: mesh({}), authorizations: [deny] });
    expect(await askOne({ authority: `${pair.product.ip}:${APP_PORT}` })).toMatchObject({
      status: 401,
    });
    expect(logs).toContain('explicitly denied by: shop/no-web');
    expect(sources).toEqual([]);
  });

  test('a workload that discovery does not know: 503 after the wait for it', async () => {
    node.replace({ addresses: [], authorizations: [] });
    const before = systemClock.now();
    expect(await askOne({ authority: `${pair.product.ip}:${APP_PORT}` })).toMatchObject({
      status: 503,
    });
    expect(systemClock.now() - before).toBeGreaterThan(4_900);
    expect(logs).toContain('unknown workload shop/product');
  });

  test('a waypoint for the address is asked for it: passes, to the address of the waypoint', async () => {
    const behind = completeService({
      name: 'behind',
      namespace: 'shop',
      addresses: [{ network: '', address: '198.18.241.90' }],
      ports: [{ servicePort: APP_PORT, targetPort: 1, appProtocol: 'http' }],
      waypoint: {
        service: { namespace: 'shop', hostname: 'product.shop.svc.cluster.local' },
        hbonePort: 15008,
      },
    });
    const addresses = mesh({}, [{ kind: 'service', service: behind }]);
    node.replace({ addresses, authorizations: [] });
    expect(await askOne({ authority: `198.18.241.90:${APP_PORT}`, send: 'x' })).toMatchObject({
      status: 200,
      body: 'x',
    });
  });

  test('an application tunnel reads who it is from and for in a PROXY header, on loopback', async () => {
    const applicationTunnel = { protocol: 'proxy' as const, port: PROXY_PORT };
    node.replace({ addresses: mesh({ applicationTunnel }), authorizations: [] });
    const heard = await askOne({ authority: '198.18.241.123:443', send: 'hello' });
    expect(heard.status).toBe(200);
    const header = Buffer.from(heard.body, 'latin1');
    const principal = spiffe('web');
    expect(header.subarray(0, 16).toString('hex')).toBe(
      `0d0a0d0a000d0a515549540a2111${(12 + 3 + principal.length).toString(16).padStart(4, '0')}`,
    );
    expect([...header.subarray(16, 24)]).toEqual([198, 18, 241, 2, 198, 18, 241, 123]);
    expect(header.readUInt16BE(26)).toBe(443);
    expect([header[28], header.readUInt16BE(29)]).toEqual([0xd0, principal.length]);
    expect(header.subarray(31).toString()).toBe(`${principal}hello`);
    expect(sources).toEqual(['127.0.0.1']);
    const byName = await askOne({ authority: 'product.shop.svc.cluster.local:80' });
    const named = Buffer.from(byName.body, 'latin1');
    expect([...named.subarray(20, 24), named.readUInt16BE(26)]).toEqual([198, 18, 241, 80, 80]);
    expect(logs).toContain('bytes_recv=0');
  });

  test('from another network the baggage says who calls; from ours the address does', async () => {
    const caller = completeWorkload(
      { name: 'web-by-address', namespace: 'shop', addresses: [pair.web.ip], protocol: 'hbone' },
      TRUST_DOMAIN,
    );
    const addresses = mesh({}, [{ kind: 'workload', workload: caller }]);
    node.replace({ addresses, authorizations: [] });
    const one = { authority: `${pair.product.ip}:${APP_PORT}` };
    const baggage = 'k8s.cluster.name=west,k8s.namespace.name=shop,k8s.deployment.name=web-far';
    await askOne({ ...one, headers: { baggage } });
    expect(logs).toContain('src.workload="web-by-address"');
    await askOne({ ...one, headers: { baggage, 'x-forwarded-network': 'west-net' } });
    expect(logs).toContain('src.workload="web-far"');
    expect(logs).toContain('src.cluster="west"');
    expect(logs).toContain(`src.identity="${spiffe('web')}"`);
  });

  test('IPv6: address authorities in brackets, the source kept, the PROXY header of that family', async () => {
    const { ip6 } = pair.product;
    node.replace({ addresses: mesh({}), authorizations: [] });
    const heard = await ask(
      [
        { authority: `[${ip6}]:${APP_PORT}`, send: 'six' },
        { authority: `[2001:2:0:241::99]:${APP_PORT}` },
        { authority: `${ip6}:${APP_PORT}` },
      ],
      { address: ip6 },
    );
    expect(heard.map(({ status }) => status)).toEqual([200, 400, 400]);
    expect(heard[0].body).toBe('six');
    expect(sources).toEqual([pair.web.ip6]);
    const applicationTunnel = { protocol: 'proxy' as const, port: PROXY_PORT };
    node.replace({ addresses: mesh({ applicationTunnel }), authorizations: [] });
    const proxied = await askOne({ authority: `[${ip6}]:80` }, { address: ip6 });
    expect(Buffer.from(proxied.body, 'latin1')[13]).toBe(0x21);
    expect(sources).toEqual(['::1']);
  });

  test('a client of another trust domain, or of an unknown root, does not get as far as a stream', async () => {
    node.replace({ addresses: mesh({}), authorizations: [] });
    const one = { authority: `${pair.product.ip}:${APP_PORT}` };
    const foreign = await authority.issue(spiffe('web', 'other.domain'));
    expect(await askOne(one, { identity: foreign })).toMatchObject({ status: 0 });
    await until(() => (logs.includes('is not of trust domain') ? true : undefined));
    const stranger = await (await createTestCa('stranger')).issue(spiffe('web'));
    const identity = { ...stranger, trustBundle: web.trustBundle };
    expect(await askOne(one, { identity })).toMatchObject({ status: 0 });
    await until(() => (logs.includes('connection failed') ? true : undefined));
  });
});
