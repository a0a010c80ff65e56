import { describe, expect, test } from 'bun:test';
import { expositionFormat } from './exposition.ts';
import { MetricRegistry } from './registry.ts';

describe('expositionFormat', () => {
  test.each([
    ['nothing said', null, 'text'],
    ['anything', '*/*', 'text'],
    ['text', 'text/plain;version=0.0.4', 'text'],
    ['OpenMetrics', 'application/openmetrics-text;version=1.0.0', 'openmetrics'],
    ['OpenMetrics without version', 'application/openmetrics-text', 'openmetrics'],
    ['a version that we do not have', 'application/openmetrics-text;version=0.0.1', 'text'],
    [
      'what Prometheus asks for',
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      'openmetrics',
    ],
    ['text before it', 'text/plain;q=0.9, application/openmetrics-text;q=0.5', 'text'],
    ['a weight that is none', 'application/openmetrics-text;q=x', 'text'],
    ['something else', 'application/vnd.google.protobuf', 'text'],
  ] as const)('%s', (_title, accept, want) => {
    expect(expositionFormat(accept)).toBe(want);
  });
});

test('OpenMetrics names counters without _total, ends, and has an exemplar in the bucket of a traced request', () => {
  const registry = new MetricRegistry();
  registry
    .counter({ name: 'a_total', help: 'A "b".', labels: ['l'] })
    .with(['v'])
    .add(2);
  const family = registry.histogram({ name: 'h', help: 'H.', labels: ['l'], bounds: [0.5, 1] });
  const series = family.with(['v']);
  series.observe(0.1);
  series.observeTraced(0.7, 'aaaabbbbccccddddaaaabbbbccccdddd', 1_700_000_000_500);
  expect(registry.expose([], 'openmetrics')).toBe(
    '# HELP a A \\"b\\".\n# TYPE a counter\na_total{l="v"} 2\n' +
      '# HELP h H.\n# TYPE h histogram\n' +
      'h_bucket{l="v",le="0.5"} 1\n' +
      'h_bucket{l="v",le="1.0"} 2 # {trace_id="aaaabbbbccccddddaaaabbbbccccdddd"} 0.7 1700000000.5\n' +
      'h_bucket{l="v",le="+Inf"} 2\nh_sum{l="v"} 0.7999999999999999\nh_count{l="v"} 2\n# EOF\n',
  );
  expect(registry.expose()).not.toContain('trace_id');
});

test('a series may have labels of its own; threads add them up by those', () => {
  const make = () => {
    const registry = new MetricRegistry();
    const family = registry.counter({ name: 'c_total', help: 'C.', labels: ['a', 'b'] });
    family.with(['1', '2']).add(1);
    family.with(['1'], ['a']).add(1);
    family.with(['1', '3'], ['a', 'x']).add(1);
    return registry;
  };
  const samples = structuredClone(make().samples());
  expect(make().expose(samples).split('\n').slice(2, 5)).toEqual([
    'c_total{a="1",b="2"} 2',
    'c_total{a="1"} 2',
    'c_total{a="1",x="3"} 2',
  ]);
});
