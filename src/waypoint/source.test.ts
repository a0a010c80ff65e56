/** A pod that calls before its workload is known here: what it does is told under its name as soon as the name is known. */
import { describe, expect, test } from 'bun:test';
import { encodeBaggage } from '#hbone/baggage.ts';
import { DescribedPeers } from '#hbone/described-peers.ts';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import { completeWorkload } from '#node/config/static-file.ts';
import { route, to, WaypointRig } from '#test/support/waypoint-rig.ts';
import { SourceRegistry } from './source.ts';

const ADDRESS = '198.18.1.5';
const POD = { namespace: 'shop', name: 'web-1', workloadName: 'web', addresses: [ADDRESS] };
const web = completeWorkload(POD, 'cluster.local');

const sources = (mesh: WaypointRig, family: string) =>
  mesh.registry
    .expose()
    .split('\n')
    .filter((line) => line.startsWith(`${family}{`))
    .map((line) => `${/source_workload="([^"]*)"/.exec(line)?.[1]} ${line.split(' ').at(-1)}`)
    .sort();

describe('a client that becomes known', () => {
  test('requests of a tunnel that was there before', async () => {
    const mesh = new WaypointRig();
    mesh.configure([route('r', [to('stable')])]);
    const tunnel = mesh.tunnel();
    await mesh.getOn(tunnel);
    mesh.clients.set(ADDRESS, web);
    await mesh.getOn(tunnel);
    await mesh.getOn(tunnel);
    expect(sources(mesh, 'istio_requests_total')).toEqual(['unknown 1', 'web 2']);
  });

  test('is asked for once until discovery changes', () => {
    const asked: string[] = [];
    const known = {
      revision: 1,
      workloadAt(address: string): typeof web | undefined {
        asked.push(address);
        return this.revision < 3 ? undefined : web;
      },
    };
    const registry = new SourceRegistry(known);
    const source = registry.resolve({ address: ADDRESS, principal: undefined });
    for (let request = 0; request < 5; request++) expect(registry.current(source)).toBe(source);
    expect(asked).toHaveLength(2);
    known.revision = 2;
    for (let request = 0; request < 5; request++) expect(registry.current(source)).toBe(source);
    expect(asked).toHaveLength(3);
    known.revision = 3;
    expect(registry.current(source).labels.workload).toBe('web');
  });

  test('until then it is what its baggage says, as the account that it proved', () => {
    const mesh = new WaypointRig();
    const principal = parsePrincipal('spiffe://cluster.local/ns/shop/sa/web');
    const claimed = { ...web, namespace: 'bank', serviceAccount: 'boss' };
    const described = new DescribedPeers().find(principal, encodeBaggage(claimed));
    const source = mesh.sources.resolve({ address: ADDRESS, principal, described });
    expect(source.labels).toMatchObject({ workload: 'web', workloadNamespace: 'shop' });
    expect(mesh.sources.current(source)).toBe(source);
    mesh.clients.set(ADDRESS, web);
    const known = mesh.sources.current(source);
    expect([source.isKnown, known.isKnown, mesh.sources.current(known)]).toEqual([
      false,
      true,
      known,
    ]);
    expect(mesh.sources.resolve({ address: ADDRESS, principal, described })).toBe(known);
  });
});
