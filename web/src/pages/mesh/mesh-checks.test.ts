import { describe, expect, test } from 'bun:test';
import type { MeshAnswer } from '#console/api/mesh.ts';
import { meshChecks, meshVerdict } from './mesh-checks.ts';

const control = {
  pod: 'control-1',
  version: '0.1.0',
  revision: 'default',
  isLeader: true,
  isReady: true,
  startedAt: '',
  proxies: 2,
};
const proxy = {
  kind: 'node',
  namespace: 'istio-system',
  name: 'node1',
  node: 'node1',
  version: '0.1.0',
  sync: 'synced',
  detail: '',
  serves: 3,
  reportedAt: '2026-01-01T00:00:00Z',
  clockOffsetMs: 3,
} as const;
const good: MeshAnswer = {
  generatedAt: '2026-01-01T00:00:01Z',
  health: { status: 'healthy', reason: '', samples: 0 },
  version: '0.1.0',
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  control: [control],
  proxies: [proxy],
  store: { isPersistent: true, bytes: 1, droppedSpans: 0, droppedRecords: 0 },
  problems: [],
};
const judged = (mesh: MeshAnswer) => {
  const checks = meshChecks(mesh);
  return {
    states: checks.map((check) => check.state),
    ...meshVerdict(mesh, checks),
    bad: checks.filter((each) => each.state !== 'good'),
  };
};

describe('meshChecks', () => {
  test('meshChecks of a mesh in order are good, and the sentence says that it is not the problem', () => {
    expect(judged(good)).toMatchObject({
      state: 'good',
      sentence: 'The mesh is not the problem: 1 control plane replica ready, 1 proxy in sync',
      bad: [],
    });
  });

  const rows: [title: string, mesh: Partial<MeshAnswer>, state: string, answer: string][] = [
    [
      'a replica that is not ready beside one that is',
      { control: [control, { ...control, pod: 'control-2', isLeader: false, isReady: false }] },
      'watch',
      '1 of 2 replicas not ready: control-2',
    ],
    [
      'no leader',
      { control: [{ ...control, isLeader: false }] },
      'bad',
      'No replica leads: statuses and gateways are not kept up',
    ],
    [
      'two leaders',
      { control: [control, { ...control, pod: 'control-2' }] },
      'bad',
      '2 replicas say that they lead',
    ],
    [
      'a replica that does not say whether it leads beside one that does not lead',
      {
        control: [
          { ...control, isLeader: false },
          { ...control, pod: 'control-2', isLeader: undefined },
        ],
      },
      'good',
      'Perhaps one of those that did not say: control-2',
    ],
    [
      'a proxy that refuses',
      { proxies: [proxy, { ...proxy, name: 'w', sync: 'refused' }] },
      'bad',
      '1 of 2 in sync: 1 refuse it',
    ],
    [
      'a proxy that waits',
      { proxies: [{ ...proxy, sync: 'waiting' }] },
      'watch',
      '0 of 1 in sync: 1 waiting',
    ],
    [
      'a silent proxy',
      { proxies: [{ ...proxy, reportedAt: '2025-12-31T23:59:00Z' }] },
      'watch',
      'Silent: node1. The graph lacks what they see',
    ],
    ['two versions', { proxies: [{ ...proxy, version: '0.2.0' }] }, 'watch', 'Seen: 0.1.0, 0.2.0'],
    [
      'a clock that is late',
      { proxies: [{ ...proxy, clockOffsetMs: -4200 }] },
      'watch',
      'node1 is 4.2 s behind',
    ],
    [
      'a store that is not written',
      { store: { ...good.store, problem: 'The disk is full' } },
      'watch',
      'The disk is full',
    ],
    [
      'dropped spans',
      { store: { ...good.store, droppedSpans: 4 } },
      'watch',
      '4 spans and 0 records were dropped',
    ],
  ];
  for (const [title, change, state, answer] of rows)
    test(`meshChecks say what is wrong with ${title}`, () => {
      const verdict = judged({ ...good, ...change });
      expect(verdict.state).toBe(state as 'bad');
      expect(verdict.bad.map((each) => each.answer)).toEqual([answer]);
    });

  test('meshChecks know nothing of a control plane that the reader may not see', () => {
    const { sentence, bad } = judged({ ...good, control: [] });
    expect(sentence).toBe('The mesh is not the problem: 1 proxy in sync');
    expect(bad.map((each) => `${each.state}: ${each.answer}`)).toEqual([
      'unknown: No replica is known',
      'unknown: No replica is known',
    ]);
  });

  test('meshVerdict leads with a problem that the control plane itself reports', () => {
    const problems = [{ message: 'The API server does not answer', since: '' }];
    expect(judged({ ...good, problems }).sentence).toBe(
      'The mesh may be the problem: the API server does not answer',
    );
  });
});
