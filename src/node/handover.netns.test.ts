/**
 * A node proxy is replaced while mixed traffic runs: nothing fails, whichever of the two comes first, the new proxy or the
 * end of the old. Real processes, namespaces, rules and mutual TLS. Needs root.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { listenersOn } from '#net/netns/listeners.ts';
import { CapturedPair, type Program, SERVICE_IP } from '#test/support/captured-pair.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { missingFor } from '#test/support/lab.ts';
import {
  failuresOf,
  parseTraffic,
  TRAFFIC_LOAD,
  TRAFFIC_SERVER,
} from '#test/support/traffic/traffic.ts';
import { assembleNode } from './assemble.ts';
import { readStaticMesh } from './config/static-file.ts';
import { staticIdentities } from './config/static-identities.ts';
import { MeshSnapshot } from './state/mesh-snapshot.ts';
import { WorkloadProxy } from './workload/workload-proxy.ts';

const skip = missingFor({ programs: ['ip', 'nsenter'], root: true }) !== undefined;
const PORTS = [15001, 15006, 15008];
const GRACE = { TERMINATION_GRACE_PERIOD_SECONDS: '60' };

describe.skipIf(skip)('a node proxy that is replaced', () => {
  let pair: CapturedPair;

  beforeAll(async () => {
    pair = await CapturedPair.make();
    pair.start(pair.server.inside(TRAFFIC_SERVER));
  });

  afterAll(async () => {
    await pair?.[Symbol.asyncDispose]();
  });

  const load = (seconds: number): Program =>
    pair.start(pair.client.inside([...TRAFFIC_LOAD, SERVICE_IP, String(seconds)]));

  const resultOf = async (program: Program) => {
    await program.exited;
    return parseTraffic(program.output());
  };

  test('loses nothing when the new one is there first, nor when the old one is told to go first', async () => {
    const first = await pair.startNode(GRACE);
    const traffic = load(5);
    await traffic.says('running');
    // With another thread that listens, too.
    const second = await pair.startNode({ ...GRACE, TULLE_WORKERS: '1' });
    first.kill('SIGTERM');
    await first.says('takes nothing new');
    second.kill('SIGTERM');
    await second.says('draining');
    const third = await pair.startNode(GRACE);
    await second.says('takes nothing new');
    const kinds = await resultOf(traffic);
    expect(failuresOf(kinds)).toEqual([]);
    for (const { ok } of Object.values(kinds)) expect(ok).toBeGreaterThan(50);
    // The stream has ended, and with it what the old ones had left.
    expect(await Promise.all([first.exited, second.exited])).toEqual([0, 0]);
    expect(second.output()).toContain('drained');
    third.kill('SIGKILL');
    await third.exited;
  }, 90_000);

  test('that is killed leaves what waits at its listeners to the one beside it', async () => {
    const first = await pair.startNode(GRACE);
    const second = await pair.startNode(GRACE);
    // Stopped, it accepts nothing: what the kernel gives it waits.
    first.kill('SIGSTOP');
    const traffic = load(1);
    const atFirst = () => pair.client.run('ss', '-Hltn', 'sport', '=', ':15001').split('\n');
    while (!atFirst().some((line) => /LISTEN\s+[1-9]/.test(line))) await Bun.sleep(5);
    first.kill('SIGKILL');
    const kinds = await resultOf(traffic);
    expect(failuresOf(kinds)).toEqual([]);
    second.kill('SIGKILL');
    await second.exited;
  }, 90_000);

  test('cuts off what outlives the deadline, with a line for each connection', async () => {
    const node = await pair.startNode({ TERMINATION_GRACE_PERIOD_SECONDS: '2' });
    const traffic = load(10);
    await traffic.says('running');
    node.kill('SIGTERM');
    expect(await node.exited).toBe(0);
    traffic.kill('SIGKILL');
    const cut = node
      .output()
      .split('\n')
      .filter((line) => line.includes('the proxy is shutting down: deadline after SIGTERM'));
    // The stream, seen from both its ends.
    const stream = cut.filter((line) => line.includes(':8082'));
    expect(stream.length).toBeGreaterThanOrEqual(2);
    for (const line of stream) expect(line).toContain('closed_by="operator"');
  }, 90_000);

  test('ends at once at a second signal', async () => {
    const node = await pair.startNode(GRACE);
    const traffic = load(10);
    await traffic.says('running');
    node.kill('SIGTERM');
    await node.says('draining');
    node.kill('SIGINT');
    expect(await node.exited).toBe(0);
    traffic.kill('SIGKILL');
    expect(node.output()).toContain('the proxy is shutting down: SIGINT while draining');
  }, 90_000);

  test('is joined by one that opens nothing before it can serve, and all at once where nobody else does', async () => {
    const first = await pair.startNode(GRACE);
    const { handle: netns } = pair.client;
    const listening = () => PORTS.map((port) => listenersOn(netns, port));
    const until = async (want: number[]) => {
      while (listening().join() !== want.join()) await Bun.sleep(5);
    };
    const join = () => {
      const identities = staticIdentities(new Map());
      const options = { log: silentLogger, identities, trustDomain: 'cluster.local' };
      const { context } = assembleNode({ ...options, logFormat: 'text', write: () => true });
      const pod = { uid: 'web', namespace: 'shop', name: 'web', serviceAccount: 'web', netns };
      const proxy = new WorkloadProxy(context, pod, { listenAddress: '::' });
      proxy.start();
      return { context, identities, proxy };
    };
    expect(listening()).toEqual([1, 1, 1]);
    const next = join();
    const { principal } = next.proxy;
    next.identities.set(principal, await (await createTestCa()).issue(principal));
    // A certificate is not enough: what the pod may do is not known yet.
    expect([next.proxy.watching, listening()]).toEqual([true, [1, 1, 1]]);
    const { addresses } = readStaticMesh(pair.meshFile);
    next.context.state.replace(new MeshSnapshot({ version: 1, addresses, authorizations: [] }));
    expect([next.proxy.ready, listening()]).toEqual([true, [2, 2, 2]]);
    next.proxy.stop('the test goes on');
    // One that knows nothing yet holds the pod's connections back once the other is gone.
    const ignorant = join();
    expect(listening()).toEqual([1, 1, 1]);
    first.kill('SIGKILL');
    // A process that is killed closes its listeners one after the other: the same three may be its own.
    while (ignorant.proxy.watching) await Bun.sleep(5);
    await until([1, 1, 0]);
    expect(ignorant.proxy.ready).toBe(false);
    ignorant.proxy.stop('the test is over');
    await until([0, 0, 0]);
  }, 90_000);
});
