import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DEFAULT_BOUNDS,
  HTTP_LABELS,
  TCP_FAILED_LABELS,
  TCP_LABELS,
} from '#telemetry/metrics/istio.ts';
import { manifests } from '../manifests/manifests.ts';
import { valuesOf } from '../values/values.ts';
import { dashboards, queriesOf } from './dashboards.ts';

const SOURCES = join(import.meta.dir, '../..');
const OWN = join(SOURCES, 'install');

/** What processes of the mesh declare, by the text of their sources. */
function declaredNames(): Set<string> {
  const files = readdirSync(SOURCES, { recursive: true, withFileTypes: true }).filter(
    (entry) =>
      entry.isFile() && /(?<!\.test)\.ts$/.test(entry.name) && !entry.parentPath.startsWith(OWN),
  );
  const texts = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
  return new Set(texts.flatMap((text) => text.match(/'[a-z]+(?:_[a-z]+)+'/g) ?? []));
}

describe('dashboards', () => {
  const declared = declaredNames();
  const queries = dashboards().flatMap((each) => queriesOf(each).map((query) => [query] as const));

  test.each(queries)('%s asks for metrics that there are', (query) => {
    const names = query.match(/\b(?:istio|tulle|pilot|process)_[a-z_]+/g) ?? [];
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) expect(declared).toContain(`'${name.replace(/_bucket$/, '')}'`);
  });

  test('labels are those of the metrics', () => {
    const known = new Set<string>([...HTTP_LABELS, ...TCP_LABELS, ...TCP_FAILED_LABELS, 'le']);
    const own = ['limit', 'type', 'level', 'what', 'result', 'component', 'instance'];
    for (const [query] of queries)
      for (const [, labels] of query.matchAll(/(?:by|on|group_left) \(([^)]*)\)/g))
        for (const label of labels.split(', ')) expect([...known, ...own]).toContain(label);
    expect(DEFAULT_BOUNDS.length).toBeGreaterThan(0);
  });

  test('every panel has a place of its own and says what it shows', () => {
    for (const { panels } of dashboards()) {
      const places = (
        panels as { gridPos: object; id: number; type: string; description?: string }[]
      ).map(({ gridPos }) => JSON.stringify(gridPos));
      expect(new Set(places).size).toBe(places.length);
      for (const panel of panels as { type: string; description?: string }[])
        if (panel.type !== 'row') expect(panel.description).not.toBe('');
    }
  });
});

describe('monitoring', () => {
  const kinds = (values: object) =>
    manifests(valuesOf([{ monitoring: values }])).map(
      ({ object }) => `${object.kind} ${object.metadata.name}`,
    );

  test('is made where the values ask for it', () => {
    const plain = kinds({});
    expect(plain.filter((name) => /Monitor|dashboards/.test(name))).toEqual([]);
    const all = kinds({ podMonitor: true, dashboards: true });
    expect(all.filter((name) => !plain.includes(name))).toEqual([
      'ConfigMap tulle-dashboards',
      'PodMonitor tulle-control',
      'PodMonitor tulle-node',
      'PodMonitor tulle-gateways',
    ]);
  });

  test('PodMonitors name ports that the pods have', () => {
    const objects = manifests(valuesOf([{ monitoring: { podMonitor: true } }]));
    const textOf = (name: string) =>
      JSON.stringify(objects.find(({ object }) => object.metadata.name === name));
    expect(textOf('tulle-control')).toContain('"port":"http-monitoring"');
    const control = objects.find(({ object }) => object.kind === 'Deployment');
    expect(JSON.stringify(control)).toContain('"name":"http-monitoring","containerPort"');
    expect(textOf('tulle-node')).toContain('"replacement":"$1:15020"');
  });
});
