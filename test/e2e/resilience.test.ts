/**
 * A mesh under load: limits as users write them, then everything on the way is replaced, a waypoint of two replicas and the application
 * behind it. There not one request may fail: readiness, discovery and draining must follow each other in the right order.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { eventually, missingFor, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS }) !== undefined;

const CLIENT = `apiVersion: v1
kind: Pod
metadata: { name: client, namespace: shop }
spec:
  containers: [{ name: client, image: host, command: [sleep, "600"] }]
`;

const LIMIT = `apiVersion: tulle.dev/v1
kind: LocalRateLimit
metadata: { name: few, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: product-service }]
  limits: [{ requests: 3, unit: Hour, key: SourceIdentity }]
`;
const SHEDDING = `apiVersion: tulle.dev/v1
kind: LoadShedding
metadata: { name: none, namespace: shop }
spec:
  targetRefs: [{ kind: Service, name: product-service }]
`;

describe.skipIf(skip)('a mesh under load', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await startLab(['--demo']);
    await lab.kubectl('scale', 'deploy/web', '-n', 'shop', '--replicas=0');
    await lab.apply(CLIENT);
    await lab.kubectl('wait', '-n', 'shop', '--for=condition=Ready', 'pod/client', '--timeout=60s');
    // Answers take their time: whatever ends too early ends in the middle of some.
    for (const version of ['v1', 'v2']) {
      const url = 'http://localhost:8080/_sample/delay?ms=200';
      const pod = `deploy/product-service-${version}`;
      await lab.tulle('exec', '-n', 'shop', pod, '--', 'curl', '-s', '-X', 'POST', url);
    }
  }, 90_000);
  afterAll(async () => {
    await lab?.down();
  });

  const rolledOut = async (name: string) => {
    const args = ['rollout', 'status', `deploy/${name}`, '-n', 'shop', '--timeout=60s'];
    expect((await lab.kubectl(...args)).stdout).toContain('successfully rolled out');
  };

  /** Codes of the requests that ran until `work` was done; a new connection each, and ones that are kept. */
  const codesDuring = async (work: () => Promise<void>) => {
    const stop = '/tmp/stop-load';
    const url = 'http://product-service/';
    const fresh = `curl -s -o /dev/null -m 10 -w "%{http_code}\\n" ${url}`;
    const kept = `curl -s -m 10 -w "%{http_code}\\n" ${Array.from({ length: 20 }, () => `-o /dev/null ${url}`).join(' ')}`;
    const loop = (command: string) => `while [ ! -e ${stop} ]; do ${command}; done`;
    const loops = [fresh, fresh, kept, kept].map((command) => `(${loop(command)})`);
    const script = `rm -f ${stop}; ${loops.join(' & ')} & wait`;
    const load = lab.tulle('exec', '-n', 'shop', 'client', '--', 'sh', '-c', script);
    await Bun.sleep(1_000);
    await work();
    await Bun.sleep(1_000);
    await lab.tulle('exec', '-n', 'shop', 'client', '--', 'touch', stop);
    const { stdout } = await load;
    return stdout.split('\n').filter((line) => line !== '');
  };

  test('a LocalRateLimit is served, enforced and taken back; a LoadShedding that sheds nothing is refused', async () => {
    const once = 'curl -s -o /dev/null -D - http://product-service/';
    const ask = async () =>
      (await lab.tulle('exec', '-n', 'shop', 'client', '--', 'sh', '-c', once)).stdout;
    expect((await lab.apply(SHEDDING)).stderr).toContain('one of maxRequests, adaptive');
    expect((await lab.apply(LIMIT)).stdout).toContain('localratelimit.tulle.dev/few created');
    const refused = await eventually('the limit', async () => {
      const head = await ask();
      return head.startsWith('HTTP/1.1 429') ? head : undefined;
    });
    expect(refused).toMatch(/retry-after: \d+/);
    const log = await lab.tulle('logs', '-n', 'shop', 'deploy/waypoint', '--tail', '50');
    expect(log.stdout).toContain('429 RL local_rate_limited');
    expect(log.stdout).toContain('LocalRateLimit shop/few allows 3 requests');
    await lab.kubectl('delete', 'localratelimits', 'few', '-n', 'shop');
    await eventually('no limit', async () =>
      (await ask()).startsWith('HTTP/1.1 200') ? true : undefined,
    );
  }, 60_000);

  test('a rolling restart of a waypoint with two replicas loses nothing', async () => {
    await lab.kubectl('scale', 'deploy/waypoint', '-n', 'shop', '--replicas=2');
    await rolledOut('waypoint');
    const before = await podNames('waypoint');
    expect(before.length).toBe(2);
    const codes = await codesDuring(async () => {
      await lab.kubectl('rollout', 'restart', 'deploy/waypoint', '-n', 'shop');
      await rolledOut('waypoint');
      await eventually(
        'the old waypoints to end',
        async () => {
          const names = await podNames('waypoint');
          return names.length === 2 && !names.some((name) => before.includes(name))
            ? true
            : undefined;
        },
        60_000,
      );
    });
    expect(codes.length).toBeGreaterThan(80);
    expect(codes.filter((code) => code !== '200')).toEqual([]);
  }, 120_000);

  test('a rolling restart of the application loses nothing', async () => {
    const codes = await codesDuring(async () => {
      await lab.kubectl('rollout', 'restart', 'deploy/product-service-v1', '-n', 'shop');
      await rolledOut('product-service-v1');
    });
    expect(codes.length).toBeGreaterThan(50);
    expect(codes.filter((code) => code !== '200')).toEqual([]);
  }, 120_000);

  const podNames = async (of: string) => {
    const { stdout } = await lab.kubectl('get', 'pods', '-n', 'shop', '-o', 'name');
    return stdout.split('\n').filter((name) => name.includes(`/${of}`));
  };
});
