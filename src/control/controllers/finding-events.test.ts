import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { Graph } from '#collections/graph.ts';
import type { Finding } from '#config/compile/finding.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { EventRecorder } from '#kube/events/event-recorder.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import { createMeshGraph, type MeshSources } from '../ingest/mesh-graph.ts';
import { FINDING_EVENTS_PERIOD_MS } from '../limits.ts';
import { noteOf, startFindingEvents } from './finding-events.ts';

const FINDING: Finding = {
  code: 'IST0106',
  level: 'error',
  resource: 'VirtualService shop/web',
  path: 'spec.http[0].timeout',
  message: '5 is no duration',
  hint: 'write 5s',
};

describe('noteOf', () => {
  test.each([
    [{}, 'ConfigurationRefused', 'spec.http[0].timeout: 5 is no duration; write 5s (IST0106)'],
    [
      { level: 'warning', path: '' },
      'ConfigurationIneffective',
      '5 is no duration; write 5s (IST0106)',
    ],
  ] as const)('%j', (change, reason, message) => {
    expect(noteOf({ ...FINDING, ...change })).toEqual({ type: 'Warning', reason, message });
  });

  test('is silent about what is only worth knowing', () => {
    expect(noteOf({ ...FINDING, level: 'info' })).toBeUndefined();
  });
});

describe('startFindingEvents', () => {
  test('tells of each finding once while it lasts, about objects that are there and ours', () => {
    const clock = new FakeClock();
    const recorded: string[] = [];
    const events: EventRecorder = {
      record: ({ apiVersion, kind, namespace, name, uid }, { message }) =>
        void recorded.push(
          `${apiVersion} ${kind} ${namespace}/${name} ${uid}: ${message.slice(0, 9)}`,
        ),
      stop: () => undefined,
    };
    const ownership = {
      owns: ({ metadata }: KubeObject) => metadata.labels?.['istio.io/rev'] !== 'canary',
      isDefault: true,
      onChange: () => () => undefined,
    };
    const { sources } = createMeshGraph(new Graph(), DEFAULT_MESH);
    const add = (source: keyof MeshSources, name: string, labels = {}) =>
      (sources[source] as unknown as { set(key: string, value: KubeObject): void }).set(
        `shop/${name}`,
        // As lists of the API have it: without kind.
        {
          metadata: { name, namespace: 'shop', uid: `u-${name}`, labels },
          spec: { servers: [] },
        } as never,
      );
    add('virtualServices', 'web');
    add('istioGateways', 'edge');
    add('virtualServices', 'theirs', { 'istio.io/rev': 'canary' });
    let findings: Finding[] = [
      FINDING,
      { ...FINDING, resource: 'Gateway shop/edge' },
      { ...FINDING, resource: 'VirtualService shop/gone' },
      { ...FINDING, resource: 'VirtualService shop/theirs' },
    ];
    const deps = {
      client: new FakeKubeClient(),
      clock,
      random: seededRandom(1),
      log: silentLogger,
      events,
      ownership,
    };
    const stop = startFindingEvents(deps, { sources, findings: () => findings });
    clock.advance(FINDING_EVENTS_PERIOD_MS * 3);
    expect(recorded).toEqual([
      'networking.istio.io/v1 VirtualService shop/web u-web: spec.http',
      'networking.istio.io/v1 Gateway shop/edge u-edge: spec.http',
    ]);
    const all = findings;
    findings = [];
    clock.advance(FINDING_EVENTS_PERIOD_MS);
    findings = all;
    clock.advance(FINDING_EVENTS_PERIOD_MS);
    expect(recorded).toHaveLength(4);
    stop();
    expect(clock.pending).toBe(0);
  });
});
