import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Authorization } from '#model/authorization/authorization.ts';
import { DEFAULT_SCOPED } from '#model/telemetry/scopes.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { EMPTY_SNAPSHOT, type MeshAddress, MeshSnapshot } from './mesh-snapshot.ts';
import { ChangedMesh, changeBetween } from './snapshot-change.ts';

const POOL: MeshAddress[] = [1, 2, 3, 4].flatMap((n): MeshAddress[] => [
  {
    kind: 'workload',
    workload: completeWorkload(
      { name: `w${n}`, namespace: 'shop', addresses: [`198.18.0.${n}`] },
      'cluster.local',
    ),
  },
  { kind: 'service', service: completeService({ name: `s${n}`, namespace: 'shop' }) },
]);
const POLICIES: Authorization[] = ['a', 'b'].map((name) => ({
  name,
  namespace: 'shop',
  scope: 'namespace',
  action: 'deny',
  rules: [],
  dryRun: false,
}));

test('ChangedMesh holds the last snapshot after any sequence of changes', () => {
  const step = fc.record({ addresses: fc.subarray(POOL), policies: fc.subarray(POLICIES) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
      const mesh = new ChangedMesh();
      let previous = EMPTY_SNAPSHOT;
      for (const [index, { addresses, policies }] of steps.entries()) {
        const telemetry = new Map(
          policies.map(({ name }) => [name, { ...DEFAULT_SCOPED, scope: name }] as const),
        );
        const next = new MeshSnapshot({
          version: index + 1,
          addresses,
          authorizations: policies,
          telemetry,
        });
        mesh.apply(structuredClone(changeBetween(previous, next)));
        previous = next;
      }
      const copy = new MeshSnapshot({
        version: 1,
        addresses: mesh.addresses(),
        authorizations: mesh.policies,
        telemetry: mesh.telemetry,
      });
      const keys = (map: ReadonlyMap<string, unknown>) => [...map.keys()].sort();
      expect(keys(copy.workloads)).toEqual(keys(previous.workloads));
      expect(keys(copy.services)).toEqual(keys(previous.services));
      expect(keys(copy.telemetry)).toEqual(keys(previous.telemetry));
      expect(copy.authorizations.map(({ name }) => name).sort()).toEqual(
        previous.authorizations.map(({ name }) => name).sort(),
      );
    }),
  );
});

test('changeBetween sends only what was replaced', () => {
  const before = new MeshSnapshot({ version: 1, addresses: POOL, authorizations: POLICIES });
  const fresh = completeWorkload({ name: 'w1', namespace: 'shop' }, 'cluster.local');
  const addresses = [...POOL.slice(1), { kind: 'workload' as const, workload: fresh }];
  const after = new MeshSnapshot({ version: 2, addresses, authorizations: POLICIES });
  expect(changeBetween(before, after)).toEqual({
    version: 2,
    workloads: { changed: [[fresh.uid, fresh]], removed: [] },
    services: { changed: [], removed: [] },
    authorizations: { changed: [], removed: [] },
    telemetry: { changed: [], removed: [] },
  });
});
