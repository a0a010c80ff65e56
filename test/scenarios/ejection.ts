/**
 * A canary that starts to answer 500: three failures reach the clients of the weighted rule and not one more, the endpoint is ejected
 * and says why, and it is back after its time. Runs on the objects of examples/product-service, with shorter times.
 */
import { expect, test } from 'bun:test';
import { eventually } from '#test/support/lab.ts';
import type { MeshWorld } from './mesh-world.ts';

/** Long enough for everything that is looked at while the endpoint is out, on a busy machine too. */
const TIMES = { interval: '1s', baseEjectionTime: '20s' };

/** No other client may take the failures that are counted: the example's own stops, and `client` makes a pod of the same image. */
export async function prepareEjection(world: MeshWorld, clientImage: string): Promise<void> {
  await world.kubectl('scale', 'deploy/web', '-n', 'shop', '--replicas=0');
  const made = await world.apply(`apiVersion: v1
kind: Pod
metadata: { name: client, namespace: shop }
spec:
  containers: [{ name: client, image: ${clientImage}, imagePullPolicy: IfNotPresent, command: [sleep, "600"] }]
`);
  expect(made).toMatchObject({ status: 0 });
  const wait = ['wait', '-n', 'shop', '--for=condition=Ready', 'pod/client', '--timeout=120s'];
  expect(await world.kubectl(...wait)).toMatchObject({ status: 0 });
  const patch = JSON.stringify({ spec: { trafficPolicy: { outlierDetection: TIMES } } });
  await world.kubectl('patch', 'dr', 'product-service', '-n', 'shop', '--type=merge', '-p', patch);
  await Bun.sleep(1000);
}

/** Registers the test; call it inside a `describe`, after `prepareEjection`. */
export function ejectionScenario(world: () => MeshWorld): void {
  const codes = async (count: number, flags = '') => {
    const once = `curl -s ${flags} -o /dev/null -w "%{http_code}\\n" http://product-service/`;
    const loop = `for i in $(seq ${count}); do ${once}; done`;
    const { stdout } = await world().kubectl(
      'exec',
      '-n',
      'shop',
      'client',
      '--',
      'sh',
      '-c',
      loop,
    );
    return stdout.split('\n').filter((line) => line !== '');
  };
  const failing = (query: string) => {
    const url = `http://localhost:8080/_sample/${query}`;
    const pod = ['exec', '-n', 'shop', 'deploy/product-service-v2', '--'];
    return world().kubectl(...pod, 'curl', '-s', '-X', 'POST', url);
  };

  test('three failures, then none; status and graph say why; then v2 is back', async () => {
    expect((await failing('fail?status=500')).status).toBe(0);
    const seen = await codes(200);
    expect(seen.length).toBe(200);
    expect(seen.filter((code) => code !== '200')).toEqual(['500', '500', '500']);

    const status = await eventually('the ejection in tulle status', async () => {
      const { stdout } = await world().tulle('status', '-o', 'json');
      return /consecutive/.test(stdout) ? stdout : undefined;
    });
    expect(status).toContain('product-service-v2');
    const graph = await eventually('the ejection in tulle graph', async () => {
      const { stdout } = await world().tulle('graph', '-n', 'shop', '-o', 'json');
      return /eject/.test(stdout) ? stdout : undefined;
    });
    expect(graph).toContain('consecutive');

    const log = await world().kubectl('logs', '-n', 'shop', 'deploy/waypoint', '--tail', '400');
    expect(log.stdout).toMatch(/rerouted/);
    expect((await codes(1, '-H "x-canary: true"'))[0]).toBe('503');

    expect((await failing('fail?off')).status).toBe(0);
    await eventually('v2 to come back', async () => {
      const [code] = await codes(1, '-H "x-canary: true"');
      return code === '200' ? true : undefined;
    });
  }, 300_000);
}
