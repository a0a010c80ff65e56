/**
 * A gateway of the lab as a user makes one: Gateway, HTTPRoute and Secret by kubectl, then curl from the host. The certificate is
 * rotated under load, plaintext is sent to https, a service's waypoint is passed through.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestCa, type TestCa } from '#test/support/certificates.ts';
import { eventually, missingFor, ROOT, run, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS }) !== undefined;

const EXAMPLE = 'examples/gateway/istio-ingressgateway.yaml';
const MANIFEST = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec:
  gatewayClassName: istio
  listeners:
  - { name: http, port: 80, protocol: HTTP }
  - name: https
    port: 443
    protocol: HTTPS
    hostname: shop.test
    tls: { certificateRefs: [{ name: edge-cert }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: to-https, namespace: shop }
spec:
  parentRefs: [{ name: edge, sectionName: http }]
  rules:
  - filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, statusCode: 301 } }]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: product, namespace: shop }
spec:
  parentRefs: [{ name: edge, sectionName: https }]
  hostnames: [shop.test]
  rules:
  - backendRefs: [{ name: product-service, port: 80 }]
`;

describe.skipIf(skip)('a gateway in the lab', () => {
  let lab: TestLab;
  let ca: TestCa;
  let directory: string;
  let ports: { http: string; https: string };

  const secret = async () => {
    const identity = await ca.issue('', { dns: 'shop.test' });
    const data = (text: string) => Buffer.from(text).toString('base64');
    return `
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: { name: edge-cert, namespace: shop }
data: { tls.crt: ${data(identity.certificateChain)}, tls.key: ${data(identity.privateKey)} }
`;
  };
  const balancers = async () => {
    const { stdout } = await lab.tulle('lab', 'status', '-o', 'json');
    const { balancers: found = [] } = JSON.parse(stdout) as {
      balancers?: { service: string; port: number; address: string; hostPort: number }[];
    };
    return found;
  };
  const curl = (...args: string[]) =>
    run(['curl', '-s', '--max-time', '10', '--cacert', join(directory, 'ca.pem'), ...args]);
  const https = (path: string) => {
    const [host, port] = ports.https.split(':');
    return ['--resolve', `shop.test:${port}:${host}`, `https://shop.test:${port}${path}`];
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tulle-gateway-'));
    ca = await createTestCa();
    writeFileSync(join(directory, 'ca.pem'), ca.rootPem);
    lab = await startLab(['--demo']);
    await lab.apply(await secret());
    const applied = await lab.apply(MANIFEST);
    expect(applied.stderr).toBe('');
    await lab.kubectl(
      'wait',
      '-n',
      'shop',
      '--for=condition=Programmed',
      'gateways.gateway.networking.k8s.io/edge',
      '--timeout=40s',
    );
    ports = await eventually('the ports on the host', async () => {
      const found = await balancers();
      const at = (port: number) => {
        const own = found.find((each) => each.service === 'shop/edge-istio' && each.port === port);
        return own === undefined ? undefined : `${own.address}:${own.hostPort}`;
      };
      const [http, secure] = [at(80), at(443)];
      return http === undefined || secure === undefined ? undefined : { http, https: secure };
    });
  }, 120_000);

  afterAll(async () => {
    await lab?.down();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  test('https reaches the service from the host, plaintext is sent there, unknown hosts are not found', async () => {
    const { stdout } = await lab.kubectl(
      'get',
      'gateways.gateway.networking.k8s.io',
      'edge',
      '-n',
      'shop',
      '-o',
      'json',
    );
    const { status } = JSON.parse(stdout) as {
      status: { addresses: { value: string }[]; listeners: { attachedRoutes: number }[] };
    };
    expect(ports.https).toStartWith(status.addresses[0].value);
    expect(status.listeners.map(({ attachedRoutes }) => attachedRoutes)).toEqual([1, 1]);
    const code = await eventually('the first answer', async () => {
      const answer = await curl(
        '-o',
        '/dev/null',
        '-w',
        '%{http_code} %{http_version}',
        ...https('/'),
      );
      return answer.stdout.startsWith('200') ? answer.stdout : undefined;
    });
    expect(code).toBe('200 2');
    const moved = await curl(
      '-o',
      '/dev/null',
      '-w',
      '%{http_code} %{redirect_url}',
      '-H',
      'Host: shop.test',
      `http://${ports.http}/x?y=1`,
    );
    expect(moved.stdout).toBe('301 https://shop.test/x?y=1');
    const [host, port] = ports.https.split(':');
    const other = await curl(
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '--resolve',
      `shop.test:${port}:${host}`,
      '-H',
      'Host: other.test',
      `https://shop.test:${port}/`,
    );
    expect(other.stdout).toBe('404');
  }, 60_000);

  test('the waypoint of the service sees the traffic: its log names the gateway’s request', async () => {
    await curl('-o', '/dev/null', '-A', 'through-the-gateway', ...https('/'));
    await eventually('the request in the log of the waypoint', async () => {
      const log = await lab.tulle('logs', '-n', 'shop', 'deploy/waypoint', '--tail', '200');
      return log.stdout.includes('through-the-gateway') ? true : undefined;
    });
  }, 120_000);

  test('a rotated Secret is served within seconds, and no request fails meanwhile', async () => {
    const [host, port] = ports.https.split(':');
    const serial = async () => {
      const { stdout } = await run([
        'sh',
        '-c',
        `openssl s_client -connect ${host}:${port} -servername shop.test </dev/null 2>/dev/null | openssl x509 -noout -serial`,
      ]);
      return stdout.trim();
    };
    const first = await serial();
    let stop = false;
    const codes: string[] = [];
    const load = async () => {
      while (!stop) {
        const answer = await curl('-o', '/dev/null', '-w', '%{http_code}', ...https('/'));
        codes.push(`${answer.stdout} ${answer.status}`);
      }
    };
    const running = Promise.all([load(), load()]);
    await eventually('some answers', async () => (codes.length > 10 ? true : undefined));
    await lab.apply(await secret());
    await eventually('the new certificate', async () => {
      const next = await serial();
      return next !== '' && next !== first ? true : undefined;
    });
    const seen = codes.length;
    await eventually('answers after it', async () => (codes.length > seen + 10 ? true : undefined));
    stop = true;
    await running;
    expect(codes.filter((code) => code !== '200 0')).toEqual([]);
  }, 60_000);

  test('tulle proxy looks inside a gateway, and shows no key', async () => {
    const config = await lab.tulle('proxy', 'config', 'edge', '-o', 'json');
    const dump = JSON.parse(config.stdout) as {
      listeners: { port: number }[];
      materials: string[];
    };
    expect(dump.listeners.map(({ port }) => port)).toEqual([80, 443]);
    expect(dump.materials).toEqual(['kubernetes://shop/edge-cert']);
    expect(config.stdout).not.toContain('BEGIN');
    const certs = await lab.tulle('proxy', 'certs', 'edge', '-o', 'json');
    const [{ identity, roots }] = JSON.parse(certs.stdout) as {
      identity: string;
      roots: string[];
    }[];
    expect(identity).toBe('spiffe://cluster.local/ns/shop/sa/edge-istio');
    expect(roots).toHaveLength(1);
    expect(certs.stdout).not.toContain('BEGIN');
    const level = await lab.tulle('proxy', 'log', 'edge', '--level', 'debug');
    expect(level.stdout).toContain('debug');
    const open = await lab.tulle('proxy', 'connections', 'waypoint', '-o', 'json');
    const { connections } = JSON.parse(open.stdout) as {
      connections: { source: { workload?: string }; mutualTls: boolean }[];
    };
    expect(connections.some(({ source }) => source.workload === 'shop/web')).toBe(true);
    expect(connections.every(({ mutualTls }) => mutualTls)).toBe(true);
  }, 120_000);

  test('a gateway deployed by hand serves the Istio Gateway that selects it', async () => {
    const applied = await lab.kubectl('apply', '-f', join(ROOT, EXAMPLE));
    expect(applied.stderr).toBe('');
    await eventually(
      'an answer through it',
      async () => {
        const at = (await balancers()).find(
          (each) => each.service === 'shop/istio-ingressgateway' && each.port === 80,
        );
        if (at === undefined) return undefined;
        const url = `http://${at.address}:${at.hostPort}/`;
        const answer = await curl(
          '-o',
          '/dev/null',
          '-w',
          '%{http_code}',
          '-H',
          'Host: product.example',
          url,
        );
        return answer.stdout === '200' ? true : undefined;
      },
      40_000,
    );
  }, 60_000);

  test('a gateway that is deleted takes its pod, its Service and its ports along', async () => {
    await lab.kubectl('delete', 'gateways.gateway.networking.k8s.io', 'edge', '-n', 'shop');
    await eventually('the ports to go', async () => {
      const { stdout } = await lab.tulle('lab', 'status', '-o', 'json');
      return stdout.includes('shop/edge-istio') ? undefined : true;
    });
    expect((await curl(`http://${ports.http}/`)).status).not.toBe(0);
  }, 60_000);
});
