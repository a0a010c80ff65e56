/**
 * The mesh as the graph needs it: plain values, kept in the console's thread and brought up to date by what mesh-mirror.ts sends. `names` grows when something
 * changed that decides which node a peer belongs to.
 */
import type { Badge, EjectedEndpoint } from '../api/graph.ts';
import type { CertificateRow } from '../api/mesh.ts';
import type { NamespaceView, ServiceView, SplitView, WorkloadView } from '../mesh-view.ts';

export type NamespacePicture = Pick<NamespaceView, 'name' | 'isEnrolled' | 'waypoint'>;

export interface WorkloadPicture extends Omit<WorkloadView, 'pods' | 'healthRate'> {
  /** Names of its pods: who a waypoint's stream belongs to. Empty for workloads that are no proxies. */
  readonly pods: readonly string[];
  /** Annotation health.kiali.io/rate, or empty. */
  readonly healthRate: string;
}

export interface ServicePicture
  extends Omit<ServiceView, 'kind' | 'addresses' | 'ports' | 'endpoints' | 'healthRate'> {
  readonly protocol: 'http' | 'grpc' | 'tcp';
  readonly healthRate: string;
}

/** What one object of the configuration does to nodes. */
export interface BadgePicture {
  /** `Kind namespace/name`. */
  readonly resource: string;
  readonly badges: readonly Badge[];
  /** Keys of services (`namespace/host`) and of workloads, by exact name; or a whole namespace. */
  readonly services: readonly string[];
  readonly workloads: readonly string[];
  readonly namespace: string;
}

export interface MeshMoment {
  readonly splits: readonly SplitView[];
  readonly ejected: readonly EjectedEndpoint[];
  readonly badges: readonly BadgePicture[];
  /** Only those that are not valid for long. */
  readonly certificates: readonly CertificateRow[];
  readonly proxies: { readonly all: number; readonly connected: number };
}

export interface MeshUpdate {
  readonly namespaces?: readonly NamespacePicture[];
  readonly workloads: readonly WorkloadPicture[];
  readonly goneWorkloads: readonly string[];
  readonly services: readonly ServicePicture[];
  readonly goneServices: readonly string[];
  readonly moment?: Partial<MeshMoment>;
}

const NOTHING: MeshMoment = {
  splits: [],
  ejected: [],
  badges: [],
  certificates: [],
  proxies: { all: 0, connected: 0 },
};

export class MeshPicture {
  namespaces: readonly NamespacePicture[] = [];
  readonly workloads = new Map<string, WorkloadPicture>();
  readonly services = new Map<string, ServicePicture>();
  moment: MeshMoment = NOTHING;
  names = 0;
  /** Grows with every change. */
  revision = 0;
  /** Grows when weighted routes may be others. */
  splits = 0;
  readonly #proxyWorkloads = new Map<string, string>();
  #marks: Marks | undefined;

  apply(update: MeshUpdate): void {
    this.revision++;
    this.#marks = undefined;
    if (update.namespaces !== undefined) this.namespaces = update.namespaces;
    for (const key of update.goneWorkloads) {
      this.workloads.delete(key);
      this.names++;
    }
    for (const workload of update.workloads) {
      const before = this.workloads.get(workload.key);
      if (before === undefined || nameOf(before) !== nameOf(workload)) this.names++;
      this.workloads.set(workload.key, workload);
      for (const pod of workload.pods)
        this.#proxyWorkloads.set(`${workload.namespace}/${pod}`, workload.key);
    }
    for (const key of update.goneServices) {
      this.services.delete(key);
      this.names++;
    }
    for (const service of update.services) {
      const before = this.services.get(service.key);
      if (before === undefined || serviceName(before) !== serviceName(service)) this.names++;
      this.services.set(service.key, service);
    }
    if (update.moment === undefined) return;
    // The moment comes again whenever anything of it is another, as with what is ejected each second.
    const { splits } = update.moment;
    const isOther =
      splits !== undefined && JSON.stringify(splits) !== JSON.stringify(this.moment.splits);
    if (isOther) this.splits++;
    this.moment = { ...this.moment, ...update.moment };
  }

  /** Workload of a waypoint's or gateway's pod. Before the mesh is known: what Deployments call their pods. */
  workloadOfProxy(proxy: string): string {
    return this.#proxyWorkloads.get(proxy) ?? proxy.replace(/-[a-z0-9]{1,10}-[a-z0-9]{5}$/, '');
  }

  /** What configuration, ejections and certificates say of nodes; found once a change. */
  get marks(): Marks {
    this.#marks ??= marksOf(this);
    return this.#marks;
  }
}

export interface Marks {
  /** By `workload/…` and `service/…` key. */
  readonly badges: ReadonlyMap<string, ReadonlySet<Badge>>;
  readonly ejectedByWorkload: ReadonlyMap<string, readonly EjectedEndpoint[]>;
  readonly ejectedByService: ReadonlyMap<string, readonly EjectedEndpoint[]>;
  readonly certificates: ReadonlyMap<string, CertificateRow>;
  /** By key of the service. */
  readonly splits: ReadonlyMap<string, SplitView>;
}

function marksOf(picture: MeshPicture): Marks {
  const badges = new Map<string, Set<Badge>>();
  const mark = (key: string, added: readonly Badge[]) => {
    const known = badges.get(key) ?? new Set();
    for (const badge of added) known.add(badge);
    badges.set(key, known);
  };
  for (const each of picture.moment.badges) {
    for (const key of each.services) mark(`service/${key}`, each.badges);
    for (const key of each.workloads) mark(`workload/${key}`, each.badges);
    if (each.namespace === '') continue;
    for (const { key, namespace } of picture.workloads.values())
      if (namespace === each.namespace) mark(`workload/${key}`, each.badges);
  }
  for (const split of picture.moment.splits)
    if (split.parts.filter(({ percent }) => percent > 0).length > 1)
      mark(`service/${split.service}`, ['traffic-shifting']);
  return {
    badges,
    ejectedByWorkload: Map.groupBy(picture.moment.ejected, ({ workload }) => workload),
    ejectedByService: Map.groupBy(picture.moment.ejected, ({ service }) => service),
    certificates: new Map(picture.moment.certificates.map((row) => [row.principal, row])),
    splits: new Map(picture.moment.splits.map((split) => [split.service, split])),
  };
}

function nameOf({ role, app, versions, services }: WorkloadPicture): string {
  return `${role}|${app}|${versions.join()}|${services[0] ?? ''}`;
}

function serviceName({ name, isExternal, workloads }: ServicePicture): string {
  return `${name}|${isExternal}|${workloads.join()}`;
}
