/**
 * What the console asks of the mesh (console/mesh-view.ts), answered from the collections and from what proxies say of themselves. Rows are made when
 * somebody asks and kept until something changes.
 */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import type { Collection } from '#collections/collection.ts';
import type { Finding } from '#console/api/config.ts';
import type { EjectedEndpoint } from '#console/api/graph.ts';
import type { CertificatesAnswer, ControlRow, ProxyRow } from '#console/api/mesh.ts';
import type {
  ConfigView,
  MeshChange,
  MeshView,
  NamespaceView,
  ServiceView,
  SplitView,
  WorkloadView,
} from '#console/mesh-view.ts';
import type { GatewayAddress } from '#model/service/service.ts';
import type { MeshSettings } from '../derive/mesh.ts';
import { LABEL } from '../derive/mesh.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import { ownerName } from '../derive/workload.ts';
import type { MeshGraph } from '../ingest/mesh-graph.ts';
import type { ProxySyncState } from '../push/proxy-stream.ts';
import type { StatusAnswer } from './api.ts';
import type { ProcessUse } from './cpu-share.ts';
import type { ReportState } from './intake.ts';
import { ChangeTeller } from './view/changes.ts';
import { configViews, enforcedAtNodes } from './view/config.ts';
import { namespaceViews } from './view/namespaces.ts';
import { certificateRows, ejectedEndpoints, proxyRows } from './view/proxies.ts';
import { membersOf, serviceViews } from './view/services.ts';
import { splitViews } from './view/splits.ts';
import { HEALTH_RATE, workloadViews } from './view/workloads.ts';

export interface MeshViewDeps {
  readonly clock: Clock;
  readonly mesh: MeshGraph;
  readonly settings: MeshSettings;
  readonly version: string;
  readonly status: () => StatusAnswer;
  readonly streams: () => readonly ProxySyncState[];
  readonly use: (proxy: string) => ProcessUse | undefined;
  readonly report: (proxy: string) => ReportState | undefined;
  readonly control: () => readonly ControlRow[];
  /** PEM of the root certificates in force; empty before they are known. */
  readonly roots: () => string;
}

/** Made anew after each change, at most once. */
interface Snapshot {
  readonly workloads: Map<string, WorkloadView>;
  readonly services: Map<string, ServiceView>;
  readonly namespaces: readonly NamespaceView[];
  readonly splits: readonly SplitView[];
}

export class ControlMeshView implements MeshView {
  readonly version: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly #deps: MeshViewDeps;
  readonly #listeners = new Set<(change: MeshChange) => void>();
  readonly #teller: ChangeTeller;
  #revision = 0;
  #snapshot: { readonly revision: number; readonly value: Snapshot } | undefined;

  constructor(deps: MeshViewDeps) {
    this.#deps = deps;
    this.version = deps.version;
    this.trustDomain = deps.settings.trustDomain;
    this.clusterId = deps.settings.clusterId;
    this.#teller = new ChangeTeller(deps, (change) => {
      for (const listener of [...this.#listeners]) listener(change);
    });
    this.#follow();
  }

  get revision(): number {
    return this.#revision;
  }

  /** All that existed has come in: what comes from now on is a change. */
  start(): void {
    this.#teller.start();
  }

  namespaces(): readonly NamespaceView[] {
    return this.#rows().namespaces;
  }

  workloads(): Iterable<WorkloadView> {
    return this.#rows().workloads.values();
  }

  workload(key: string): WorkloadView | undefined {
    return this.#rows().workloads.get(key);
  }

  services(): Iterable<ServiceView> {
    return this.#rows().services.values();
  }

  service(key: string): ServiceView | undefined {
    return this.#rows().services.get(key);
  }

  splits(): readonly SplitView[] {
    return this.#rows().splits;
  }

  config(): readonly ConfigView[] {
    return configViews(this.#deps.mesh.sources, enforcedAtNodes(this.#deps.streams()));
  }

  findings(): readonly Finding[] {
    return this.#deps.mesh.findings();
  }

  proxies(): readonly ProxyRow[] {
    const { mesh, status, use, report } = this.#deps;
    const isGateway = (key: string) => {
      const labels = mesh.sources.pods.get(key)?.metadata.labels ?? {};
      return !WAYPOINT_CLASSES.includes(labels[LABEL.gatewayClassName] ?? WAYPOINT_CLASSES[0]);
    };
    return proxyRows(status(), { use, isGateway, report });
  }

  control(): readonly ControlRow[] {
    return this.#deps.control();
  }

  problems(): readonly { readonly message: string; readonly since: string }[] {
    return (this.#deps.status().control.problems ?? []).map(({ message, since }) => ({
      message,
      since,
    }));
  }

  ejected(): readonly EjectedEndpoint[] {
    const { pods } = this.#deps.mesh.sources;
    const ejections = this.#deps.status().proxies.flatMap((proxy) => proxy.ejections);
    return ejectedEndpoints(ejections, (namespace, name) => {
      const pod = pods.get(`${namespace}/${name}`);
      return `${namespace}/${pod === undefined ? name : ownerName(pod)}`;
    });
  }

  certificates(): CertificatesAnswer {
    const { clock, status, roots } = this.#deps;
    return {
      certificates: certificateRows(status().proxies, clock.wallTime()),
      roots: rootRows(roots()),
    };
  }

  onChange(listener: (change: MeshChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #rows(): Snapshot {
    if (this.#snapshot?.revision !== this.#revision)
      this.#snapshot = { revision: this.#revision, value: this.#make() };
    return this.#snapshot.value;
  }

  #make(): Snapshot {
    const { mesh, settings } = this.#deps;
    const { sources } = mesh;
    const workloads = () => valuesOf(mesh.workloads);
    const waypointOf = waypointFinder(mesh);
    const splits = splitViews({
      tables: [...valuesOf(mesh.routeTables)].map(({ table }) => table),
      upstream: (key) => mesh.upstreams.get(key),
      members: membersOf(workloads()),
    });
    return {
      workloads: workloadViews({
        pods: valuesOf(sources.pods),
        workloads: workloads(),
        namespace: (name) => sources.namespaces.get(name),
        waypointOf,
        clusterId: settings.clusterId,
      }),
      services: serviceViews({
        services: valuesOf(mesh.services),
        workloads: workloads(),
        isExternal: ({ namespace, name }) =>
          sources.serviceEntries.get(`${namespace}/${name}`)?.spec?.location !== 'MESH_INTERNAL',
        ejected: () => this.ejected(),
        healthRate: ({ namespace, name }) =>
          sources.services.get(`${namespace}/${name}`)?.metadata.annotations?.[HEALTH_RATE],
      }),
      namespaces: namespaceViews(
        valuesOf(sources.namespaces),
        [...valuesOf(sources.peerAuthentications)],
        settings.rootNamespace,
      ),
      splits,
    };
  }

  #follow(): void {
    const { mesh } = this.#deps;
    this.#teller.follow(mesh.sources, mesh.workloads);
    const grow = () => {
      this.#revision += 1;
    };
    for (const collection of Object.values(mesh.sources))
      (collection as Collection<unknown>).subscribe(grow);
    for (const collection of [mesh.workloads, mesh.services, mesh.routeTables, mesh.upstreams])
      (collection as Collection<unknown>).subscribe(grow);
  }
}

function* valuesOf<T>(collection: Collection<T>): Generator<T> {
  for (const [, value] of collection.entries()) yield value;
}

/** A waypoint is known to workloads by its address or host name. */
function waypointFinder(mesh: MeshGraph): (address: GatewayAddress | undefined) => string {
  const byHost = new Map<string, string>();
  const byAddress = new Map<string, string>();
  for (const { key, address } of valuesOf(mesh.parts.services.waypoints)) {
    if (address?.service !== undefined)
      byHost.set(`${address.service.namespace}/${address.service.hostname}`, key);
    if (address?.address !== undefined) byAddress.set(address.address.address, key);
  }
  return (address) => {
    if (address?.service !== undefined)
      return byHost.get(`${address.service.namespace}/${address.service.hostname}`) ?? '';
    return byAddress.get(address?.address?.address ?? '') ?? '';
  };
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

export function rootRows(pem: string): CertificatesAnswer['roots'] {
  return (pem.match(PEM) ?? []).map((text) => {
    const certificate = new X509Certificate(text);
    return {
      subject: certificate.subject.replaceAll('\n', ', '),
      notAfter: new Date(certificate.validTo).toISOString(),
      fingerprint: certificate.fingerprint256,
    };
  });
}
