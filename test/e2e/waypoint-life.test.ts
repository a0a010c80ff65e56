/** A waypoint's life under load: more pods, fewer, none; and a waypoint for workloads, reached by the address of a pod. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { eventually, missingFor, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS }) !== undefined;
const WORKLOAD_WAYPOINT = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: pods
  namespace: shop
  labels: { istio.io/waypoint-for: workload }
spec:
  gatewayClassName: istio-waypoint
  listeners: [{ name: mesh, port: 15008, protocol: HBONE }]
`;

describe.skipIf(skip)('waypoints in the lab', () => {
  let lab: TestLab;
  const web = (script: string) =>
    lab.tulle('exec', '-n', 'shop', 'deploy/web', '--', 'sh', '-c', script);
  const scale = (replicas: number) =>
    lab.kubectl('scale', 'deploy/waypoint', '-n', 'shop', `--replicas=${replicas}`);
  const ready = (replicas: number) =>
    eventually(
      `${replicas} pods of the waypoint`,
      async () => {
        const { stdout } = await lab.kubectl(
          'get',
          'pods',
          '-n',
          'shop',
          '-o',
          'json',
          '-l',
          'gateway.networking.k8s.io/gateway-name=waypoint',
        );
        const { items } = JSON.parse(stdout) as {
          items: { status?: { conditions?: { type: string; status: string }[] } }[];
        };
        const count = items.filter(({ status }) =>
          status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True'),
        ).length;
        return items.length === replicas && count === replicas ? true : undefined;
      },
      40_000,
    );

  beforeAll(async () => {
    lab = await startLab(['--demo']);
  }, 90_000);

  afterAll(async () => {
    await lab?.down();
  });

  test('two pods and back to one: no request fails, and the number stays as it was set', async () => {
    const load = web(
      'for i in $(seq 400); do curl -s -m 5 -o /dev/null -w "%{http_code}\\n" http://product-service/; sleep 0.02; done',
    );
    await scale(2);
    await ready(2);
    await scale(1);
    await ready(1);
    const codes = (await load).stdout.split('\n').filter((line) => line !== '');
    expect(codes.length).toBe(400);
    expect(codes.filter((code) => code !== '200')).toEqual([]);
    const { stdout } = await lab.kubectl(
      'get',
      'deploy',
      'waypoint',
      '-n',
      'shop',
      '-o',
      'jsonpath={.spec.replicas}',
    );
    expect(stdout).toBe('1');
  }, 90_000);

  test('serves whoever comes to an address of either family', async () => {
    const inWaypoint = (script: string) =>
      lab.tulle('exec', '-n', 'shop', 'deploy/waypoint', '--', 'sh', '-c', script);
    for (const host of ['127.0.0.1', '[::1]']) {
      const ready = await inWaypoint(`curl -s -m 5 http://${host}:15021/healthz/ready`);
      expect(ready.stdout).toBe('ready\n');
      // Nobody without a certificate gets further, but somebody listens.
      const { stdout } = await inWaypoint(
        `curl -sk -m 5 -o /dev/null -w '%{errormsg}' https://${host}:15008/`,
      );
      expect(stdout).not.toContain('connect to');
    }
  }, 120_000);

  test('a waypoint for workloads serves a pod by its address, as HTTP', async () => {
    await lab.apply(WORKLOAD_WAYPOINT);
    await lab.kubectl(
      'wait',
      '-n',
      'shop',
      '--for=condition=Programmed',
      'gateways.gateway.networking.k8s.io/pods',
      '--timeout=40s',
    );
    const pod = (
      await lab.kubectl(
        'get',
        'pods',
        '-n',
        'shop',
        '-l',
        'version=v2',
        '-o',
        'jsonpath={.items[0].metadata.name} {.items[0].status.podIP}',
      )
    ).stdout.split(' ');
    await lab.kubectl('label', 'pod', '-n', 'shop', pod[0], 'istio.io/use-waypoint=pods');
    await eventually('the request in the log of the waypoint', async () => {
      const answer = await web(`curl -s -m 3 -A by-address http://${pod[1]}:8080/here`);
      if (!answer.stdout.includes(pod[0])) return undefined;
      const log = await lab.tulle('logs', '-n', 'shop', 'deploy/pods', '--tail', '50');
      return log.stdout.includes('by-address') ? true : undefined;
    });
  }, 60_000);

  test('no pod of the waypoint: traffic is refused, never let by, and the node proxy says why', async () => {
    await scale(0);
    await eventually(
      'refusals',
      async () => {
        const { stdout } = await web(
          'curl -s -m 3 -o /dev/null -w "%{http_code}" http://product-service/',
        );
        return stdout === '000' ? true : undefined;
      },
      40_000,
    );
    const node = (
      await lab.kubectl(
        'get',
        'pods',
        '-n',
        'shop',
        '-l',
        'app=web',
        '-o',
        'jsonpath={.items[0].spec.nodeName}',
      )
    ).stdout;
    const proxies = await lab.kubectl(
      'get',
      'pods',
      '-n',
      'istio-system',
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName}{"\\n"}{end}',
    );
    const proxy =
      proxies.stdout
        .split('\n')
        .map((line) => line.split(' '))
        .find(([name, at]) => at === node && !name.startsWith('istiod'))?.[0] ?? '';
    await eventually('the reason in the log of the node proxy', async () => {
      const log = await lab.kubectl('logs', '-n', 'istio-system', proxy, '--tail', '100');
      return /waypoint \S*waypoint\S* has no healthy endpoint/.test(log.stdout) ? true : undefined;
    });
  }, 90_000);
});
