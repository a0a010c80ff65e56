/** A gateway over real sockets: hosts, TLS by server name, client certificates, bytes, and configuration that changes under load. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect as connectH2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TlsMaterial } from '#model/route/gateway-config.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import {
  bytesTo,
  destinationAt,
  exchange,
  freePort,
  gatewayOf,
  get,
  hosted,
  materialOf,
  serverOf,
  startGateway,
} from '#test/support/gateway-rig.ts';
import { POLICY } from '#test/support/waypoint-rig.ts';

const answer = (name: string) => (request: Request) => {
  const headers = Object.fromEntries(request.headers);
  return Response.json({ name, path: new URL(request.url).pathname, headers });
};
const origins = ['a', 'b'].map((name) =>
  Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: answer(name) }),
);
const raw = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: {
    data: (socket, bytes) => {
      socket.write(`raw:${Buffer.from(bytes).toString('latin1')}`);
      socket.end();
    },
  },
});
const hold = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: { data: (socket) => void socket.write('held') },
});
let ca: TestCa;
let certificates: { a: TlsIdentity; b: TlsIdentity; client: TlsIdentity };
let secureOrigin: ReturnType<typeof Bun.serve>;
let gateway: ReturnType<typeof startGateway>;

beforeAll(async () => {
  ca = await createTestCa();
  certificates = {
    a: await ca.issue('', { dns: 'a.test' }),
    b: await ca.issue('', { dns: 'b.test' }),
    client: await ca.issue('spiffe://cluster.local/ns/out/sa/client'),
  };
  const secure = await ca.issue('', { dns: 'secure.test' });
  secureOrigin = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    tls: {
      cert: secure.certificateChain,
      key: secure.privateKey,
      ca: ca.rootPem,
      requestCert: true,
      rejectUnauthorized: true,
    },
    fetch: answer('secure'),
  });
  const tls = { mode: 'mutual' as const, insecureSkipVerify: false, material: 'k://client' };
  const secured = (name: string, part: object) =>
    destinationAt(name, secureOrigin.port ?? 0, {
      ...POLICY,
      outlier: undefined,
      tls: { ...tls, subjectAltNames: [], sni: 'secure.test', ...part },
    });
  gateway = startGateway([
    destinationAt('a', origins[0].port ?? 0),
    destinationAt('b', origins[1].port ?? 0),
    destinationAt('raw', raw.port),
    destinationAt('hold', hold.port),
    secured('secure', {}),
    secured('wrong', { subjectAltNames: ['other.test'] }),
    secured('nocert', { mode: 'simple' }),
    secured('missing', { material: 'k://gone' }),
  ]);
});
afterAll(async () => {
  gateway.stop();
  raw.stop(true);
  hold.stop(true);
  await Promise.all([...origins, secureOrigin].map((each) => each.stop(true)));
});

const bodyOf = (text: string) =>
  JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as {
    name: string;
    path: string;
    headers: Record<string, string>;
  };
const secrets = (): TlsMaterial[] => [
  materialOf('k://a', certificates.a),
  materialOf('k://b', certificates.b),
  materialOf('k://client', certificates.client),
];
const simple = (...names: string[]) => ({ mode: 'simple' as const, certificates: names });
const trusting = (servername: string, extra = {}) => ({ ca: ca.rootPem, servername, ...extra });
const status = (text: string) => Number(text.split(' ')[1]);

describe('a plaintext port', () => {
  test('routes by host over all servers, redirects where told, and knows no others', async () => {
    const port = freePort();
    gateway.configure([
      gatewayOf([
        {
          port,
          servers: [
            serverOf({ name: 'one', virtualHosts: [hosted('a.test', 'a')] }),
            serverOf({ name: 'two', virtualHosts: [hosted('*.b.test', 'b')] }),
            serverOf({ name: 'to-https', hosts: ['s.test'], httpsRedirect: true }),
          ],
        },
      ]),
    ]);
    expect(bodyOf(await exchange(port, get('a.test'))).name).toBe('a');
    expect(bodyOf(await exchange(port, get(`x.b.test:${port}`))).name).toBe('b');
    const unknown = await exchange(port, get('c.test'));
    expect(status(unknown)).toBe(404);
    expect(unknown).toContain('takes c.test');
    const moved = await exchange(port, get('s.test:8080', '/p?q=1'));
    expect(status(moved)).toBe(301);
    expect(moved.toLowerCase()).toContain('location: https://s.test/p?q=1');
  });

  test('limits of the gateway refuse what is over them, each client address by itself', async () => {
    const port = freePort();
    const listeners = [
      { port, servers: [serverOf({ name: 's', virtualHosts: [hosted('*', 'a')] })] },
    ];
    const limit = {
      id: 'shop/l/0',
      provenance: { kind: 'LocalRateLimit', namespace: 'shop', name: 'l' },
      key: { kind: 'source-address' },
      requests: 1,
      unitMs: 3_600_000,
      burst: 1,
    } as const;
    gateway.configure([gatewayOf(listeners, { rateLimits: [limit], trustedProxies: 1 })]);
    const ask = async (from: string) =>
      status(await exchange(port, get('x', '/', `X-Forwarded-For: ${from}\r\n`)));
    expect(await ask('203.0.113.1')).toBe(200);
    expect(await ask('203.0.113.1')).toBe(429);
    expect(await ask('203.0.113.2')).toBe(200);
  });

  test('no request speaks in the voice of the mesh; the client is told by who connected', async () => {
    const port = freePort();
    const listeners = [
      { port, servers: [serverOf({ name: 's', virtualHosts: [hosted('*', 'a')] })] },
    ];
    const forged =
      'X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Envoy-Retry-On: 5xx\r\nX-Envoy-Internal: true\r\n' +
      'X-Forwarded-Client-Cert: By=me\r\nX-Request-Id: mine\r\n';
    gateway.configure([gatewayOf(listeners)]);
    const { headers } = bodyOf(await exchange(port, get('x', '/', forged)));
    expect(headers['x-forwarded-for']).toBe('9.9.9.9,127.0.0.1');
    expect(headers['x-forwarded-proto']).toBe('http');
    expect(headers['x-envoy-external-address']).toBe('127.0.0.1');
    expect(headers['x-request-id']).not.toBe('mine');
    for (const name of ['x-envoy-retry-on', 'x-envoy-internal', 'x-forwarded-client-cert']) {
      expect(headers[name]).toBeUndefined();
    }
    gateway.configure([gatewayOf(listeners, { trustedProxies: 1 })]);
    const trusted = bodyOf(await exchange(port, get('x', '/', forged))).headers;
    expect(trusted['x-forwarded-proto']).toBe('https');
    expect(trusted['x-envoy-external-address']).toBe('9.9.9.9');
  });

  test('reports itself as the source, and no host that it does not know as a label', async () => {
    const port = freePort();
    const server = serverOf({ name: 's', virtualHosts: [hosted('a.test', 'a')] });
    gateway.configure([gatewayOf([{ port, servers: [server] }])]);
    await exchange(port, get('a.test'));
    await exchange(port, get('made-up.test'));
    const lines = gateway.runtime.registry.expose().split('\n');
    const requests = lines.filter((line) => line.startsWith('istio_requests_total'));
    expect(requests.every((line) => line.includes('reporter="source"'))).toBe(true);
    expect(requests.some((line) => line.includes('destination_service="a.shop.svc'))).toBe(true);
    expect(requests.join()).not.toContain('made-up');
  });

  test('takes a PROXY header where it is told to, and nothing else there', async () => {
    const port = freePort();
    gateway.configure([
      gatewayOf([
        {
          port,
          proxyProtocol: true,
          servers: [serverOf({ name: 's', virtualHosts: [hosted('*', 'a')] })],
        },
      ]),
    ]);
    const introduced = `PROXY TCP4 198.51.100.7 127.0.0.1 4000 80\r\n${get('x')}`;
    const { headers } = bodyOf(await exchange(port, introduced));
    expect(headers['x-forwarded-for']).toBe('198.51.100.7');
    expect(await exchange(port, get('x'))).not.toContain('HTTP/1.1');
  });

  test('bytes go by the first rule that takes them', async () => {
    const port = freePort();
    gateway.configure([
      gatewayOf([
        { port, servers: [serverOf({ name: 't', protocol: 'tcp', l4Routes: [bytesTo('raw')] })] },
      ]),
    ]);
    expect(await exchange(port, 'hello')).toBe('raw:hello');
  });
});

describe('a TLS port', () => {
  const port = freePort();
  const both = () => [
    {
      port,
      servers: [
        serverOf({
          name: 'a',
          protocol: 'https',
          hosts: ['a.test'],
          tls: simple('k://a'),
          virtualHosts: [hosted('a.test', 'a')],
        }),
        serverOf({
          name: 'b',
          protocol: 'https',
          hosts: ['b.test'],
          tls: simple('k://b'),
          virtualHosts: [hosted('b.test', 'b')],
        }),
        serverOf({
          name: 'raw',
          protocol: 'tls',
          hosts: ['raw.test'],
          l4Routes: [bytesTo('raw', ['raw.test'])],
        }),
      ],
    },
  ];

  test('chooses server and certificate by the name that is asked for', async () => {
    gateway.configure([gatewayOf(both())], secrets());
    expect(bodyOf(await exchange(port, get('a.test'), trusting('a.test'))).name).toBe('a');
    const { name, headers } = bodyOf(await exchange(port, get('b.test'), trusting('b.test')));
    expect(name).toBe('b');
    expect(headers['x-forwarded-proto']).toBe('https');
    expect(await exchange(port, get('c.test'), trusting('c.test'))).toStartWith('error');
    expect(await exchange(port, get('a.test'), { ca: ca.rootPem })).toStartWith('error');
    expect(gateway.lines.join()).toContain('is for server name c.test');
  });

  test('a request for a host of another server is misdirected, for an unknown one not found', async () => {
    expect(status(await exchange(port, get('b.test'), trusting('a.test')))).toBe(421);
    expect(status(await exchange(port, get('z.test'), trusting('a.test')))).toBe(404);
  });

  test('a request for a host that a more specific server has is misdirected, unless both have it', async () => {
    const tls = simple('k://a', 'k://b');
    const server = (
      name: string,
      hosts: string[],
      hosted: ReturnType<typeof serverOf>['virtualHosts'],
    ) => serverOf({ name, protocol: 'https', hosts, tls, virtualHosts: hosted });
    const servers = [
      server('any', ['*'], [hosted('*', 'a'), hosted('both.test', 'a')]),
      server('wide', ['*.test'], [hosted('*.test', 'b')]),
      server('exact', ['a.test'], [hosted('a.test', 'a'), hosted('both.test', 'b')]),
    ];
    gateway.configure([gatewayOf([{ port, servers }])], secrets());
    const over = async (sni: string, host: string) =>
      status(
        await exchange(port, get(host), {
          ...trusting(sni),
          checkServerIdentity: () => undefined,
        }),
      );
    expect(await over('a.test', 'a.test')).toBe(200);
    expect(await over('other', 'a.test')).toBe(421);
    expect(await over('b.test', 'a.test')).toBe(421);
    expect(await over('b.test', 'c.test')).toBe(200);
    expect(await over('a.test', 'c.test')).toBe(421);
    expect(await over('other', 'unknown')).toBe(200);
    expect(await over('a.test', 'both.test')).toBe(200);
    expect(await over('other', 'both.test')).toBe(200);
    gateway.configure([gatewayOf(both())], secrets());
  });

  test('speaks HTTP/2 to who offers it', async () => {
    const client = connectH2(`https://a.test:${port}`, {
      createConnection: () =>
        connectTls({ host: '127.0.0.1', port, ...trusting('a.test'), ALPNProtocols: ['h2'] }),
    });
    const got = await new Promise<number>((resolve, reject) => {
      client.on('error', reject);
      const request = client.request({ ':path': '/', ':authority': 'a.test' });
      request.on('response', (head) => resolve(Number(head[':status'])));
      request.on('error', reject);
      request.end();
    });
    expect(got).toBe(200);
    client.close();
  });

  test('passes TLS on by server name, untouched', async () => {
    const hello = Buffer.from(
      '1603010045010000410303' +
        '07'.repeat(32) +
        '000002130101000018' +
        '0000000d000b000008' +
        Buffer.from('raw.test').toString('hex') +
        '002b0003020304',
      'hex',
    );
    // Lengths are of the bytes that are there.
    hello.writeUInt16BE(hello.length - 5, 3);
    hello.writeUIntBE(hello.length - 9, 6, 3);
    expect(await exchange(port, hello)).toBe(
      `raw:${hello.toString('latin1')}`.replace(/[\x80-\xff]/g, (c) => Buffer.from(c).toString()),
    );
  });

  test('a rotated Secret counts from the next handshake on; a broken one leaves the last good', async () => {
    const serial = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls({ host: '127.0.0.1', port, ...trusting('a.test') }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.on('error', reject);
      });
    const first = await serial();
    const next = await ca.issue('', { dns: 'a.test' });
    gateway.configure([gatewayOf(both())], [materialOf('k://a', next), ...secrets().slice(1)]);
    const second = await serial();
    expect(second).not.toBe(first);
    const broken = { ...materialOf('k://a', next), privateKey: certificates.b.privateKey };
    gateway.configure([gatewayOf(both())], [broken, ...secrets().slice(1)]);
    expect(await serial()).toBe(second);
    expect(gateway.runtime.engine.snapshot?.problems.join()).toContain(
      'k://a: its key does not belong',
    );
    gateway.configure([gatewayOf(both())], secrets().slice(1));
    expect(serial()).rejects.toThrow();
    expect(bodyOf(await exchange(port, get('b.test'), trusting('b.test'))).name).toBe('b');
    expect(gateway.lines.join()).toContain('its certificate (k://a) is not there');
    gateway.configure([gatewayOf(both())], secrets());
  });

  test('client certificates: demanded, named, pinned, and told to the application', async () => {
    const own = freePort();
    const mutual = (part: object) =>
      gateway.configure(
        [
          gatewayOf([
            {
              port: own,
              servers: [
                serverOf({
                  name: 'm',
                  protocol: 'https',
                  hosts: ['a.test'],
                  tls: {
                    mode: 'mutual',
                    certificates: ['k://a'],
                    clientRoots: 'k://client',
                    ...part,
                  },
                  virtualHosts: [hosted('a.test', 'a')],
                }),
              ],
            },
          ]),
        ],
        secrets(),
      );
    const { certificateChain: cert, privateKey: key } = certificates.client;
    const ask = (extra = {}) => exchange(own, get('a.test'), trusting('a.test', extra));
    mutual({});
    expect(await ask()).not.toContain('HTTP/1.1');
    const { headers } = bodyOf(await ask({ cert, key }));
    expect(headers['x-forwarded-client-cert']).toMatch(
      /^Hash=[0-9a-f]{64};Cert="-----BEGIN.*";Subject=".*";URI=spiffe:\/\/cluster\.local\/ns\/out\/sa\/client$/,
    );
    const hash = /Hash=([0-9a-f]+)/.exec(headers['x-forwarded-client-cert'])?.[1];
    mutual({ clientSubjectAltNames: ['spiffe://cluster.local/ns/out/sa/client'] });
    expect(status(await ask({ cert, key }))).toBe(200);
    mutual({ clientSubjectAltNames: ['spiffe://cluster.local/ns/out/sa/other'] });
    expect(await ask({ cert, key })).not.toContain('HTTP/1.1');
    mutual({ clientCertificateHashes: [hash] });
    expect(status(await ask({ cert, key }))).toBe(200);
    mutual({ clientCertificateHashes: ['00'] });
    expect(await ask({ cert, key })).not.toContain('HTTP/1.1');
    mutual({ mode: 'optional' });
    expect(bodyOf(await ask()).headers['x-forwarded-client-cert']).toBeUndefined();
    const stranger = await (await createTestCa()).issue('spiffe://cluster.local/ns/out/sa/client');
    const foreign = { cert: stranger.certificateChain, key: stranger.privateKey };
    expect(await ask(foreign)).not.toContain('HTTP/1.1');
    mutual({ mode: 'unverified', clientRoots: undefined });
    for (const shown of [foreign, { cert, key }, {}])
      expect(bodyOf(await ask(shown)).headers['x-forwarded-client-cert']).toBeUndefined();
  });

  test('with the mesh certificates both sides prove who they are', async () => {
    const own = freePort();
    const identity = await ca.issue('spiffe://cluster.local/ns/shop/sa/edge');
    gateway.configure(
      [
        gatewayOf([
          {
            port: own,
            servers: [
              serverOf({
                name: 'm',
                protocol: 'https',
                tls: { mode: 'istio-mutual', certificates: [] },
                virtualHosts: [hosted('*', 'a')],
              }),
            ],
          },
        ]),
      ],
      secrets(),
    );
    const { certificateChain: cert, privateKey: key } = certificates.client;
    const tls = { rejectUnauthorized: false, cert, key };
    expect(await exchange(own, get('x'), tls)).toStartWith('error');
    gateway.setIdentity(identity);
    expect(status(await exchange(own, get('x'), tls))).toBe(200);
  });
});

describe('a changed configuration', () => {
  test('serves what runs, swaps routes under a kept connection, and gives ports back', async () => {
    const port = freePort();
    const to = (name: string) =>
      gateway.configure([
        gatewayOf([
          { port, servers: [serverOf({ name: 's', virtualHosts: [hosted('*', name)] })] },
        ]),
      ]);
    to('a');
    // One connection for all three requests.
    const ask = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { keepalive: true });
      return ((await response.json()) as { name: string }).name;
    };
    expect(await ask()).toBe('a');
    to('b');
    expect(await ask()).toBe('b');
    gateway.configure([]);
    expect(gateway.listeners.ports).toEqual([]);
    expect(await exchange(port, get('x'))).toStartWith('error');
    to('a');
    expect(await ask()).toBe('a');
  });

  test('a kept connection ends when its server asks for other proofs', async () => {
    const port = freePort();
    const under = (mode: 'simple' | 'mutual') =>
      gateway.configure(
        [
          gatewayOf([
            {
              port,
              servers: [
                serverOf({
                  name: 's',
                  protocol: 'https',
                  tls: { mode, certificates: ['k://a'], clientRoots: 'k://client' },
                  virtualHosts: [hosted('*', 'a')],
                }),
              ],
            },
          ]),
        ],
        secrets(),
      );
    under('simple');
    const closed = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const socket = connectTls({ host: '127.0.0.1', port, ...trusting('a.test') }, () =>
      socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'),
    );
    socket.on('data', () => answered.resolve());
    socket.on('close', () => closed.resolve());
    socket.on('error', () => undefined);
    await answered.promise;
    under('simple');
    expect(socket.destroyed).toBe(false);
    under('mutual');
    await closed.promise;
  });

  test('bytes that are passed through end when their server goes', async () => {
    const port = freePort();
    const server = serverOf({ name: 't', protocol: 'tcp', l4Routes: [bytesTo('hold')] });
    gateway.configure([gatewayOf([{ port, servers: [server] }])]);
    const closed = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    const socket = connectTcp({ host: '127.0.0.1', port }, () => socket.write('a'));
    socket.on('data', () => answered.resolve());
    socket.on('close', () => closed.resolve());
    socket.on('error', () => undefined);
    await answered.promise;
    gateway.configure([]);
    await closed.promise;
  });

  test('a port that is taken is told, and tried again', async () => {
    const other = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
    gateway.configure([gatewayOf([{ port: other.port, servers: [serverOf({ name: 's' })] }])]);
    expect(gateway.listeners.problems.join()).toContain(`cannot listen on 127.0.0.1:${other.port}`);
    other.stop(true);
    gateway.listeners.apply();
    expect(gateway.listeners.problems).toEqual([]);
    gateway.configure([]);
  });
});

describe('TLS to the destination', () => {
  const port = freePort();
  const inner = { v1: freePort(), v2: freePort() };
  const ask = (host: string) => exchange(port, get(host));

  test('a PROXY header goes before it, and tells who sends', async () => {
    const own = startGateway(
      (['v1', 'v2'] as const).map((version) =>
        destinationAt(version, inner[version], {
          ...POLICY,
          proxyProtocol: version,
          tls: {
            mode: 'simple',
            sni: 'a.test',
            subjectAltNames: [],
            material: 'k://a',
            insecureSkipVerify: false,
          },
        }),
      ),
    );
    const behind = (version: 'v1' | 'v2') => ({
      port: inner[version],
      proxyProtocol: true,
      servers: [
        serverOf({
          name: version,
          protocol: 'https' as const,
          hosts: ['a.test'],
          tls: simple('k://a'),
          virtualHosts: [hosted('*', 'a')],
        }),
      ],
    });
    gateway.configure([gatewayOf([behind('v1'), behind('v2')])], secrets());
    const front = [serverOf({ name: 'f', virtualHosts: [hosted('v1', 'v1'), hosted('v2', 'v2')] })];
    own.configure([gatewayOf([{ port, servers: front }])], secrets());
    for (const version of ['v1', 'v2']) {
      const { name, headers } = bodyOf(await ask(version));
      expect(name).toBe('a');
      expect(headers['x-forwarded-proto']).toBe('https');
      expect(headers['x-forwarded-for']).toBe('127.0.0.1,127.0.0.1');
    }
    own.stop();
  });

  test('proves who we are and demands the name; failures say why', async () => {
    const names = ['secure', 'wrong', 'nocert', 'missing'];
    gateway.configure(
      [
        gatewayOf([
          {
            port,
            servers: [
              serverOf({ name: 's', virtualHosts: names.map((name) => hosted(name, name)) }),
            ],
          },
        ]),
      ],
      secrets(),
    );
    expect(bodyOf(await ask('secure')).name).toBe('secure');
    const wrong = await ask('wrong');
    expect(status(wrong)).toBe(503);
    expect(wrong).toContain('the certificate is for secure.test, expected other.test');
    expect(status(await ask('nocert'))).toBe(503);
    expect(await ask('missing')).toContain('TLS material k://gone is not there');
  });
});
