/** What the console's thread is told of the mesh, and what is not told or read a second time. */
import { expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import type { MeshUpdate } from '../graph/mesh-picture.ts';
import type { ConfigView, MeshView, WorkloadView } from '../mesh-view.ts';
import { MeshMirror } from './mesh-mirror.ts';

const SECOND_MS = 1_000;

/** Of few members; each read of a workload's pods is counted. */
function meshWith(reads: string[]) {
  const workload = (name: string, app = name) =>
    ({
      key: `shop/${name}`,
      name,
      app,
      role: 'waypoint',
      pods: () => {
        reads.push(name);
        return [];
      },
    }) as unknown as WorkloadView;
  const route = (resourceVersion: string, timeout?: string) =>
    ({
      kind: 'VirtualService',
      namespace: 'shop',
      name: 'a',
      resourceVersion,
      object: {
        spec: { hosts: ['a.shop.svc.cluster.local'], http: [{ ...(timeout && { timeout }) }] },
      },
    }) as unknown as ConfigView;
  const mesh = {
    revision: 1,
    rows: [workload('a'), workload('b')],
    objects: [route('1', '1s')] as ConfigView[],
    namespaces: () => [],
    workloads: () => mesh.rows,
    services: () => [],
    splits: () => [],
    ejected: () => [],
    certificates: () => ({ certificates: [], roots: [] }),
    proxies: () => [],
    config: () => mesh.objects,
    onChange: () => () => undefined,
  };
  return { mesh, workload, route };
}

test('MeshMirror reads the rows that are other objects than before, and sends what differs', () => {
  const clock = new FakeClock();
  const reads: string[] = [];
  const { mesh, workload, route } = meshWith(reads);
  const updates: MeshUpdate[] = [];
  const mirror = new MeshMirror(
    { clock, mesh: mesh as unknown as MeshView },
    { update: (update) => updates.push(update), changes: () => true },
  );
  /** What a second with a change brings. */
  const next = (act?: () => void) => {
    mesh.revision += 1;
    for (const told of [reads, updates]) told.length = 0;
    act?.();
    clock.advance(SECOND_MS);
    const badges = updates.flatMap(({ moment }) => (moment?.badges ? [moment.badges.length] : []));
    const gone = updates.flatMap(({ goneWorkloads }) => goneWorkloads);
    const sent = updates.flatMap(({ workloads }) => workloads.map(({ key }) => key));
    return { reads: [...reads], sent, gone, badges };
  };
  expect(next()).toEqual({
    reads: ['a', 'b'],
    sent: ['shop/a', 'shop/b'],
    gone: [],
    badges: [1],
  });
  expect(next()).toEqual({ reads: [], sent: [], gone: [], badges: [] });
  mesh.rows = [mesh.rows[0], workload('b')];
  mesh.objects = [route('2', '1s')];
  expect(next()).toEqual({ reads: ['b'], sent: [], gone: [], badges: [] });
  mesh.rows = [workload('a', 'other')];
  mesh.objects = [];
  expect(next()).toEqual({ reads: ['a'], sent: ['shop/a'], gone: ['shop/b'], badges: [0] });
  expect(next(() => mirror.restart())).toMatchObject({
    reads: ['a'],
    sent: ['shop/a'],
    badges: [0],
  });
  mirror.stop();
});
