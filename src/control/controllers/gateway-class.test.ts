import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { SUPPORTED_FEATURES } from '../derive/supported-features.ts';
import { classStatus, type GatewayClass, reconcileClass } from './gateway-class.ts';

function gatewayClass(
  name: string,
  controllerName: string,
  rest: Partial<GatewayClass> = {},
): GatewayClass {
  const metadata = { name, generation: 2 };
  const apiVersion = 'gateway.networking.k8s.io/v1';
  return { apiVersion, kind: 'GatewayClass', metadata, spec: { controllerName }, ...rest };
}
const GATEWAYS = 'istio.io/gateway-controller';
const WAYPOINTS = 'istio.io/mesh-controller';

describe('classStatus', () => {
  test('says of a class of gateways what they serve, sorted as the API wants it', () => {
    const status = classStatus(gatewayClass('mine', GATEWAYS), 'T');
    expect(status?.conditions).toEqual([
      {
        type: 'Accepted',
        status: 'True',
        reason: 'Accepted',
        message: 'Handled by Tulle',
        lastTransitionTime: 'T',
        observedGeneration: 2,
      },
    ]);
    const names = (status?.supportedFeatures ?? []).map(({ name }) => name);
    expect(names).toEqual([...SUPPORTED_FEATURES]);
    expect(names).toEqual(names.toSorted());
    expect(new Set(names).size).toBe(names.length);
    // The API takes 64 at most.
    expect(names.length).toBeLessThanOrEqual(64);
    expect(names.some((name) => name.startsWith('Mesh'))).toBe(false);
  });

  test('says nothing twice, keeps the time of the change and follows the generation', () => {
    const status = classStatus(gatewayClass('mine', GATEWAYS), 'T');
    expect(classStatus(gatewayClass('mine', GATEWAYS, { status }), 'U')).toBeUndefined();
    const changed = gatewayClass('mine', GATEWAYS, {
      status,
      metadata: { name: 'mine', generation: 3 },
    });
    expect(classStatus(changed, 'U')?.conditions).toMatchObject([
      { lastTransitionTime: 'T', observedGeneration: 3 },
    ]);
  });

  test('says nothing of classes of others, nor of one whose Gateways would not be served', () => {
    expect(classStatus(gatewayClass('istio', 'nginx.org/gateway'), 'T')).toBeUndefined();
    expect(classStatus(gatewayClass('my-waypoint', WAYPOINTS), 'T')).toBeUndefined();
    const waypoint = classStatus(gatewayClass('istio-waypoint', WAYPOINTS), 'T');
    expect(waypoint).not.toHaveProperty('supportedFeatures');
  });
});

describe('reconcileClass', () => {
  const setup = () => {
    const client = new FakeKubeClient();
    const deps = { client, clock: new FakeClock(), random: seededRandom(1), log: silentLogger };
    const read = (name: string) => client.get<GatewayClass>(RESOURCES.gatewayClasses, { name });
    return { client, deps, read };
  };

  test('makes a built-in class that is absent, and no other', async () => {
    const { client, deps, read } = setup();
    await reconcileClass(deps, 'istio', { class: undefined, isDefault: true });
    await reconcileClass(deps, 'mine', { class: undefined, isDefault: true });
    expect((await read('istio')).status?.conditions).toMatchObject([{ status: 'True' }]);
    expect(client.objects.size).toBe(1);
  });

  test('another revision writes only what nobody has written', async () => {
    const { client, deps, read } = setup();
    const made = await client.create(RESOURCES.gatewayClasses, gatewayClass('istio', GATEWAYS));
    await reconcileClass(deps, 'istio', { class: made, isDefault: false });
    const written = await read('istio');
    expect(written.status?.conditions).toMatchObject([{ observedGeneration: 2 }]);
    const changed = { ...written, metadata: { ...written.metadata, generation: 3 } };
    await reconcileClass(deps, 'istio', { class: changed, isDefault: false });
    expect((await read('istio')).status?.conditions).toMatchObject([{ observedGeneration: 2 }]);
  });
});
