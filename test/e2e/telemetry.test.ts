/**
 * Telemetry of a demo lab over its own stream: the graph has the load's numbers, loses nothing when the control plane is killed, and is the same
 * at every replica of it. Failed requests are there without anybody asking.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { sleep, systemClock } from '#base/clock.ts';
import { eventually, missingFor, run, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'nsenter', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS, root: true }) !== undefined;

interface Graph {
  edges: { source: string; target: string; protocol: string; requestsPerSecond: number }[];
}

describe.skipIf(skip)('telemetry', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
    await eventually('traffic in the graph', async () => {
      const [rate] = await rates(10);
      return rate > 0 ? true : undefined;
    });
  }, 60_000);

  afterAll(async () => {
    await lab?.down();
  });

  /** What a process of the lab answers on a port of its own network. */
  const ask = async (pid: number, address: string): Promise<string> => {
    const { stdout } = await run(['nsenter', '-t', String(pid), '--net', 'curl', '-s', address]);
    return stdout;
  };

  /** Requests to the product service that its waypoint has counted. */
  const counted = async (): Promise<number> => {
    const [pid] = lab.processes('role waypoint');
    const text = await ask(pid, 'http://127.0.0.1:15020/metrics');
    return text
      .split('\n')
      .filter(
        (line) =>
          line.startsWith('istio_requests_total{') && line.includes('"product-service.shop'),
      )
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  };

  /** Requests a second to the product service, as each replica of the control plane has them. */
  const rates = (windowSeconds: number): Promise<number[]> =>
    Promise.all(
      lab.processes('role control').map(async (pid) => {
        const text = await ask(pid, `http://127.0.0.1:20001/api/v1/graph?window=${windowSeconds}s`);
        if (text === '') return 0;
        const { edges } = JSON.parse(text) as Graph;
        return edges
          .filter(({ target }) => target === 'service/shop/product-service')
          .reduce((sum, edge) => sum + edge.requestsPerSecond, 0);
      }),
    );

  /** Rate of the load over what `meanwhile` takes, and what the graph says of that time. */
  const compared = async (meanwhile: () => Promise<unknown>) => {
    const startedAt = systemClock.wallTime();
    const before = await counted();
    await meanwhile();
    const seconds = Math.round((systemClock.wallTime() - startedAt) / 1000);
    const rate = ((await counted()) - before) / seconds;
    // The second that ends now is told in a moment.
    await sleep(systemClock, 1500);
    return { rate, seen: await rates(seconds + 1) };
  };

  test('the graph has the rate of the load, within a tenth', async () => {
    const { rate, seen } = await compared(() => sleep(systemClock, 20_000));
    expect(rate).toBeGreaterThan(1);
    expect(seen).toHaveLength(1);
    expect(Math.abs(seen[0] / rate - 1)).toBeLessThan(0.1);
  }, 60_000);

  test('a control plane that is killed has what flowed meanwhile, and before', async () => {
    const { rate, seen } = await compared(async () => {
      await sleep(systemClock, 6000);
      const [pid] = lab.processes('role control');
      process.kill(pid, 'SIGKILL');
      await sleep(systemClock, 6000);
      await eventually('the graph of the one that follows', async () => {
        const [again] = await rates(10);
        return again > 0 ? true : undefined;
      });
    });
    // What it had in memory is gone with it: all of it was told again.
    expect(seen[0]).toBeGreaterThan(0.8 * rate);
    expect(seen[0]).toBeLessThan(1.2 * rate);
  }, 90_000);

  test('each replica knows what all proxies report', async () => {
    await lab.kubectl('scale', 'deploy/istiod', '-n', 'istio-system', '--replicas=2');
    await eventually('two replicas with traffic', async () => {
      const both = await rates(10);
      return both.length === 2 && both.every((rate) => rate > 0) ? true : undefined;
    });
    const { rate, seen } = await compared(() => sleep(systemClock, 15_000));
    expect(seen).toHaveLength(2);
    for (const each of seen) expect(Math.abs(each / rate - 1)).toBeLessThan(0.2);
    await lab.kubectl('scale', 'deploy/istiod', '-n', 'istio-system', '--replicas=1');
  }, 120_000);
});
