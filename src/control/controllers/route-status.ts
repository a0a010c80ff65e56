/**
 * Writes the statuses of the Gateway API's objects: routes by parent, listeners of Gateways and ListenerSets,
 * BackendTLSPolicies by ancestor. Entries and conditions of other controllers stay as they are; of a Gateway's conditions
 * its controller writes the others (controllers/gateway.ts).
 */
import { isDeepStrictEqual } from 'node:util';
import { rfc3339 } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError } from '#base/errors.ts';
import type { Collection } from '#collections/collection.ts';
import type { StatusCondition } from '#config/compile/gateway-api/conditions.ts';
import type { ListenerStatus } from '#config/compile/gateway-api/gateway.ts';
import { GATEWAY_CONTROLLER } from '#config/compile/gateway-api/route-status.ts';
import type { Condition } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import type {
  BackendTlsStatus,
  GatewayApiStatus,
  ListenersStatus,
  RouteStatus,
} from '../ingest/gateway-api-status.ts';
import { ANCESTORS_MAX, PARENTS_MAX } from '../limits.ts';
import { FIELD_MANAGER } from './field-manager.ts';
import type { ControllerDeps } from './ownership.ts';
import { WorkQueue } from './work-queue.ts';

export interface GatewayApiObjects {
  readonly statuses: Collection<GatewayApiStatus>;
  /** The objects as they are known here: most say already what they should. */
  readonly sources: Readonly<Record<GatewayApiStatus['source'], Collection<KubeObject>>>;
}

type Status = Record<string, unknown>;
type WithStatus = KubeObject & { status?: Status };

export function startRouteStatusController(
  deps: ControllerDeps,
  { statuses, sources }: GatewayApiObjects,
): Disposer {
  const scope = new Scope();
  const queue = new WorkQueue({ ...deps, log: deps.log.child('route-status') }, async (key) => {
    const wanted = statuses.get(key);
    if (wanted === undefined) return;
    const { source, namespace, name } = wanted;
    const now = rfc3339(deps.clock, 's');
    const known = sources[source].get(`${namespace}/${name}`);
    if (known === undefined || !deps.ownership.owns(known)) return;
    if (statusFor(known, wanted, now) === undefined) return;
    await writeStatus(deps, wanted, now);
  });
  const addAll = () => {
    for (const [key] of statuses.entries()) queue.add(key);
  };
  addAll();
  scope.add(deps.ownership.onChange(addAll));
  scope.add(
    statuses.subscribe((events) => {
      for (const { key, value } of events) if (value !== undefined) queue.add(key);
    }),
  );
  scope.add(() => queue.stop());
  return () => scope.dispose();
}

async function writeStatus(
  { client }: InformerDeps,
  wanted: GatewayApiStatus,
  now: string,
): Promise<void> {
  const { source, namespace, name } = wanted;
  const ref = RESOURCES[source];
  let object: WithStatus;
  try {
    object = await client.get<WithStatus>(ref, { namespace, name });
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return;
    throw error;
  }
  const status = statusFor(object, wanted, now);
  if (status === undefined) return;
  // A whole update, with the version that was read: who else wrote meanwhile is not overwritten, we try again.
  await client.update(ref, { ...object, status } as WithStatus, {
    fieldManager: FIELD_MANAGER,
    subresource: 'status',
  });
}

/** Undefined when it says already what it should. */
export function statusFor(
  object: WithStatus,
  wanted: GatewayApiStatus,
  now: string,
): Status | undefined {
  const before = object.status ?? {};
  const part = partFor(before, wanted, { now, generation: wanted.generation });
  const after = { ...before, ...part };
  const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
  return isDeepStrictEqual(plain(before), plain(after)) ? undefined : after;
}

interface Stamp {
  readonly now: string;
  readonly generation: number | undefined;
}

function partFor(before: Status, wanted: GatewayApiStatus, stamp: Stamp): Status {
  switch (wanted.source) {
    case 'gateways':
    case 'listenerSets':
      return listenersPart(before, wanted, stamp);
    case 'backendTlsPolicies':
      return { ancestors: ancestorsOf(before, wanted, stamp) };
    default:
      return { parents: parentsOf(before, wanted, stamp) };
  }
}

interface ReportedParent {
  parentRef: object;
  controllerName: string;
  conditions?: Condition[];
}

function parentsOf(before: Status, { parents }: RouteStatus, stamp: Stamp): ReportedParent[] {
  const known = (before.parents ?? []) as ReportedParent[];
  const others = known.filter(({ controllerName }) => controllerName !== GATEWAY_CONTROLLER);
  const ours = parents.map(({ parentRef, conditions }) => {
    const previous = known.find(
      (each) =>
        each.controllerName === GATEWAY_CONTROLLER && isDeepStrictEqual(each.parentRef, parentRef),
    );
    return {
      parentRef,
      controllerName: GATEWAY_CONTROLLER,
      conditions: withTimes(conditions, previous?.conditions, stamp),
    };
  });
  return [...others, ...ours].slice(0, PARENTS_MAX);
}

interface ReportedAncestor {
  ancestorRef: object;
  controllerName: string;
  conditions?: Condition[];
}

/** Those within the mesh come first, of the gateways what is left (as Istio). */
function ancestorsOf(
  before: Status,
  { ancestors }: BackendTlsStatus,
  stamp: Stamp,
): ReportedAncestor[] {
  const known = (before.ancestors ?? []) as ReportedAncestor[];
  const ours = new Set(
    ancestors.map(({ controllerName }) => controllerName).concat(GATEWAY_CONTROLLER),
  );
  const others = known.filter(({ controllerName }) => !ours.has(controllerName));
  const own = ancestors.map(({ ancestorRef, controllerName, conditions }) => {
    const previous = known.find(
      (each) =>
        each.controllerName === controllerName && isDeepStrictEqual(each.ancestorRef, ancestorRef),
    );
    return {
      ancestorRef,
      controllerName,
      conditions: withTimes(conditions, previous?.conditions, stamp),
    };
  });
  return [...others, ...own].slice(0, ANCESTORS_MAX);
}

function listenersPart(before: Status, wanted: ListenersStatus, stamp: Stamp): Status {
  const known = (before.listeners ?? []) as { name: string; conditions?: Condition[] }[];
  const conditions = (before.conditions ?? []) as Condition[];
  const listeners = wanted.listeners.map(
    ({ name, attachedRoutes, supportedKinds, conditions }: ListenerStatus) => {
      const previous = known.find((each) => each.name === name)?.conditions;
      return {
        name,
        attachedRoutes,
        supportedKinds,
        conditions: withTimes(conditions, previous, stamp),
      };
    },
  );
  const ours = new Set([...wanted.conditions.map(({ type }) => type), INSECURE]);
  return {
    conditions: [
      ...conditions.filter(({ type }) => !ours.has(type)),
      ...withTimes(wanted.conditions, conditions, stamp),
    ],
    listeners,
    // Absent as long as there were never any (as Istio).
    ...((wanted.attachedListenerSets ?? 0) > 0 || before.attachedListenerSets !== undefined
      ? { attachedListenerSets: wanted.attachedListenerSets }
      : {}),
  };
}

/** Only there while it is true. */
const INSECURE = 'InsecureFrontendValidationMode';

/** A condition keeps its time while its status does. */
function withTimes(
  conditions: readonly StatusCondition[],
  before: readonly Condition[] | undefined,
  { now, generation }: Stamp,
): Condition[] {
  return conditions.map((each) => {
    const previous = before?.find(({ type }) => type === each.type);
    const lastTransitionTime =
      previous?.status === each.status ? (previous.lastTransitionTime ?? now) : now;
    return {
      ...each,
      lastTransitionTime,
      ...(generation !== undefined && { observedGeneration: generation }),
    };
  });
}
