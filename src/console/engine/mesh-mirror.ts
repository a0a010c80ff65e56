/**
 * Tells the console's thread what changed in the mesh. Looks once a second, and only when the mesh says that something changed; goes through workloads, services and
 * configuration a piece a turn, so that the control loop is never held, and sends what is not as it was.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '#base/clock.ts';
import { badgesOfConfig } from '../graph/badges.ts';
import type {
  BadgePicture,
  MeshMoment,
  MeshUpdate,
  NamespacePicture,
  ServicePicture,
  WorkloadPicture,
} from '../graph/mesh-picture.ts';
import type { ConfigView, MeshChange, MeshView, ServiceView, WorkloadView } from '../mesh-view.ts';
import { WAITING_CHANGES_MAX } from './limits.ts';

const LOOK_MS = 1000;
/** Objects that are looked at in one turn: about 2 ms. */
const PIECE = 200;
/** Ejections, proxies and certificates change without a new revision; asked so often. */
const MOMENT_EVERY_LOOKS = 2;

interface Sent<View> {
  /** The same object as before says the same. */
  readonly view: View;
  readonly hash: number | bigint;
}

export interface MirrorTarget {
  update(update: MeshUpdate): void;
  /** False: nobody takes them now. */
  changes(changes: readonly MeshChange[]): boolean;
}

export class MeshMirror {
  readonly #clock: Clock;
  readonly #mesh: MeshView;
  readonly #target: MirrorTarget;
  readonly #sent = {
    workloads: new Map<string, Sent<WorkloadView>>(),
    services: new Map<string, Sent<ServiceView>>(),
  };
  readonly #badges = new Map<string, { version: string; badge: BadgePicture | undefined }>();
  readonly #timers: Timer[] = [];
  readonly #stopChanges: () => void;
  #pendingChanges: MeshChange[] = [];
  #revision = Number.NaN;
  #walk: Generator<void> | undefined;
  #moment = '';
  /** The thread has the badges as they are in `#badges`. */
  #hasBadges = false;
  #namespaces = '';
  #looks = 0;
  #isStopped = false;

  constructor(deps: { clock: Clock; mesh: MeshView }, target: MirrorTarget) {
    this.#clock = deps.clock;
    this.#mesh = deps.mesh;
    this.#target = target;
    this.#stopChanges = deps.mesh.onChange((change) => this.#pendingChanges.push(change));
    this.#timers.push(deps.clock.every(LOOK_MS, () => this.#look()));
  }

  /** Another thread knows nothing: all is sent again. */
  restart(): void {
    this.#sent.workloads.clear();
    this.#sent.services.clear();
    this.#moment = '';
    this.#hasBadges = false;
    this.#namespaces = '';
    this.#revision = Number.NaN;
    this.#walk = undefined;
    this.#look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopChanges();
    for (const timer of this.#timers) timer.cancel();
    this.#flushChanges();
  }

  #look(): void {
    this.#flushChanges();
    if (this.#looks++ % MOMENT_EVERY_LOOKS === 0) this.#sendMoment();
    if (this.#walk !== undefined || this.#revision === this.#mesh.revision) return;
    this.#revision = this.#mesh.revision;
    this.#walk = this.#pieces();
    this.#step();
  }

  /** A piece a turn until all was looked at. */
  #step(): void {
    if (this.#isStopped || this.#walk === undefined) return;
    if (this.#walk.next().done === true) this.#walk = undefined;
    else this.#clock.after(0, () => this.#step());
  }

  *#pieces(): Generator<void> {
    const namespaces = [...this.#mesh.namespaces()].map(namespaceOf);
    const text = JSON.stringify(namespaces);
    if (text !== this.#namespaces) this.#target.update(updateOf({ namespaces }));
    this.#namespaces = text;
    yield* this.#differences(
      this.#mesh.workloads(),
      workloadOf,
      this.#sent.workloads,
      (workloads, gone) => this.#target.update(updateOf({ workloads, goneWorkloads: gone })),
    );
    yield* this.#differences(
      this.#mesh.services(),
      serviceOf,
      this.#sent.services,
      (services, gone) => this.#target.update(updateOf({ services, goneServices: gone })),
    );
    yield* this.#readBadges();
    this.#sendMoment();
  }

  /** Those that are not as they were sent, and those that are no more. */
  *#differences<View extends { readonly key: string }, Picture>(
    views: Iterable<View>,
    pictureOf: (view: View) => Picture,
    sent: Map<string, Sent<View>>,
    send: (changed: readonly Picture[], gone: readonly string[]) => void,
  ): Generator<void> {
    const seen = new Set<string>();
    let changed: Picture[] = [];
    let looked = 0;
    for (const view of views) {
      seen.add(view.key);
      const before = sent.get(view.key);
      if (before?.view !== view) {
        const picture = pictureOf(view);
        const hash = Bun.hash(JSON.stringify(picture));
        if (before?.hash !== hash) changed.push(picture);
        sent.set(view.key, { view, hash });
      }
      if (++looked % PIECE !== 0) continue;
      if (changed.length > 0) send(changed, []);
      changed = [];
      yield;
    }
    const gone = [...sent.keys()].filter((key) => !seen.has(key));
    for (const key of gone) sent.delete(key);
    if (changed.length + gone.length > 0) send(changed, gone);
  }

  *#readBadges(): Generator<void> {
    const seen = new Set<string>();
    let looked = 0;
    for (const config of this.#mesh.config()) {
      const key = `${config.kind} ${config.namespace}/${config.name}`;
      seen.add(key);
      this.#readBadge(key, config);
      if (++looked % PIECE === 0) yield;
    }
    for (const [key, { badge }] of this.#badges) {
      if (seen.has(key)) continue;
      this.#badges.delete(key);
      if (badge !== undefined) this.#hasBadges = false;
    }
    if (this.#hasBadges) return;
    this.#hasBadges = true;
    // Apart from the rest of the moment, which changes each second while something is ejected.
    const badges = [...this.#badges.values()].flatMap(({ badge }) => badge ?? []);
    this.#target.update(updateOf({ moment: { badges } }));
  }

  #readBadge(key: string, config: ConfigView): void {
    const before = this.#badges.get(key);
    if (before?.version === config.resourceVersion) return;
    const badge = badgesOfConfig(config);
    this.#badges.set(key, { version: config.resourceVersion, badge });
    if (!isDeepStrictEqual(badge, before?.badge)) this.#hasBadges = false;
  }

  #sendMoment(): void {
    const proxies = this.#mesh.proxies();
    const moment: Omit<MeshMoment, 'badges'> = {
      splits: this.#mesh.splits(),
      ejected: this.#mesh.ejected(),
      certificates: this.#mesh.certificates().certificates.filter(({ state }) => state !== 'valid'),
      proxies: {
        all: proxies.length,
        connected: proxies.filter(({ sync }) => sync !== 'disconnected').length,
      },
    };
    const text = JSON.stringify(moment);
    if (text === this.#moment) return;
    this.#moment = text;
    this.#target.update(updateOf({ moment }));
  }

  #flushChanges(): void {
    if (this.#pendingChanges.length === 0) return;
    const changes = this.#pendingChanges.slice(-WAITING_CHANGES_MAX);
    this.#pendingChanges = this.#target.changes(changes) ? [] : changes;
  }
}

function updateOf(some: Partial<MeshUpdate>): MeshUpdate {
  return { workloads: [], goneWorkloads: [], services: [], goneServices: [], ...some };
}

function namespaceOf({ name, isEnrolled, waypoint }: NamespacePicture): NamespacePicture {
  return { name, isEnrolled, waypoint };
}

function workloadOf(view: WorkloadView): WorkloadPicture {
  const { key, namespace, name, kind, app, versions, labels, identity, isCaptured } = view;
  const { notCaptured, role, waypoint, replicas, services, healthRate = '' } = view;
  return {
    key,
    namespace,
    name,
    kind,
    app,
    versions,
    labels,
    identity,
    isCaptured,
    notCaptured,
    role,
    waypoint,
    replicas,
    services,
    pods: role === 'workload' ? [] : view.pods().map((pod) => pod.name),
    healthRate,
  };
}

function serviceOf(view: ServiceView): ServicePicture {
  const {
    key,
    namespace,
    name,
    host,
    isExternal,
    ports,
    waypoint,
    workloads,
    healthRate = '',
  } = view;
  return {
    key,
    namespace,
    name,
    host,
    isExternal,
    protocol: protocolOf(ports),
    waypoint,
    workloads,
    healthRate,
  };
}

function protocolOf(ports: ServiceView['ports']): ServicePicture['protocol'] {
  const protocols = ports.map(({ protocol }) => protocol.toLowerCase());
  if (protocols.some((protocol) => protocol.startsWith('grpc'))) return 'grpc';
  return protocols.some((protocol) => protocol.startsWith('http')) ? 'http' : 'tcp';
}
