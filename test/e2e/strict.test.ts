/**
 * STRICT mutual TLS in the demo: the kubelet's plaintext probes still reach the pods, because the node exempts its own
 * connections from capture, while any other plaintext client is refused.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { sleep, systemClock } from '#base/clock.ts';
import { eventually, missingFor, startLab, type TestLab } from '#test/support/lab.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'unshare', 'kubectl', 'curl'], root: true });
/** The demo's probes: every 5 s, unready after 3 failures; and one period more. */
const PROBES_FAIL_MS = 5_000 * (3 + 1);
const STRICT = JSON.stringify({
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'default', namespace: 'shop' },
  spec: { mtls: { mode: 'STRICT' } },
});

interface PodList {
  items: {
    metadata: { name: string };
    status: {
      podIP: string;
      conditions: { type: string; status: string; lastTransitionTime: string }[];
      containerStatuses: { restartCount: number }[];
    };
  }[];
}

interface Graph {
  edges: { source: string; target: string; protocol: string; mtls?: number | null }[];
}

describe.skipIf(skip !== undefined)('STRICT in the demo', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
  }, 60_000);

  afterAll(async () => {
    await lab?.down();
  });

  const pods = async (...selector: string[]) => {
    const { stdout } = await lab.kubectl('get', 'pods', '-n', 'shop', '-o', 'json', ...selector);
    return (JSON.parse(stdout) as PodList).items;
  };
  /** Since when each pod is ready, and how often it was restarted: equal when nothing happened in between. */
  const health = async () =>
    Object.fromEntries(
      (await pods()).map(({ metadata, status }) => {
        const ready = status.conditions.find(({ type }) => type === 'Ready');
        const restarts = status.containerStatuses.map(({ restartCount }) => restartCount);
        return [
          metadata.name,
          { ready: ready?.status, since: ready?.lastTransitionTime, restarts },
        ];
      }),
    );
  const visitor = async (url: string) => {
    const curl = ['curl', '-s', '-m', '3', '-o', '/dev/null', '-w', '%{http_code}', url];
    return (await lab.tulle('exec', '-n', 'legacy', 'deploy/visitor', '--', ...curl)).stdout;
  };

  test('every pod stays ready for longer than its probes may fail; a plaintext client is refused', async () => {
    const before = await health();
    expect(Object.values(before).map(({ ready }) => ready)).not.toContain('False');
    const [{ status }] = await pods('-l', 'app=product-service,version=v1');
    const url = `http://${status.podIP}:8080/`;
    expect(await visitor(url)).toBe('200');
    expect((await lab.apply(STRICT)).status).toBe(0);
    await eventually('the refusal of plaintext', async () =>
      (await visitor(url)) === '000' ? true : undefined,
    );
    // How long nothing happens is what this test is about.
    await sleep(systemClock, PROBES_FAIL_MS);
    expect(await health()).toEqual(before);
    expect(await visitor(url)).toBe('000');
  }, 60_000);

  test('the graph shows neither probes nor refused clients, and everything it shows is mutual TLS', async () => {
    const answer = await fetch(`${lab.consoleUrl}/api/v1/graph?window=15s`);
    const { edges } = (await answer.json()) as Graph;
    const incoming = edges.filter(({ target }) => target.includes('/shop/product-service'));
    expect(incoming.some(({ protocol }) => protocol === 'http')).toBe(true);
    const sources = incoming.map(({ source }) => source);
    expect(
      sources.filter((source) => !/^(workload|waypoint|service)\/shop\//.test(source)),
    ).toEqual([]);
    expect(incoming.filter(({ mtls }) => typeof mtls === 'number' && mtls < 1)).toEqual([]);
  });
});
