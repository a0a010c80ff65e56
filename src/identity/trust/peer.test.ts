import { expect, test } from 'bun:test';
import { verifyPeer } from './peer.ts';

const OURS = 'cluster.local';

for (const { uris, want } of [
  { uris: ['spiffe://cluster.local/ns/a/sa/b'], want: 'spiffe://cluster.local/ns/a/sa/b' },
  {
    uris: ['https://x', 'spiffe://cluster.local/ns/a/sa/b'],
    want: 'spiffe://cluster.local/ns/a/sa/b',
  },
  { uris: [], want: 'TRUST_NO_IDENTITY' },
  { uris: ['spiffe://cluster.local/workload/b'], want: 'TRUST_NO_IDENTITY' },
  { uris: ['spiffe://evil/ns/a/sa/b'], want: 'TRUST_FOREIGN_DOMAIN' },
  // The first identity counts: a second one of ours does not save it.
  {
    uris: ['spiffe://evil/ns/a/sa/b', 'spiffe://cluster.local/ns/a/sa/b'],
    want: 'TRUST_FOREIGN_DOMAIN',
  },
]) {
  test(`verifyPeer reads ${JSON.stringify(uris)} as ${want}`, () => {
    const got = verifyPeer(uris, OURS);
    expect(typeof got === 'string' ? String(got) : got.code).toBe(want);
  });
}
