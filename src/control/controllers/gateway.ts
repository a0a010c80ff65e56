/**
 * Makes waypoints of Gateways: for each Gateway of a waypoint class its ServiceAccount, Service and Deployment, and
 * the Gateway's status. Deletion is the garbage collector's: everything made is owned by the Gateway.
 */
import { isDeepStrictEqual } from 'node:util';
import { rfc3339 } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError } from '#base/errors.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { startInformer } from '#kube/informer/list-watch.ts';
import { keyOf, LABEL, namespaceOf } from '../derive/mesh.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import type { WaypointOptions } from './waypoint-objects.ts';
import { waypointObjects, waypointStatus } from './waypoint-objects.ts';
import { WorkQueue } from './work-queue.ts';

export const FIELD_MANAGER = 'tulle-control';
/** Istio's name: a Gateway made for Istio is served by either control plane. */
const CONTROLLER_NAME = 'istio.io/mesh-controller';

export function startGatewayController(deps: InformerDeps, options: WaypointOptions): Disposer {
  const scope = new Scope();
  const gateways = startInformer<Kinds.Gateway>(deps, RESOURCES.gateways);
  const deployments = startInformer<Kinds.Deployment>(deps, RESOURCES.deployments);
  const log = deps.log.child('gateway');
  const queue = new WorkQueue({ ...deps, log }, async (key) => {
    if (key.startsWith(CLASS_KEY)) return ensureClass(deps, key.slice(CLASS_KEY.length));
    const [namespace, name] = key.split('/');
    const gateway = gateways.get({ namespace, name });
    if (gateway === undefined || gateway.metadata.deletionTimestamp !== undefined) return;
    if (!WAYPOINT_CLASSES.includes(gateway.spec.gatewayClassName)) return;
    await applyObjects(deps, gateway, options);
    // After a restart a ready deployment must not be reported as missing for a moment.
    await deployments.whenSynced();
    await writeStatus(deps, { gateway, deployment: deployments.get({ namespace, name }), options });
  });
  const add = (object: KubeObject) => queue.add(keyOf(object));
  scope.add(gateways.subscribe({ onAdd: add, onUpdate: add, onDelete: () => undefined }));
  const owned = (object: KubeObject) => {
    if (object.metadata.labels?.[LABEL.gatewayManaged] !== undefined) add(object);
  };
  scope.add(deployments.subscribe({ onAdd: owned, onUpdate: owned, onDelete: owned }));
  for (const name of WAYPOINT_CLASSES) queue.add(CLASS_KEY + name);
  scope.add(() => queue.stop());
  scope.add(() => gateways.stop());
  scope.add(() => deployments.stop());
  return () => scope.dispose();
}

const CLASS_KEY = 'class:';

async function ensureClass({ client, clock }: InformerDeps, name: string): Promise<void> {
  // Gateway API allows 64 characters.
  const description = 'Waypoint proxies: HTTP routing and policy for services';
  const object = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GatewayClass',
    metadata: { name },
    spec: { controllerName: CONTROLLER_NAME, description },
  };
  try {
    await client.create(RESOURCES.gatewayClasses, object, { fieldManager: FIELD_MANAGER });
  } catch (error) {
    // Somebody else's class of that name is left as it is.
    if (!isMeshError(error, 'KUBE_ALREADY_EXISTS')) throw error;
  }
  const { spec, status } = await client.get<GatewayClass>(RESOURCES.gatewayClasses, { name });
  const accepted = status?.conditions?.some(
    (each) => each.type === 'Accepted' && each.status === 'True',
  );
  if (spec?.controllerName !== CONTROLLER_NAME || accepted === true) return;
  const condition = {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: 'Handled by Tulle',
    lastTransitionTime: rfc3339(clock, 's'),
  };
  await client.patch(
    RESOURCES.gatewayClasses,
    { name },
    { type: 'merge', body: { status: { conditions: [condition] } } },
    { fieldManager: FIELD_MANAGER, subresource: 'status' },
  );
}

interface GatewayClass extends KubeObject {
  spec?: { controllerName?: string };
  status?: { conditions?: Kinds.Condition[] };
}

async function applyObjects(
  { client }: InformerDeps,
  gateway: Kinds.Gateway,
  options: WaypointOptions,
): Promise<void> {
  const { serviceAccount, service, deployment } = waypointObjects(gateway, options);
  const objects: [ResourceRef, KubeObject][] = [
    [RESOURCES.serviceAccounts, serviceAccount],
    [RESOURCES.services, service],
    [RESOURCES.deployments, deployment],
  ];
  for (const [ref, object] of objects)
    await client.patch(
      ref,
      object.metadata,
      { type: 'apply', body: object },
      {
        fieldManager: FIELD_MANAGER,
        force: true,
      },
    );
}

async function writeStatus(
  deps: InformerDeps,
  input: {
    gateway: Kinds.Gateway;
    deployment: Kinds.Deployment | undefined;
    options: WaypointOptions;
  },
): Promise<void> {
  const { gateway, deployment, options } = input;
  const now = rfc3339(deps.clock, 's');
  const status = waypointStatus(gateway, deployment, { domain: options.domain, now });
  const comparable = (value: unknown) => JSON.parse(JSON.stringify(value ?? {})) as unknown;
  if (isDeepStrictEqual(comparable(gateway.status), comparable(status))) return;
  await deps.client.patch(
    RESOURCES.gateways,
    { namespace: namespaceOf(gateway), name: gateway.metadata.name },
    { type: 'merge', body: { status } },
    { fieldManager: FIELD_MANAGER, subresource: 'status' },
  );
}
