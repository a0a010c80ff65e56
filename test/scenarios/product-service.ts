/**
 * The user's own example, examples/product-service, as it is: routing by weight and header, a change under load, what is seen on the wire,
 * identities, STRICT and PERMISSIVE. The example's objects are there and ready.
 */
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { eventually, ROOT, run } from '#test/support/lab.ts';
import type { MeshWorld } from './mesh-world.ts';

const PAYLOAD = 'plaintext-must-never-cross-the-wire';

interface Answer {
  version: string;
}

export class ProductService {
  readonly #world: () => MeshWorld;

  constructor(world: () => MeshWorld) {
    this.#world = world;
  }

  /** Runs a command in the client's pod. */
  inWeb(...words: string[]) {
    return this.#world().kubectl('exec', '-n', 'shop', 'deploy/web', '--', ...words);
  }

  /** Many requests from one exec: a shell loop in the client pod prints one answer a line. */
  async many(count: number, flags = ''): Promise<Answer[]> {
    const loop = `for i in $(seq ${count}); do curl -s ${flags} http://product-service/; echo; done`;
    const { stdout, stderr, status } = await this.inWeb('sh', '-c', loop);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lines = stdout.split('\n').filter((line) => line.trim() !== '');
    return lines.map((line) => JSON.parse(line) as Answer);
  }

  async podIp(selector: string): Promise<string> {
    const path = 'jsonpath={.items[0].status.podIP}';
    const words = ['get', 'pods', '-n', 'shop', '-l', selector, '-o', path];
    return (await this.#world().kubectl(...words)).stdout;
  }
}

const versionsOf = (answers: readonly Answer[]) => [
  ...new Set(answers.map(({ version }) => version)),
];

/** Registers the tests; call it inside a `describe`. */
export function productServiceScenario(world: () => MeshWorld): void {
  const shop = new ProductService(world);

  test('1,000 requests split 90/10 within 3 points', async () => {
    const answers = await shop.many(1000);
    expect(answers.length).toBe(1000);
    const share = answers.filter((answer) => answer.version === 'v2').length / answers.length;
    expect(share).toBeGreaterThan(0.07);
    expect(share).toBeLessThan(0.13);
  }, 300_000);

  test('x-canary: true always reaches v2', async () => {
    expect(versionsOf(await shop.many(50, '-H "x-canary: true"'))).toEqual(['v2']);
  }, 300_000);

  test('kubectl applies the example and lists its objects', async () => {
    const folder = join(ROOT, 'examples/product-service/');
    const applied = await world().kubectl(
      'apply',
      '-n',
      'shop',
      '-f',
      `${folder}product-service.yaml`,
    );
    expect({ status: applied.status, stderr: applied.stderr }).toMatchObject({ status: 0 });
    const listed = await world().kubectl('get', 'vs,dr,pods', '-A');
    expect(listed.status).toBe(0);
    expect(listed.stdout).toContain('virtualservice.networking.istio.io/product-service');
    expect(listed.stdout).toContain('destinationrule.networking.istio.io/product-service');
    expect(listed.stdout).toContain('pod/product-service-v2');
  });

  test('a weight change takes effect in a second without a failed request under load', async () => {
    const loop = 'curl -s -o /dev/null -w "%{http_code} %{exitcode}\\n" http://product-service/';
    const timed = `end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do ${loop}; done`;
    const load = shop.inWeb('sh', '-c', timed);
    const weights = (stable: number, canary: number) => {
      const operations = [stable, canary].map((value, index) => ({
        op: 'replace',
        path: `/spec/http/1/route/${index}/weight`,
        value,
      }));
      const patch = ['patch', 'vs', 'product-service', '-n', 'shop', '--type=json', '-p'];
      return world().kubectl(...patch, JSON.stringify(operations));
    };
    expect((await weights(0, 100)).status).toBe(0);
    await Bun.sleep(1000);
    expect(versionsOf(await shop.many(30))).toEqual(['v2']);
    expect((await weights(90, 10)).status).toBe(0);
    const lines = (await load).stdout.split('\n').filter((line) => line !== '');
    expect(lines.length).toBeGreaterThan(20);
    expect(lines.filter((line) => line !== '200 0')).toEqual([]);
  }, 300_000);

  test('the wire between the nodes carries TLS on 15008 and not one byte of the payload', async () => {
    const [node] = world().nodes;
    const capture = join(world().home, 'wire.pcap');
    const words = ['tcpdump', '-i', 'eth0', '-U', '--immediate-mode', '-w', capture, 'tcp'];
    const sniffer = Bun.spawn(world().onNode(node, words), { stdout: 'ignore', stderr: 'ignore' });
    try {
      await eventually('the capture', async () => (await Bun.file(capture).exists()) || undefined);
      const flags = `-H "x-secret: ${PAYLOAD}"`;
      expect((await shop.many(30, flags)).length).toBe(30);
    } finally {
      sniffer.kill('SIGINT');
      await sniffer.exited;
    }
    const bytes = Buffer.from(await Bun.file(capture).arrayBuffer());
    expect(bytes.length).toBeGreaterThan(10_000);
    expect(bytes.includes(PAYLOAD)).toBe(false);
    const packets = async (filter: string) =>
      (await run(['tcpdump', '-r', capture, '-n', filter])).stdout.split('\n').length - 1;
    expect(await packets('tcp port 15008')).toBeGreaterThan(10);
    // Probes are the node's own and stay in it; what passes between nodes in the open would be seen here.
    expect(await packets('tcp port 8080 or tcp port 80')).toBe(0);
  }, 300_000);

  test('the peers’ certificates carry the SPIFFE identity of their service account', async () => {
    const address = await shop.podIp('app=product-service,version=v2');
    const script = `openssl s_client -connect ${address}:15008 -tls1_3 -alpn h2 </dev/null 2>/dev/null | openssl x509 -noout -text`;
    const shown = await run(world().onNode(world().nodes[0], ['sh', '-c', script]));
    expect(shown.stdout).toMatch(/URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/\S+/);
  });

  test('STRICT refuses the pod outside the mesh and PERMISSIVE admits it', async () => {
    const address = await shop.podIp('app=product-service,version=v1');
    const code = ['-s', '-m', '3', '-o', '/dev/null', '-w', '%{http_code}'];
    const outside = async () => {
      const words = ['exec', '-n', 'legacy', 'deploy/visitor', '--', 'curl', ...code];
      return (await world().kubectl(...words, `http://${address}:8080/`)).stdout;
    };
    const policy = async (mode: string) => {
      const object = {
        apiVersion: 'security.istio.io/v1',
        kind: 'PeerAuthentication',
        metadata: { name: 'default', namespace: 'shop' },
        spec: { mtls: { mode } },
      };
      expect((await world().apply(JSON.stringify(object))).status).toBe(0);
    };
    expect(await outside()).toBe('200');
    await policy('STRICT');
    await eventually('a refusal', async () => ((await outside()) === '000' ? true : undefined));
    expect((await shop.inWeb('curl', ...code, 'http://product-service/')).stdout).toBe('200');
    await policy('PERMISSIVE');
    await eventually('admission', async () => ((await outside()) === '200' ? true : undefined));
    await world().kubectl('delete', 'peerauthentication', 'default', '-n', 'shop');
  }, 300_000);
}
