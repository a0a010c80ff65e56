import { expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { silentLogger } from '#base/log.ts';
import { seededRandom, systemRandom } from '#base/random.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { createRoot, loadAuthority } from '../ca/authority.ts';
import { certsOf } from './certs-dump.ts';
import { createSvidStore } from './svid-store.ts';

const WEB = formatPrincipal({
  trustDomain: 'cluster.local',
  namespace: 'shop',
  serviceAccount: 'web',
});

const serialOf = (pem: string) => new X509Certificate(pem).serialNumber.toLowerCase();

test('certsOf shows chain and every root, also when the certificate has ended, and never the key', async () => {
  const clock = new FakeClock();
  const deps = { clock, random: systemRandom };
  const ca = await loadAuthority(deps, await createRoot(deps, 'test'));
  const { rootPem: before } = await createTestCa('before');
  const store = createSvidStore({
    clock,
    random: seededRandom(1),
    log: silentLogger,
    signer: {
      async sign(request) {
        const chain = await ca.sign(request);
        return [...chain.slice(0, -1), `${chain[chain.length - 1]}${before}`];
      },
      close: () => undefined,
    },
  });
  store.request(WEB);
  expect([...certsOf(store)]).toEqual([
    { identity: WEB, state: 'Initializing', certChain: [], rootCerts: [], lastError: undefined },
  ]);

  const { certificateChain, privateKey } = await store.whenReady(WEB);
  const shown = () => {
    const [{ state, certChain, rootCerts }, ...others] = certsOf(store);
    expect(others).toEqual([]);
    const serials = (of: typeof rootCerts) => of.map(({ serialNumber }) => serialNumber);
    return { state, chain: serials(certChain), roots: serials(rootCerts) };
  };
  const chain = [serialOf(certificateChain)];
  const roots = [serialOf(ca.root), serialOf(before)];
  expect(shown()).toEqual({ state: 'Available', chain, roots });
  const secret = privateKey.split('\n')[1];
  expect(secret).toHaveLength(64);
  expect(JSON.stringify([...certsOf(store)])).not.toContain(secret);
  expect(Object.keys(store.lastIssued(WEB) ?? {})).toEqual(['certificateChain', 'trustBundle']);

  // Nothing runs between: it has ended, and no other has come yet.
  clock.advance(25 * 3_600_000);
  expect(store.get(WEB)).toBeUndefined();
  expect(shown()).toEqual({ state: 'Initializing', chain, roots });
  store.stop();
});
