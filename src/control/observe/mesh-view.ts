/**
 * What the console asks of the mesh (console/mesh-view.ts), answered from the collections and from what proxies say of themselves. Rows are kept as
 * collections too (view/collections.ts): what did not change is the same object as before.
 */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '#base/clock.ts';
import type { Collection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
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
import type { MeshSettings } from '../derive/mesh.ts';
import { LABEL } from '../derive/mesh.ts';
import { WAYPOINT_CLASSES } from '../derive/waypoint.ts';
import { ownerName } from '../derive/workload.ts';
import type { MeshGraph } from '../ingest/mesh-graph.ts';
import type { ProxySyncState } from '../push/proxy-stream.ts';
import type { StatusAnswer } from './api.ts';
import type { ProcessUse } from './counter-rate.ts';
import type { ReportState } from './intake.ts';
import { ChangeTeller } from './view/changes.ts';
import { type ViewCollections, viewCollections } from './view/collections.ts';
import { configViews, enforcedAtNodes } from './view/config.ts';
import { namespaceViews } from './view/namespaces.ts';
import { certificateRows, ejectedEndpoints, proxyRows } from './view/proxies.ts';

export interface MeshViewDeps {
  readonly clock: Clock;
  readonly graph: Graph;
  readonly mesh: MeshGraph;
  readonly settings: MeshSettings;
  readonly version: string;
  readonly proxies: () => StatusAnswer['proxies'];
  readonly waypoints: () => StatusAnswer['waypoints'];
  readonly problems: () => NonNullable<StatusAnswer['control']['problems']>;
  readonly streams: () => readonly ProxySyncState[];
  readonly use: (proxy: string) => ProcessUse | undefined;
  readonly report: (proxy: string) => ReportState | undefined;
  readonly control: () => readonly ControlRow[];
  /** PEM of the root certificates in force; empty before they are known. */
  readonly roots: () => string;
}

export class ControlMeshView implements MeshView {
  readonly version: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly #deps: MeshViewDeps;
  readonly #listeners = new Set<(change: MeshChange) => void>();
  readonly #teller: ChangeTeller;
  #revision = 0;
  readonly #rows: ViewCollections;
  #namespaces: { readonly revision: number; readonly rows: readonly NamespaceView[] } | undefined;

  constructor(deps: MeshViewDeps) {
    this.#deps = deps;
    this.version = deps.version;
    this.trustDomain = deps.settings.trustDomain;
    this.clusterId = deps.settings.clusterId;
    const { graph, mesh, settings } = deps;
    this.#rows = viewCollections(graph, mesh, { settings, ejected: () => this.ejected() });
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
    if (this.#namespaces?.revision !== this.#revision) {
      const { mesh, settings } = this.#deps;
      const policies = [...valuesOf(mesh.sources.peerAuthentications)];
      const namespaces = valuesOf(mesh.sources.namespaces);
      const rows = namespaceViews(namespaces, policies, settings.rootNamespace);
      this.#namespaces = { revision: this.#revision, rows };
    }
    return this.#namespaces.rows;
  }

  workloads(): Iterable<WorkloadView> {
    return valuesOf(this.#rows.workloads);
  }

  workload(key: string): WorkloadView | undefined {
    return this.#rows.workloads.get(key);
  }

  services(): Iterable<ServiceView> {
    return valuesOf(this.#rows.services);
  }

  service(key: string): ServiceView | undefined {
    return this.#rows.services.get(key);
  }

  splits(): readonly SplitView[] {
    return [...valuesOf(this.#rows.splits)];
  }

  config(): Iterable<ConfigView> {
    return configViews(this.#deps.mesh.sources, enforcedAtNodes(this.#deps.streams()));
  }

  findings(): readonly Finding[] {
    return this.#deps.mesh.findings();
  }

  proxies(): readonly ProxyRow[] {
    const { mesh, proxies, waypoints, use, report } = this.#deps;
    const isGateway = (key: string) => {
      const labels = mesh.sources.pods.get(key)?.metadata.labels ?? {};
      return !WAYPOINT_CLASSES.includes(labels[LABEL.gatewayClassName] ?? WAYPOINT_CLASSES[0]);
    };
    const known = { proxies: proxies(), waypoints: waypoints() };
    return proxyRows(known, { use, isGateway, report });
  }

  control(): readonly ControlRow[] {
    return this.#deps.control();
  }

  problems(): readonly { readonly message: string; readonly since: string }[] {
    return this.#deps.problems().map(({ message, since }) => ({ message, since }));
  }

  ejected(): readonly EjectedEndpoint[] {
    const { pods } = this.#deps.mesh.sources;
    const ejections = this.#deps.proxies().flatMap((proxy) => proxy.ejections);
    return ejectedEndpoints(ejections, (namespace, name) => {
      const pod = pods.get(`${namespace}/${name}`);
      return `${namespace}/${pod === undefined ? name : ownerName(pod)}`;
    });
  }

  certificates(): CertificatesAnswer {
    const { clock, proxies, roots } = this.#deps;
    return {
      certificates: certificateRows(proxies(), clock.wallTime()),
      roots: rootRows(roots()),
    };
  }

  onChange(listener: (change: MeshChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
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
