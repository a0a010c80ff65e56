import { expect, test } from 'bun:test';
import { MetricRegistry } from './registry.ts';

function threadOf(values: { requests: Record<string, number>; latencies: number[] }) {
  const registry = new MetricRegistry();
  const requests = registry.counter({ name: 'requests', help: 'r', labels: ['to'] });
  for (const [to, count] of Object.entries(values.requests)) requests.with([to]).add(count);
  registry.gauge({ name: 'open', help: 'o', labels: [] }).with([]).set(2);
  const latency = registry.histogram({ name: 'latency', help: 'l', labels: [], bounds: [1, 10] });
  for (const value of values.latencies) latency.with([]).observe(value);
  return registry;
}

test('expose with the samples of other threads adds counters, gauges and histograms, series by series', () => {
  const main = threadOf({ requests: { a: 1, b: 2 }, latencies: [0.5] });
  const other = threadOf({ requests: { b: 3, c: 4 }, latencies: [5, 50] });
  const samples = structuredClone([...other.samples(), ...other.samples()]);
  const lines = main
    .expose(samples)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines).toEqual([
    'requests{to="a"} 1',
    'requests{to="b"} 8',
    'requests{to="c"} 8',
    'open 6',
    'latency_bucket{le="1"} 1',
    'latency_bucket{le="10"} 3',
    'latency_bucket{le="+Inf"} 5',
    'latency_sum 110.5',
    'latency_count 5',
  ]);
  // The thread's own series are left alone.
  expect(main.expose()).toContain('requests{to="b"} 2\n');
});
