/**
 * Makes proxies of Gateways: for each Gateway of a waypoint or gateway class that is ours by revision its ServiceAccount, Service,
 * Deployment, and what overlays ask for; and the Gateway's status. Deletion is the garbage collector's: everything made is owned
 * by the Gateway.
 */
import { isDeepStrictEqual } from 'node:util';
import { rfc3339 } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Collection } from '#collections/collection.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { EventNote } from '#kube/events/event-note.ts';
import { targetOf } from '#kube/events/event-note.ts';
import type { EventRecorder } from '#kube/events/event-recorder.ts';
import type { Informer } from '#kube/informer/informer.ts';
import { startInformer } from '#kube/informer/list-watch.ts';
import { isOurGateway } from '../derive/gateway-class.ts';
import { keyOf, namespaceOf } from '../derive/mesh.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import type { BoundGateway } from '../ingest/gateway-api-graph.ts';
import { FIELD_MANAGER } from './field-manager.ts';
import { BUILT_IN_CLASSES, type GatewayClass, reconcileClass } from './gateway-class.ts';
import {
  type GatewayObject,
  gatewayObjects,
  gatewayServiceKey,
  isManaged,
  type ListenerPort,
} from './gateway-objects.ts';
import {
  type GatewayStatus,
  gatewayStatus,
  type StatusInput,
  waypointStatus,
} from './gateway-status.ts';
import { type ManagedObjects, startManagedObjects } from './managed-objects.ts';
import { overlaysOf, startOverlays } from './overlays.ts';
import type { ControllerDeps } from './ownership.ts';
import { nameFault, objectName, type ProxyObjects } from './proxy-objects.ts';
import { type OverlaidObjects, overlay } from './proxy-overlay.ts';
import type { ProxyOptions } from './proxy-pod.ts';
import { waypointObjects } from './waypoint-objects.ts';
import { WorkQueue } from './work-queue.ts';

export interface GatewayControllerDeps extends ControllerDeps {
  readonly events: EventRecorder;
}

export interface GatewayControllerOptions extends ProxyOptions {
  /** By `namespace/name`: the listeners of a Gateway, those of its ListenerSets among them. */
  readonly gatewayConfigs?: Collection<BoundGateway>;
  /** All Services: of Gateways whose pods somebody else deploys, the one that they name. */
  readonly services?: Collection<Kinds.Service>;
  /** All ConfigMaps, of which only the metadata counts: overlays are asked for when they changed. */
  readonly configMaps?: Collection<KubeObject>;
}

const CLASS_KEY = 'class:';

export function startGatewayController(
  deps: GatewayControllerDeps,
  options: GatewayControllerOptions,
): Disposer {
  const controller = new GatewayController(deps, options);
  return () => controller.stop();
}

class GatewayController {
  readonly #deps: GatewayControllerDeps;
  readonly #options: GatewayControllerOptions;
  readonly #scope = new Scope();
  readonly #queue: WorkQueue;
  readonly #gateways: Informer<GatewayObject>;
  readonly #classes: Informer<GatewayClass>;
  readonly #managed: ManagedObjects;
  readonly #overlays: ReturnType<typeof startOverlays>;

  constructor(deps: GatewayControllerDeps, options: GatewayControllerOptions) {
    this.#deps = deps;
    this.#options = options;
    const log = deps.log.child('gateway');
    const queue = new WorkQueue({ ...deps, log }, (key) =>
      key.startsWith(CLASS_KEY)
        ? this.#reconcileClass(key.slice(CLASS_KEY.length))
        : this.#reconcile(key),
    );
    this.#queue = queue;
    this.#scope.add(() => queue.stop());
    this.#gateways = this.#follow<GatewayObject>(RESOURCES.gateways, (gateway) =>
      queue.add(keyOf(gateway)),
    );
    this.#classes = this.#follow<GatewayClass>(RESOURCES.gatewayClasses, ({ metadata }) => {
      queue.add(CLASS_KEY + metadata.name);
      for (const gateway of this.#gateways.list())
        if (gateway.spec.gatewayClassName === metadata.name) queue.add(keyOf(gateway));
    });
    this.#managed = startManagedObjects(deps, {
      onChange: (gateway) => queue.add(gateway),
      onBudget: (namespace) => {
        for (const gateway of this.#gateways.list(namespace)) queue.add(keyOf(gateway));
      },
    });
    this.#scope.add(this.#managed.stop);
    this.#overlays = startOverlays(deps, options, () => this.#all());
    this.#scope.add(this.#overlays.stop);
    this.#followCollections();
    this.#scope.add(deps.ownership.onChange(() => this.#all()));
    for (const name of BUILT_IN_CLASSES) queue.add(CLASS_KEY + name);
  }

  stop(): void {
    this.#scope.dispose();
  }

  #follow<T extends KubeObject>(
    ref: (typeof RESOURCES)[keyof typeof RESOURCES],
    add: (object: T) => void,
  ): Informer<T> {
    const informer = startInformer<T>(this.#deps, ref, {}, { isOptional: true });
    this.#scope.add(informer.subscribe({ onAdd: add, onUpdate: add, onDelete: add }));
    this.#scope.add(() => informer.stop());
    return informer;
  }

  #all(): void {
    for (const gateway of this.#gateways.list()) this.#queue.add(keyOf(gateway));
  }

  #followCollections(): void {
    const { gatewayConfigs, services, configMaps, domain } = this.#options;
    const ports = (bound: BoundGateway | undefined) =>
      bound?.config.listeners.map(({ port }) => port).join();
    const unfollow = [
      gatewayConfigs?.subscribe((events) => {
        // Routes come and go often, ports do not.
        for (const { key, value, previous } of events)
          if (ports(value) !== ports(previous)) this.#queue.add(key);
      }),
      services?.subscribe((events) => {
        const changed = new Set(events.map(({ key }) => key));
        for (const gateway of this.#gateways.list()) {
          if (isManaged(gateway)) continue;
          const { namespace, name } = gatewayServiceKey(gateway, domain);
          if (changed.has(`${namespace}/${name}`)) this.#queue.add(keyOf(gateway));
        }
      }),
      configMaps?.subscribe((events) => {
        const changed = new Set(events.map(({ key }) => key));
        for (const gateway of this.#gateways.list())
          if (overlaysOf(gateway).some((key) => changed.has(key))) this.#queue.add(keyOf(gateway));
      }),
    ];
    for (const each of unfollow) if (each !== undefined) this.#scope.add(each);
  }

  async #reconcileClass(name: string): Promise<void> {
    await this.#classes.whenSynced();
    const { isDefault } = this.#deps.ownership;
    await reconcileClass(this.#deps, name, { class: this.#classes.get({ name }), isDefault });
  }

  async #reconcile(key: string): Promise<void> {
    const [namespace, name] = key.split('/');
    const gateway = this.#gateways.get({ namespace, name });
    if (gateway === undefined || gateway.metadata.deletionTimestamp !== undefined) return;
    await this.#classes.whenSynced();
    const { gatewayClassName } = gateway.spec;
    const isWaypoint = WAYPOINT_CLASSES.includes(gatewayClassName);
    const gatewayClass = this.#classes.get({ name: gatewayClassName });
    if (!isWaypoint && !isOurGateway(gateway, gatewayClass)) return;
    if (!this.#deps.ownership.owns(gateway)) return;
    const base = isWaypoint
      ? waypointObjects(gateway, this.#options)
      : gatewayObjects(gateway, this.#portsOf(gateway), this.#options);
    const fault = isWaypoint || isManaged(gateway) ? await this.#make(gateway, base) : undefined;
    // After a restart what is ready must not be reported as missing for a moment.
    await this.#managed.whenSynced();
    await this.#report(gateway, isWaypoint, fault);
    if (fault?.retry !== undefined) throw fault.retry;
  }

  /** Undefined: everything stands. `retry`: it may get better without the Gateway being changed. */
  async #make(
    gateway: GatewayObject,
    base: ProxyObjects,
  ): Promise<{ message: string; retry?: unknown } | undefined> {
    const wrongName = nameFault(gateway, base.service.metadata.name);
    if (wrongName !== undefined) return { message: wrongName };
    try {
      const overlays = await this.#overlays.read(gateway);
      if (typeof overlays === 'string') return { message: overlays };
      const result = overlay(base, overlays);
      if ('fault' in result) return { message: result.fault };
      await this.#managed.whenSynced();
      const isBudgetAsked = result.asked.has('podDisruptionBudget');
      const wanted = isBudgetAsked ? result.objects : this.#withBudget(result.objects);
      const fault = await this.#managed.apply(gateway, wanted);
      return fault === undefined ? undefined : { message: fault };
    } catch (error) {
      // A right that is missing, a quota: said in the status, and tried again.
      if (!isMeshError(error, 'KUBE_FORBIDDEN')) throw error;
      return { message: messageOf(error), retry: error };
    }
  }

  /** A single pod needs no budget, and pods that have one already must not have two. */
  #withBudget(objects: OverlaidObjects): OverlaidObjects {
    const { podDisruptionBudget: budget, ...rest } = objects;
    const { deployment, horizontalPodAutoscaler: autoscaler } = objects;
    if (budget === undefined || deployment === undefined) return objects;
    const namespace = namespaceOf(deployment);
    const present = this.#managed.deployment({ namespace, name: deployment.metadata.name });
    const replicas = Math.max(
      deployment.spec.replicas ?? present?.spec.replicas ?? 1,
      autoscaler?.spec.minReplicas ?? 1,
    );
    const labels = deployment.spec.template.metadata?.labels ?? {};
    return replicas < 2 || this.#managed.hasOtherBudget(namespace, labels) ? rest : objects;
  }

  /** Listeners as they are written, and what is bound beside them. */
  #portsOf(gateway: GatewayObject): ListenerPort[] {
    const bound = this.#options.gatewayConfigs?.get(keyOf(gateway));
    return [
      ...(gateway.spec.listeners ?? []),
      ...(bound?.config.listeners ?? []).map(({ port, servers }) => ({
        name: servers[0]?.name ?? `port-${port}`,
        port,
        protocol: servers[0]?.protocol ?? 'tcp',
      })),
    ];
  }

  /** Others write other conditions of it: read, changed and written with the version that was read. */
  async #report(
    known: GatewayObject,
    isWaypoint: boolean,
    fault: { message: string } | undefined,
  ): Promise<void> {
    const { client, clock, events } = this.#deps;
    const { domain, services } = this.#options;
    const namespace = namespaceOf(known);
    const name = objectName(known, !isWaypoint);
    const serviceKey =
      isWaypoint || isManaged(known) ? { namespace, name } : gatewayServiceKey(known, domain);
    const from: StatusInput = {
      service:
        this.#managed.service(serviceKey) ??
        services?.get(`${serviceKey.namespace}/${serviceKey.name}`),
      deployment: this.#managed.deployment({ namespace, name }),
      fault: fault?.message,
      domain,
      now: rfc3339(clock, 's'),
    };
    const statusOf = (gateway: GatewayObject) =>
      isWaypoint ? waypointStatus(gateway, from) : gatewayStatus(gateway, from);
    const isSaid = (gateway: GatewayObject) =>
      isSame({ ...gateway.status, ...statusOf(gateway) }, gateway.status);
    if (isSaid(known)) return;
    const key = { namespace, name: known.metadata.name };
    const gateway = await client.get<GatewayObject>(RESOURCES.gateways, key);
    if (isSaid(gateway)) return;
    const status = { ...gateway.status, ...statusOf(gateway) };
    await client.update(
      RESOURCES.gateways,
      { ...gateway, status },
      { fieldManager: FIELD_MANAGER, subresource: 'status' },
    );
    const note = programmedEvent(gateway.status, status);
    if (note !== undefined) events.record(targetOf(gateway), note);
  }
}

function isSame(left: unknown, right: unknown): boolean {
  const comparable = (value: unknown) => JSON.parse(JSON.stringify(value ?? {})) as unknown;
  return isDeepStrictEqual(comparable(left), comparable(right));
}

/** Undefined: nothing that a reader of events would miss. */
export function programmedEvent(
  before: Kinds.Gateway['status'],
  after: GatewayStatus,
): EventNote | undefined {
  const find = (status: Kinds.Gateway['status']) =>
    status?.conditions?.find(({ type }) => type === 'Programmed');
  const [old, now] = [find(before), find(after)];
  if (now === undefined || (old?.status === now.status && old.message === now.message))
    return undefined;
  const isWrong = now.reason === 'Invalid' || now.reason === 'AddressNotUsable';
  const message = now.message ?? '';
  if (now.status === 'True') return { type: 'Normal', reason: 'Programmed', message };
  const type = isWrong || old?.status === 'True' ? 'Warning' : 'Normal';
  return { type, reason: 'NotProgrammed', message };
}
