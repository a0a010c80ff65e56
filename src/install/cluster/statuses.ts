/**
 * What the control plane wrote into the statuses of objects that stay: taken out when everything goes, so that none says that it is
 * accepted, bound or in force by somebody who is not there. What others wrote stays. Who wrote is told by the field manager; what of
 * it is ours, by the controller's name or the condition's type.
 */
import { isMeshError, messageOf } from '#base/errors.ts';
import { GATEWAY_CONTROLLER } from '#config/compile/gateway-api/route-status.ts';
import { FIELD_MANAGER as CONTROL_MANAGER } from '#control/controllers/field-manager.ts';
import { SERVICE_CONDITIONS } from '#control/controllers/service-status.ts';
import { POLICY_CONDITIONS } from '#control/derive/policy-status.ts';
import { MESH_CONTROLLER } from '#control/ingest/gateway-api-status.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { STATUS_TRIES_MAX } from '../limits.ts';
import { FIELD_MANAGER } from './apply.ts';
import { inBatches } from './batches.ts';
import { nameOf } from './refs.ts';

type Status = Record<string, unknown>;
type WithStatus = KubeObject & {
  metadata: { managedFields?: { manager?: string; subresource?: string }[] };
  status?: Status;
};
type Entry = { type?: string; controllerName?: string };
/** Of a status what is not ours; undefined: nothing, and the definition's default may take its place. */
type Rest = (status: Status) => Status | undefined;

const CONTROLLERS: readonly (string | undefined)[] = [GATEWAY_CONTROLLER, MESH_CONTROLLER];
/** Of Gateways and what belongs to them. */
const GATEWAY_CONDITIONS = [
  ...['Accepted', 'Programmed', 'ResolvedRefs', 'Conflicted', 'InsecureFrontendValidationMode'],
];

const without =
  (member: string, isOurs: (entry: Entry) => boolean): Rest =>
  (status) => ({
    ...status,
    [member]: ((status[member] ?? []) as Entry[]).filter((each) => !isOurs(each)),
  });
const withoutConditions = (types: readonly string[]) =>
  without('conditions', ({ type = '' }) => types.includes(type));
const ofController = ({ controllerName }: Entry) => CONTROLLERS.includes(controllerName);

const routes = without('parents', ofController);
const policies = withoutConditions(POLICY_CONDITIONS);
const services = withoutConditions(SERVICE_CONDITIONS);
/** Nobody else says anything of a Gateway of our classes but in conditions of their own. */
const gateways: Rest = (status) => {
  const { conditions } = withoutConditions(GATEWAY_CONDITIONS)(status) ?? {};
  return (conditions as Entry[]).length > 0 ? { conditions } : undefined;
};

const WRITTEN: readonly (readonly [ResourceRef, Rest])[] = [
  [RESOURCES.services, services],
  [RESOURCES.serviceEntries, ({ addresses: _, ...status }) => services(status)],
  [RESOURCES.gatewayClasses, gateways],
  [RESOURCES.gateways, gateways],
  [RESOURCES.listenerSets, gateways],
  [RESOURCES.httpRoutes, routes],
  [RESOURCES.grpcRoutes, routes],
  [RESOURCES.tcpRoutes, routes],
  [RESOURCES.tlsRoutes, routes],
  [RESOURCES.backendTlsPolicies, without('ancestors', ofController)],
  [RESOURCES.authorizationPolicies, policies],
  [RESOURCES.peerAuthentications, policies],
  [RESOURCES.requestAuthentications, policies],
];

export interface ClearedStatuses {
  readonly cleared: number;
  /** What could not be cleared, and why: that is no reason to stop halfway. */
  readonly left: readonly string[];
}

/** `isGoing`: kinds whose definitions go, with all their objects. Nobody may be left who would write again. */
export async function clearStatuses(
  client: KubeClient,
  isGoing: (ref: ResourceRef) => boolean,
): Promise<ClearedStatuses> {
  const left: string[] = [];
  let cleared = 0;
  for (const [ref, rest] of WRITTEN) {
    if (isGoing(ref)) continue;
    let items: WithStatus[];
    try {
      ({ items } = await client.list<WithStatus>(ref));
    } catch (error) {
      if (!isMeshError(error, 'KUBE_NOT_FOUND')) left.push(`${ref.resource}: ${messageOf(error)}`);
      continue;
    }
    await inBatches(items.filter(isWritten), async (item) => {
      try {
        await clear(client, ref, { item, rest });
        cleared += 1;
      } catch (error) {
        left.push(`${nameOf({ ...item, kind: ref.kind })}: ${messageOf(error)}`);
      }
    });
  }
  return { cleared, left };
}

function isWritten({ metadata, status }: WithStatus): boolean {
  const isOurs = metadata.managedFields?.some(
    ({ manager, subresource }) => manager === CONTROL_MANAGER && subresource === 'status',
  );
  return status !== undefined && isOurs === true;
}

/** A whole update with the version that was read: who else wrote meanwhile is not overwritten. */
async function clear(
  client: KubeClient,
  ref: ResourceRef,
  { item, rest }: { item: WithStatus; rest: Rest },
): Promise<void> {
  let object = item;
  for (let tries = 1; ; tries++) {
    const status = rest(object.status ?? {});
    try {
      await client.update<WithStatus>(
        ref,
        { ...object, status },
        { fieldManager: FIELD_MANAGER, subresource: 'status' },
      );
      return;
    } catch (error) {
      if (isMeshError(error, 'KUBE_NOT_FOUND')) return;
      if (!isMeshError(error, 'KUBE_CONFLICT') || tries >= STATUS_TRIES_MAX) throw error;
      object = await client.get<WithStatus>(ref, object.metadata);
    }
  }
}
