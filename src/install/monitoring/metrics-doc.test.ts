/** docs/metrics.md names every metric that our processes declare, no other, and every attribute and label. */
import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ATTRIBUTES } from '#model/telemetry/expression/attributes.ts';
import { SERIES_PER_METRIC_MAX, SERIES_SETS_PER_WORKLOAD_MAX } from '#telemetry/limits.ts';
import { HTTP_LABELS, LOCALITY_LABELS, TCP_FAILED_LABELS } from '#telemetry/metrics/istio.ts';

const SOURCES = join(import.meta.dir, '../..');
const DOC = readFileSync(join(SOURCES, '../docs/metrics.md'), 'utf8');

/** Names that are said where a metric is made: after `name:`, or as the first argument of a local maker. */
function declared(): string[] {
  const files = readdirSync(SOURCES, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && /(?<!\.test)\.ts$/.test(entry.name),
  );
  const names = files.flatMap(({ parentPath, name }) => {
    const text = readFileSync(join(parentPath, name), 'utf8');
    const made = text.matchAll(
      /(?:name: |counter\(\s*|gauge\(\s*|histogram\(\s*|familyHead\()'((?:istio|tulle|pilot|workload_manager|process)_[a-z_]+)'|# TYPE (tulle_[a-z_]+) /g,
    );
    return [...made].map(([, first, second]) => first ?? second);
  });
  return [...new Set(names)].sort();
}

const documented = [...DOC.matchAll(/^\| `([a-z_]+)` \| (counter|gauge|histogram) \|/gm)];

test('docs/metrics.md lists every metric that there is, once, and no other', () => {
  expect(documented.map(([, name]) => name).sort()).toEqual(declared());
  expect(declared().length).toBeGreaterThan(40);
});

test('docs/metrics.md says of each what it is', () => {
  for (const [, name, type] of documented) {
    const isCounter = name.endsWith('_total');
    expect(`${name} ${type === 'counter'}`).toBe(`${name} ${isCounter}`);
  }
});

test('docs/metrics.md has every label and every attribute, and the bounds', () => {
  for (const label of [...HTTP_LABELS, ...TCP_FAILED_LABELS, ...LOCALITY_LABELS])
    expect(DOC).toContain(`\`${label}\``);
  for (const [name, type] of Object.entries(ATTRIBUTES)) {
    const row = DOC.split('\n').find(
      (line) => line.startsWith('|') && line.includes(`\`${name}\``),
    );
    expect(row).toEndWith(` | ${type} |`);
  }
  expect(DOC).toContain(`${SERIES_SETS_PER_WORKLOAD_MAX} combinations`);
  expect(DOC).toContain(SERIES_PER_METRIC_MAX.toLocaleString('en'));
});
