/** What the flow book and the record of a request say, for the ways in which requests end. */
import { describe, expect, test } from 'bun:test';
import { Outbox } from '#telemetry/report/outbox.ts';
import { ANY_REQUEST } from '#telemetry/requests/match-tap.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import { HOST, route, to, upstream, WaypointRig } from '#test/support/waypoint-rig.ts';

function rig(): { mesh: WaypointRig; outbox: Outbox } {
  const mesh = new WaypointRig();
  mesh.configure([route('r', [to('canary')])], [upstream()]);
  const outbox = new Outbox(mesh.clock, { proxy: 'shop/waypoint-1', onSomething: () => 0 });
  mesh.engine.recorder.reportTo(outbox);
  return { mesh, outbox };
}

describe('a request that ended', () => {
  test('is counted on the edge between its source and who answered', async () => {
    const { mesh } = rig();
    for (let count = 0; count < 3; count++) await mesh.get('/a');
    const { flows } = mesh.engine.recorder;
    const [sample, ...more] = flows.take(1);
    expect(more).toEqual([]);
    expect(sample).toMatchObject({ requests: 3, codes: [[200, 3]], flags: [], opened: 0 });
    expect(sample.sentBytes).toBeGreaterThan(0);
    expect(sample.latency.reduce((sum, [, count]) => sum + count, 0)).toBe(3);
    expect(flows.untold(1, 0)).toMatchObject([
      {
        reporter: 'waypoint',
        protocol: 'http',
        source: { namespace: 'shop', principal: 'spiffe://cluster.local/ns/shop/sa/web' },
        destination: { kind: 'workload' },
        service: { host: HOST, namespace: 'shop' },
        isMutualTls: true,
      },
    ]);
  });

  test('has a record when somebody asks', async () => {
    const { mesh, outbox } = rig();
    await mesh.get('/quiet');
    outbox.tap([ANY_REQUEST]);
    await mesh.get('/a?b=c', { 'user-agent': 'test', 'x-request-id': 'r' });
    const records = outbox.takeAll()?.records ?? [];
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      proxy: 'shop/waypoint-1',
      reporter: 'waypoint',
      protocol: 'http',
      sourceAddress: '198.18.1.5:41000',
      service: HOST,
      isMutualTls: true,
      method: 'GET',
      authority: 'product-service',
      path: '/a?b=c',
      status: 200,
      flags: '-',
      reason: '',
      policy: '',
      attempts: 1,
      userAgent: 'test',
      requestId: 'r',
    } satisfies Partial<RequestRecord>);
    expect(records[0].route).toMatch(/^\w+ shop\/\w/);
    expect(records[0].destinationAddress).not.toBe('');
  });

  test('and failed always has one, with who refused it and why', async () => {
    const { mesh, outbox } = rig();
    mesh.configure([], [upstream()]);
    await mesh.get('/nowhere');
    const [record] = outbox.takeAll()?.records ?? [];
    expect(record).toMatchObject({ status: 404, flags: 'NR', path: '/nowhere', route: '' });
    expect(record.reason).not.toBe('');
    const { flows } = mesh.engine.recorder;
    expect(flows.take(1)).toMatchObject([{ codes: [[404, 1]], flags: [['NR', 1]] }]);
    expect(flows.untold(1, 0)).toMatchObject([{ destination: { kind: 'unknown', workload: '' } }]);
  });

  test('as its route wants it has not failed, whatever the status', async () => {
    const { mesh, outbox } = rig();
    mesh.configure([route('r', [], { action: { kind: 'respond', status: 404 } })], [upstream()]);
    await mesh.get('/gone');
    expect(outbox.takeAll()).toBeUndefined();
    outbox.tap([ANY_REQUEST]);
    await mesh.get('/gone');
    expect(outbox.takeAll()?.records).toMatchObject([{ status: 404, flags: '-', reason: '' }]);
  });

  test('by a policy is told with the policy', async () => {
    const { mesh, outbox } = rig();
    const nobody = {
      namespace: 'shop',
      name: 'nobody',
      action: 'ALLOW' as const,
      dryRun: false,
      rules: [],
    };
    mesh.configure([route('r', [to('canary')])], [upstream()], {
      policies: { trustDomains: [], policies: [nobody], tokens: [] },
    });
    await mesh.get('/');
    expect(outbox.takeAll()?.records).toMatchObject([
      { status: 403, policy: 'AuthorizationPolicy shop/nobody' },
    ]);
  });
});
