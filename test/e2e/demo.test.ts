/**
 * The demo as a user runs it: real processes, real mTLS between two nodes, the user's own VirtualService and
 * DestinationRule, the real kubectl and curl.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GraphAnswer } from '#console/api/graph.ts';
import { ProductService, productServiceScenario } from '#test/scenarios/product-service.ts';
import { eventually, missingFor, run, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl', 'tcpdump', 'openssl'];
const skip = missingFor({ programs: PROGRAMS, root: true }) !== undefined;
const REQUEST_ID = '7e57ab1e-0000-4000-8000-000000000001';

const TELEMETRY = `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: ours, namespace: shop }
spec:
  metrics:
    - overrides:
        - tagOverrides:
            team: { value: "'shop'" }
            source_principal: { operation: REMOVE }
        - match: { metric: REQUEST_COUNT }
          tagOverrides:
            tenant: { value: "request.headers['x-tenant']" }
`;

interface Answer {
  version: string;
}

describe.skipIf(skip)('lab up --demo', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
  }, 60_000);

  afterAll(async () => {
    await lab?.down();
  });

  const world = () => ({ ...lab, nodes: ['node1', 'node2'] });
  const shop = new ProductService(world);

  test('prints what it did and the commands to try next', () => {
    for (const word of ['kubeconfig', 'x-canary: true', 'kubectl', 'graph'])
      expect(lab.output).toContain(word);
  });

  test('lab status says that everything is ready', async () => {
    const { stdout, status } = await lab.tulle('lab', 'status', '-o', 'json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'running', ready: true });
  });

  // Right after the start: the window is of a minute, and what failed leaves it.
  test('the graph has the load of the caller, and no connection of it that was refused', async () => {
    const edges = await eventually('the load in the graph', async () => {
      const { stdout } = await lab.tulle('graph', '-o', 'json');
      const { edges } = JSON.parse(stdout) as GraphAnswer;
      return edges.some(
        ({ protocol, requestsPerSecond }) => protocol === 'http' && requestsPerSecond > 5,
      )
        ? edges
        : undefined;
    });
    expect(edges.map(({ protocol, errorRate }) => [protocol, errorRate])).toEqual(
      edges.map(() => ['http', 0]),
    );
  });

  test('a request is answered through the waypoint, whose access log has it', async () => {
    const { stdout } = await shop.inWeb(
      'curl',
      '-s',
      '-H',
      `x-request-id: ${REQUEST_ID}`,
      'http://product-service/',
    );
    expect(['v1', 'v2']).toContain((JSON.parse(stdout) as Answer).version);
    await eventually('the access log line', async () => {
      const log = await lab.tulle('logs', '-n', 'shop', 'deploy/waypoint', '--tail', '400');
      return log.stdout.includes(REQUEST_ID) ? true : undefined;
    });
  });

  test('look-ups of a captured pod are answered by the proxy of its node, or passed on', async () => {
    const path = 'jsonpath={.items[0].status.hostIP}';
    const node = await lab.kubectl('get', 'pods', '-n', 'shop', '-l', 'app=web', '-o', path);
    const metrics = `curl -s http://${node.stdout}:15020/metrics`;
    const script = `getent hosts product-service; getent hosts www.example.org; ${metrics}`;
    const { stdout } = await shop.inWeb('sh', '-c', script);
    expect(stdout).toMatch(/^198\.19\.\d+\.\d+ +product-service\.shop\.svc\.cluster\.local/);
    const host = 'product-service.shop.svc.cluster.local';
    expect(stdout).toMatch(new RegExp(`lookups_total\\{host="${host}",result="answered"\\} [1-9]`));
    expect(stdout).toMatch(/lookups_total\{host="other",result="forwarded"\} [1-9]/);
  });

  productServiceScenario(world);

  test('a Telemetry changes the labels of waypoint and node proxy, and one scrape has all of them', async () => {
    const ask = async (...args: string[]) => (await lab.kubectl('get', 'pods', ...args)).stdout;
    const ipOf = (namespace: string, label: string) =>
      ask('-n', namespace, '-l', label, '-o', 'jsonpath={.items[0].status.podIP}');
    const scrape = async (address: string, path: string) => {
      const url = `http://${address}${path}`;
      return (await run(lab.onFabric(['curl', '-s', '-m', '10', url]))).stdout;
    };
    const applied = await lab.apply(TELEMETRY);
    expect(applied.stderr).toBe('');
    const counted = (text: string, metric: string, label = 'team="shop"') =>
      text.split('\n').find((line) => line.startsWith(`${metric}{`) && line.includes(label));
    const request = ['curl', '-s', '-o', '/dev/null', '-H', 'x-tenant: blue'];
    const waypoint = await ipOf('shop', 'gateway.networking.k8s.io/gateway-name=waypoint');
    const line = await eventually('the label', async () => {
      await shop.inWeb(...request, 'http://product-service/');
      const text = await scrape(`${waypoint}:15020`, '/metrics');
      return counted(text, 'istio_requests_total', 'tenant="blue"');
    });
    expect(line).toContain('team="shop"');
    expect(line).not.toContain('source_principal=');
    const control = await ipOf('istio-system', 'app=istiod');
    const whole = await scrape(`${control}:15014`, '/federate');
    expect(counted(whole, 'istio_requests_total')).toContain('proxy="waypoint"');
    expect(counted(whole, 'istio_tcp_connections_opened_total')).toContain('proxy="node"');
    expect(whole.match(/tulle_federated_proxy_up\{[^}]*\} 1/g)).toHaveLength(3);
    await lab.kubectl('delete', 'telemetry', 'ours', '-n', 'shop');
    await eventually('the labels to be as they were', async () => {
      await shop.many(1);
      const now = await scrape(`${waypoint}:15020`, '/metrics');
      return /istio_requests_total\{[^}]*source_principal="spiffe/.test(now) ? true : undefined;
    });
  }, 60_000);

  test('with a kubeconfig alone the control plane is asked through the API server', async () => {
    const elsewhere = join(lab.home, 'kubeconfig-copy');
    copyFileSync(lab.kubeconfig, elsewhere);
    const asked = await lab.tulle('--kubeconfig', elsewhere, 'status', '-o', 'json');
    expect(asked).toMatchObject({ status: 0, stderr: '' });
    const names = (text: string) =>
      (JSON.parse(text) as { proxies: { name: string }[] }).proxies.map(({ name }) => name);
    expect(names(asked.stdout)).toEqual(names((await lab.tulle('status', '-o', 'json')).stdout));
    expect(names(asked.stdout).length).toBe(3);
  });

  describe('tulle proxy', () => {
    const json = async <T>(...words: string[]): Promise<T> => {
      const { stdout, stderr, status } = await lab.tulle('proxy', ...words, '-o', 'json');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      return JSON.parse(stdout) as T;
    };
    const nodeOfWeb = async () => {
      const path = 'jsonpath={.items[0].spec.nodeName}';
      const { stdout } = await lab.kubectl(
        'get',
        'pods',
        '-n',
        'shop',
        '-l',
        'app=web',
        '-o',
        path,
      );
      return stdout;
    };

    test('list has every proxy, in sync, with what it carries', async () => {
      interface Row {
        kind: string;
        sync: string;
        version: string;
        pods: number;
        connections: number;
        memoryBytes: number;
      }
      const rows = await json<Row[]>('list');
      expect(rows.map(({ kind }) => kind).sort()).toEqual(['node', 'node', 'waypoint']);
      for (const { sync, version, memoryBytes } of rows) {
        expect({ sync, version }).toEqual({ sync: 'synced', version: '0.1.0' });
        expect(memoryBytes).toBeGreaterThan(10_000_000);
      }
      expect(rows.reduce((sum, { pods = 0 }) => sum + pods, 0)).toBe(4);
      const carries = (kind: string) =>
        rows.filter((row) => row.kind === kind && row.connections > 0);
      expect(carries('node').length).toBeGreaterThan(0);
      expect(carries('waypoint')).toHaveLength(1);
    });

    test('connections shows the client’s live connection with both identities', async () => {
      await shop.many(1);
      interface Answer {
        matched: number;
        connections: { service: string; mutualTls: boolean; source: { identity: string } }[];
      }
      const filter = ['--direction', 'outbound', '--namespace', 'shop'];
      const answer = await json<Answer>('connections', await nodeOfWeb(), ...filter);
      expect(answer.matched).toBeGreaterThan(0);
      expect(answer.connections[0]).toMatchObject({
        service: 'product-service.shop.svc.cluster.local',
        mutualTls: true,
        source: { identity: 'spiffe://cluster.local/ns/shop/sa/web' },
      });
    });

    test('log changes what a running proxy writes, and back', async () => {
      const node = await nodeOfWeb();
      const opened = async () =>
        (await lab.kubectl('logs', '-n', 'istio-system', `tulle-node-${node}`)).stdout
          .split('\n')
          .filter((line) => line.includes('\tdebug\taccess\tconnection opened\t')).length;
      expect(await opened()).toBe(0);
      await json('log', node, '--level', 'info,access=debug');
      await shop.many(1);
      await eventually('a debug line', async () => (await opened()) || undefined);
      expect(await json<object>('log', node, '--reset')).toMatchObject({ level: 'info' });
    });

    test('certs and config of either kind of proxy, and never a key', async () => {
      const path = 'jsonpath={.data.root-cert\\.pem}';
      const root = await lab.kubectl('get', 'cm', 'istio-ca-root-cert', '-n', 'shop', '-o', path);
      const roots = [new X509Certificate(root.stdout).serialNumber.toLowerCase()];
      for (const name of [await nodeOfWeb(), 'waypoint']) {
        const certs = await json<{ state: string; roots: string[] }[]>('certs', name);
        expect(certs.length).toBeGreaterThan(0);
        for (const shown of certs) expect(shown).toMatchObject({ state: 'Available', roots });
        expect(JSON.stringify(certs)).not.toContain('PRIVATE KEY');
        const { stdout, status } = await lab.tulle('proxy', 'config', name, '--raw');
        expect(status).toBe(0);
        expect(stdout).toContain('product-service');
        expect(stdout).not.toContain('PRIVATE KEY');
      }
    });

    test('a name of no proxy is an error with the next command; a waypoint has log levels, too', async () => {
      const missing = await lab.tulle('proxy', 'certs', 'nosuch');
      expect(missing).toMatchObject({ status: 3, stdout: '' });
      expect(missing.stderr).toContain('try: tulle proxy list');
      expect((await lab.tulle('proxy', 'log', 'waypoint')).status).toBe(0);
    });
  });
});
