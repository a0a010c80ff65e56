/** What `tulle uninstall --purge` takes out of the statuses of objects that stay. */
import { describe, expect, test } from 'bun:test';
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { FakeKubeClient } from '#test/support/fake-kube-client.ts';
import { clearStatuses } from './statuses.ts';

type Status = Record<string, unknown>;
const KEY = { name: 'a', namespace: 'shop' };
const OURS = [{ manager: 'tulle-control', subresource: 'status' }];
const NONE = () => false;

const object = (ref: ResourceRef, status: Status, managedFields: object[] = OURS) =>
  ({
    apiVersion: `${ref.group}/${ref.version}`,
    kind: ref.kind,
    metadata: { ...KEY, managedFields },
    status,
  }) as KubeObject;
const condition = (type: string) => ({ type, status: 'True' });
const parent = (controllerName: string) => ({ controllerName, parentRef: { name: 'web' } });

async function cleared(ref: ResourceRef, status: Status, managedFields?: object[]) {
  const client = new FakeKubeClient();
  await client.create(ref, object(ref, status, managedFields));
  const told = await clearStatuses(client, NONE);
  const { status: after } = await client.get<KubeObject & { status?: Status }>(ref, KEY);
  return { told, after };
}

describe('clearStatuses', () => {
  const ROWS: [ref: ResourceRef, before: Status, after: Status | undefined][] = [
    [
      RESOURCES.services,
      { loadBalancer: {}, conditions: [condition('istio.io/WaypointBound'), condition('x/Y')] },
      { loadBalancer: {}, conditions: [condition('x/Y')] },
    ],
    [
      RESOURCES.serviceEntries,
      { addresses: [{ value: '240.240.0.1' }], conditions: [condition('Reviewed')] },
      { conditions: [condition('Reviewed')] },
    ],
    [
      RESOURCES.httpRoutes,
      { parents: [parent('istio.io/gateway-controller'), parent('other.example/controller')] },
      { parents: [parent('other.example/controller')] },
    ],
    [
      RESOURCES.backendTlsPolicies,
      { ancestors: [parent('istio.io/mesh-controller'), parent('istio.io/gateway-controller')] },
      { ancestors: [] },
    ],
    [
      RESOURCES.gateways,
      { addresses: [{}], listeners: [{}], conditions: [condition('Accepted')] },
      undefined,
    ],
    [
      RESOURCES.gateways,
      { listeners: [{}], conditions: [condition('Programmed'), condition('dns.example/Ready')] },
      { conditions: [condition('dns.example/Ready')] },
    ],
    [
      RESOURCES.authorizationPolicies,
      { conditions: ['ZtunnelAccepted', 'tulle.dev/Enforced', 'Seen'].map(condition) },
      { conditions: [condition('Seen')] },
    ],
  ];
  test.each(ROWS)('%j keeps what others wrote', async (ref, before, want) => {
    const { told, after } = await cleared(ref, before);
    expect(after).toEqual(want);
    expect(told).toEqual({ cleared: 1, left: [] });
  });

  test('leaves what another mesh of the same names wrote', async () => {
    const status = { parents: [parent('istio.io/gateway-controller')] };
    const theirs = [{ manager: 'pilot-discovery', subresource: 'status' }];
    const { told, after } = await cleared(RESOURCES.httpRoutes, status, theirs);
    expect(after).toEqual(status);
    expect(told.cleared).toBe(0);
  });

  test('passes over kinds that go, that are not there, and says what it may not read', async () => {
    const client = new FakeKubeClient();
    await client.create(RESOURCES.gateways, object(RESOURCES.gateways, { listeners: [{}] }));
    client.unserved.add('tcproutes');
    client.forbidden.add('services');
    const told = await clearStatuses(client, ({ kind }) => kind === 'Gateway');
    expect(told).toEqual({ cleared: 0, left: [expect.stringContaining('services')] });
  });

  test('reads again what somebody else wrote meanwhile', async () => {
    const client = new FakeKubeClient();
    const { services } = RESOURCES;
    await client.create(
      services,
      object(services, { conditions: [condition('istio.io/WaypointBound')] }),
    );
    const update = client.update.bind(client);
    let writes = 0;
    client.update = async (ref, value, options) => {
      if (writes++ === 0) {
        const body = {
          status: { conditions: [condition('istio.io/WaypointBound'), condition('x/Y')] },
        };
        await client.patch(ref, KEY, { type: 'merge', body });
      }
      return update(ref, value, options);
    };
    expect(await clearStatuses(client, NONE)).toEqual({ cleared: 1, left: [] });
    expect(await client.get(services, KEY)).toMatchObject({
      status: { conditions: [condition('x/Y')] },
    });
  });
});
