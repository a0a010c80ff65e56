/** An hour without control plane and CA, on a clock that runs as fast as we like: what a node proxy keeps, and how it asks. */
import { expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom, systemRandom } from '#base/random.ts';
import type { ClientStreamHandler } from '#http/grpc/channel.ts';
import { createRoot, loadAuthority } from '#identity/ca/authority.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  Resource,
} from '#wire/protobuf/discovery.ts';
import { Any } from '#wire/protobuf/well-known.ts';
import { startXdsClient, type XdsTransport } from '#xds/client/xds-client.ts';
import { ADDRESS } from '#xds/resources/address.ts';
import { AUTHORIZATION } from '#xds/resources/authorization.ts';
import { completeWorkload } from './config/static-file.ts';
import { MeshState } from './state/mesh-state.ts';
import { followXds, NODE_RESOURCE_TYPES } from './state/xds-source.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Half of it passes within the hour: renewing is due and does not work. */
const TTL_SECONDS = (1.5 * HOUR) / 1000;
const WEB = formatPrincipal({
  trustDomain: 'cluster.local',
  namespace: 'shop',
  serviceAccount: 'web',
});
const AWAY = new MeshError('GRPC_UNAVAILABLE', 'the control plane is away', {
  side: 'upstream',
  hint: 'wait',
});

/** The control plane's end: answers the first stream with one workload, refuses while it is away. */
class ControlPlane implements XdsTransport {
  away = false;
  attempts = 0;
  requests: DeltaDiscoveryRequest[] = [];
  handler: ClientStreamHandler | undefined;

  open(handler: ClientStreamHandler) {
    this.attempts++;
    if (this.away) throw AWAY;
    this.handler = handler;
    this.requests = [];
    return {
      send: (bytes: Uint8Array) => {
        const request = DeltaDiscoveryRequest.decode(bytes);
        if (typeof request !== 'string') this.requests.push(request);
      },
      cancel: () => undefined,
    };
  }

  answer(): void {
    const workload = completeWorkload(
      { name: 'web', namespace: 'shop', serviceAccount: 'web', addresses: ['198.18.1.2'] },
      'cluster.local',
    );
    const value = ADDRESS.encode({ kind: 'workload', workload });
    const resource = Any.create({ type_url: ADDRESS.typeUrl, value });
    const address = Resource.create({ name: workload.uid, version: 'v1', resource });
    for (const type_url of [ADDRESS.typeUrl, AUTHORIZATION.typeUrl]) {
      const resources = type_url === ADDRESS.typeUrl ? [address] : [];
      const response = DeltaDiscoveryResponse.create({ type_url, nonce: '1', resources });
      this.handler?.onMessage(DeltaDiscoveryResponse.encode(response));
    }
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('an hour without control plane and CA: everything known stays in force, asking backs off, then all is as before', async () => {
  const clock = new FakeClock();
  const control = new ControlPlane();
  const deps = { clock, random: systemRandom };
  const authority = await loadAuthority(deps, await createRoot(deps, 'test'));
  const signed = { asked: 0 };
  const signer = {
    async sign(request: Parameters<typeof authority.sign>[0]) {
      signed.asked++;
      if (control.away) throw AWAY;
      return authority.sign(request);
    },
    close: () => undefined,
  };
  const fixed = { clock, random: seededRandom(1), log: silentLogger };
  const identities = createSvidStore({ ...fixed, signer }, { ttlSeconds: TTL_SECONDS });
  const node = { type: 'ztunnel' as const, ip: '', podName: '', podNamespace: '', metadata: {} };
  const xds = startXdsClient(
    { ...fixed, transport: control },
    { node, types: NODE_RESOURCE_TYPES },
  );
  xds.onConnection((connected) => {
    if (connected) identities.retry();
  });
  const state = new MeshState();
  followXds(xds, state, clock);
  control.answer();
  clock.advance(0);
  const first = await identities.whenReady(WEB);
  const { version } = state.current;
  expect(version).toBeGreaterThan(0);

  control.away = true;
  const before = { attempts: control.attempts, asked: signed.asked };
  control.handler?.onClose(AWAY);
  let timers = 0;
  for (let minute = 1; minute <= 60; minute++) {
    const asked = signed.asked;
    clock.advance(MINUTE);
    // The key of a request is made on another thread: it goes out after that.
    if (minute > 42) await until(() => signed.asked > asked || clock.pending >= 2);
    if (minute === 10) timers = clock.pending;
  }
  expect(state.current.version).toBe(version);
  expect(state.current.podNamed('shop', 'web')).toBeDefined();
  expect(identities.get(WEB)).toBe(first);
  expect(xds.status()).toMatchObject({ connected: false, lastError: 'the control plane is away' });
  expect(identities.status()).toMatchObject([{ state: 'ready' }]);
  // Every 4 to 5 s, and the certificate's renewal every 150 s at the end: an absent control plane is not stormed.
  const attempts = control.attempts - before.attempts;
  expect(attempts).toBeGreaterThan(HOUR / 5000);
  expect(attempts).toBeLessThan(HOUR / 4000 + 30);
  const asked = signed.asked - before.asked;
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(20);
  expect(clock.pending).toBe(timers);

  control.away = false;
  clock.advance(5000);
  // It says what it has: only what changed has to be told.
  const [hello] = control.requests;
  expect([...(hello?.initial_resource_versions ?? new Map()).values()]).toEqual(['v1']);
  expect(state.current.version).toBe(version);
  control.answer();
  expect(xds.connected).toBe(true);
  clock.advance(3 * MINUTE);
  await until(() => identities.get(WEB) !== first);
  expect(identities.get(WEB)).toBeDefined();
  xds.stop();
  identities.stop();
});
