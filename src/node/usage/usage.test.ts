/** Limits of one pod: what they derive from, what they refuse, and how often that is said. */
import { describe, expect, test } from 'bun:test';
import { createLogger } from '#base/log.ts';
import { openFilesMax } from '#net/netns/open-files.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  LIMIT_LOG_PERIOD_MS,
  POD_BUFFERED_BYTES_MAX,
  POD_CONNECTIONS_MAX,
  POD_CONNECTIONS_MIN,
  POD_PENDING_CONNECTS_MAX,
} from '../limits.ts';
import { podLimitsFor } from './pod-limits.ts';
import { limitError, type PodUsage } from './pod-usage.ts';
import { Usages } from './usages.ts';

describe('podLimitsFor', () => {
  test.each([
    ['few open files', 1024, POD_CONNECTIONS_MIN],
    ['a share of what there is', 20_000, 2500],
    ['no more than is of use', 1 << 20, POD_CONNECTIONS_MAX],
  ])('%s', (_title, openFiles, connections) => {
    const limits = podLimitsFor(openFiles);
    expect(limits).toMatchObject({
      inboundConnectionsMax: connections,
      outboundConnectionsMax: connections,
      streamsMax: connections,
      pendingConnectsMax: Math.min(connections, POD_PENDING_CONNECTS_MAX),
      bufferedBytesMax: POD_BUFFERED_BYTES_MAX,
    });
  });

  test('what is chosen wins', () => {
    expect(podLimitsFor(20_000, { streamsMax: 3 }).streamsMax).toBe(3);
  });

  test('openFilesMax reads the limit of this process', () => {
    const shell = Bun.spawnSync(['sh', '-c', 'ulimit -n']).stdout.toString().trim();
    expect(String(openFilesMax())).toBe(shell);
  });

  test('a process that starts with a low soft limit has the hard one', () => {
    const program = `console.log((await import('#net/netns/open-files.ts')).openFilesMax())`;
    const command = `ulimit -Sn 256 && exec '${process.execPath}' -e "$0"`;
    const { stdout } = Bun.spawnSync(['bash', '-c', command, program]);
    const hard = Bun.spawnSync(['bash', '-c', 'ulimit -Hn']).stdout.toString().trim();
    expect(stdout.toString().trim()).toBe(hard);
  });
});

function rig() {
  const clock = new FakeClock();
  const registry = new MetricRegistry();
  const lines: string[] = [];
  const log = createLogger('node', { clock, write: (line) => void lines.push(line) });
  const usages = new Usages(
    { clock, log, registry },
    podLimitsFor(0, { outboundConnectionsMax: 2 }),
  );
  return { clock, registry, lines, usages };
}

describe('Usages', () => {
  const noisyPod = { namespace: 'shop', name: 'noisy' };

  test('a pod at its limit is refused, its neighbour is not, and it gets back what it gives up', () => {
    const { usages } = rig();
    const noisy = usages.open(noisyPod);
    const quiet = usages.open({ namespace: 'shop', name: 'quiet' });
    const enter = ({ outbound }: PodUsage) => outbound.enter();
    expect([enter(noisy), enter(noisy), enter(noisy), enter(quiet)]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    noisy.outbound.leave();
    expect(enter(noisy)).toBe(true);
    expect(limitError(noisy.outbound)).toMatchObject({ decidedBy: 'outbound-connections' });
    expect(usages.report()[0]).toMatchObject({
      pod: 'noisy',
      limits: { 'outbound-connections': { current: 2, max: 2, refused: 1 } },
    });
  });

  test('every refusal is counted, few are logged', () => {
    const { clock, registry, lines, usages } = rig();
    const noisy = usages.open(noisyPod);
    const flood = () => {
      for (let index = 0; index < 1000; index += 1) noisy.outbound.enter();
    };
    flood();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('pod="shop/noisy" limit="outbound-connections" max=2 refused=1');
    clock.advance(LIMIT_LOG_PERIOD_MS);
    flood();
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain('refused=999');
    const text = registry.expose();
    expect(text).toContain(
      'tulle_limit_hits_total{limit="outbound-connections",namespace="shop",pod="noisy"} 1998',
    );
    expect(text).toContain('istio_tcp_sockets_open{reporter="source"} 2');
    usages.close(noisy);
    expect(registry.expose()).toContain('istio_tcp_sockets_open{reporter="source"} 0');
  });
});
