import { describe, expect, test } from 'bun:test';
import { encodeBaggage } from '#hbone/baggage.ts';
import { BAGGAGE_CHARS_MAX, DESCRIBED_PEERS_MAX } from '#hbone/limits.ts';
import { parsePrincipal } from '#model/identity/spiffe.ts';
import { completeWorkload } from '../config/static-file.ts';
import { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { DescribedSources } from './described-sources.ts';

const here = completeWorkload(
  { name: 'here', namespace: 'shop', addresses: ['198.18.1.2'], network: 'net1' },
  'cluster.local',
);
const local = completeWorkload(
  { name: 'local', namespace: 'shop', network: 'net1' },
  'cluster.local',
);
const snapshot = new MeshSnapshot({
  version: 1,
  addresses: [{ kind: 'workload', workload: here }],
  authorizations: [],
});
const far = completeWorkload(
  {
    name: 'far-7d9',
    namespace: 'claimed',
    workloadName: 'far',
    workloadType: 'deployment',
    canonicalName: 'far-app',
    canonicalRevision: 'v2',
    clusterId: 'west',
    locality: { region: 'r', zone: 'z', subzone: '' },
  },
  'cluster.local',
);
const PRINCIPAL = parsePrincipal('spiffe://cluster.local/ns/proved/sa/far')!;

describe('DescribedSources', () => {
  const rows: {
    title: string;
    network?: string;
    address: string;
    baggage?: string;
    want: string;
  }[] = [
    {
      title: 'by address, whatever it says of itself',
      address: '198.18.1.2',
      baggage: encodeBaggage(far),
      want: 'here',
    },
    {
      title: 'by address, when the network is ours in other letters',
      network: 'NET1',
      address: '198.18.1.2',
      baggage: encodeBaggage(far),
      want: 'here',
    },
    {
      title: 'by baggage, when it comes from another network',
      network: 'net2',
      address: '198.18.1.2',
      baggage: encodeBaggage(far),
      want: 'far',
    },
    {
      title: 'by baggage, when the address is not known',
      address: '198.18.1.9',
      baggage: encodeBaggage(far),
      want: 'far',
    },
    {
      title: 'nobody, from another network without baggage',
      network: 'net2',
      address: '198.18.1.2',
      want: 'nobody',
    },
    {
      title: 'nobody, when it tells too much',
      address: '198.18.1.9',
      baggage: `service.name=${'x'.repeat(BAGGAGE_CHARS_MAX)}`,
      want: 'nobody',
    },
  ];
  for (const { title, network, address, baggage, want } of rows) {
    test(title, () => {
      const found = new DescribedSources().find(snapshot, {
        local,
        address,
        principal: PRINCIPAL,
        baggage,
        forwardedNetwork: network,
      });
      expect(found?.name ?? 'nobody').toBe(want);
    });
  }

  test('the identity is the proved one, the rest as described; one object for one description', () => {
    const sources = new DescribedSources();
    const facts = {
      local,
      address: '',
      principal: PRINCIPAL,
      baggage: encodeBaggage(far),
      forwardedNetwork: 'net2',
    };
    const found = sources.find(snapshot, facts);
    expect(found).toMatchObject({
      namespace: 'proved',
      serviceAccount: 'far',
      workloadName: 'far',
      workloadType: 'deployment',
      canonicalName: 'far-app',
      canonicalRevision: 'v2',
      clusterId: 'west',
      locality: { region: 'r', zone: 'z' },
    });
    expect(sources.find(snapshot, facts)).toBe(found!);
    expect(sources.find(snapshot, { ...facts, principal: undefined })).toBeUndefined();
  });

  test('what it remembers is bounded', () => {
    const sources = new DescribedSources();
    const facts = { local, address: '', principal: PRINCIPAL, forwardedNetwork: 'net2' };
    const first = sources.find(snapshot, { ...facts, baggage: 'service.name=0' });
    for (let index = 1; index < DESCRIBED_PEERS_MAX; index++) {
      sources.find(snapshot, { ...facts, baggage: `service.name=${index}` });
    }
    expect(sources.find(snapshot, { ...facts, baggage: 'service.name=0' })).toBe(first!);
    sources.find(snapshot, { ...facts, baggage: 'service.name=more' });
    expect(sources.find(snapshot, { ...facts, baggage: 'service.name=0' })).not.toBe(first!);
  });
});
