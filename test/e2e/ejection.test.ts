/**
 * A canary that starts to answer 500: three failures reach the clients of the weighted rule and not one more, the
 * endpoint is ejected and says why, and it is back after its time.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { eventually, missingFor, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS }) !== undefined;

describe.skipIf(skip)('outlier ejection in the demo', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
    // No other client may take the failures that this test counts.
    await lab.kubectl('scale', 'deploy/web', '-n', 'shop', '--replicas=0');
    await lab.apply(CLIENT);
    await lab.kubectl('wait', '-n', 'shop', '--for=condition=Ready', 'pod/client', '--timeout=30s');
    const times = { interval: '1s', baseEjectionTime: '6s' };
    const patch = JSON.stringify({ spec: { trafficPolicy: { outlierDetection: times } } });
    await lab.kubectl('patch', 'dr', 'product-service', '-n', 'shop', '--type=merge', '-p', patch);
    await Bun.sleep(1000);
  }, 90_000);

  afterAll(async () => {
    await lab?.down();
  });

  const codes = async (count: number, flags = '') => {
    const once = `curl -s ${flags} -o /dev/null -w "%{http_code}\\n" http://product-service/`;
    const loop = `for i in $(seq ${count}); do ${once}; done`;
    const { stdout } = await lab.tulle('exec', '-n', 'shop', 'client', '--', 'sh', '-c', loop);
    return stdout.split('\n').filter((line) => line !== '');
  };
  const failing = (query: string) =>
    lab.tulle(
      'exec',
      '-n',
      'shop',
      'deploy/product-service-v2',
      '--',
      'curl',
      '-s',
      '-X',
      'POST',
      `http://localhost:8080/_sample/${query}`,
    );

  test('three failures, then none; status and graph say why; then v2 is back', async () => {
    expect((await failing('fail?status=500')).status).toBe(0);
    const seen = await codes(200);
    expect(seen.length).toBe(200);
    expect(seen.filter((code) => code !== '200')).toEqual(['500', '500', '500']);

    const status = await eventually('the ejection in tulle status', async () => {
      const { stdout } = await lab.tulle('status', '-o', 'json');
      return /consecutive/.test(stdout) ? stdout : undefined;
    });
    expect(status).toContain('product-service-v2');
    const graph = await eventually('the ejection in tulle graph', async () => {
      const { stdout } = await lab.tulle('graph', '-n', 'shop', '-o', 'json');
      return /eject/.test(stdout) ? stdout : undefined;
    });
    expect(graph).toContain('consecutive');

    const log = await lab.tulle('logs', '-n', 'shop', 'deploy/waypoint', '--tail', '400');
    expect(log.stdout).toMatch(/rerouted/);
    expect((await codes(1, '-H "x-canary: true"'))[0]).toBe('503');

    expect((await failing('fail?off')).status).toBe(0);
    await eventually(
      'v2 to come back',
      async () => {
        const [code] = await codes(1, '-H "x-canary: true"');
        return code === '200' ? true : undefined;
      },
      20_000,
    );
  }, 90_000);
});

const CLIENT = `apiVersion: v1
kind: Pod
metadata: { name: client, namespace: shop }
spec:
  containers: [{ name: client, image: host, command: [sleep, "600"] }]
`;
