/**
 * Numbers for the nodes and edges of one view of the mesh, and which of them each series counts into. Grows as series are met; made anew when the mesh changes what
 * a peer is called. Many requests and subscribers share one.
 */
import type { SeriesTable } from '../store/series-table.ts';
import type { MeshPicture } from './mesh-picture.ts';
import {
  ELSEWHERE,
  edgesOf,
  type NodeName,
  nodeOfService,
  peerNode,
  type Viewpoint,
} from './nodes.ts';

export interface EdgeSlot {
  readonly index: number;
  /** `source target protocol`. */
  readonly id: string;
  readonly source: NodeSlot;
  readonly target: NodeSlot;
  readonly protocol: 'http' | 'grpc' | 'tcp';
  via: string;
  readonly principals: { readonly source: Set<string>; readonly target: Set<string> };
  /** Known from configuration: shown without traffic where idle ones are. */
  isConfigured: boolean;
  /** Parts of its JSON text that stay (graph-text.ts); `principals` and `via`: of which the tail is. */
  readonly text: { head: string; tail: string; principals: number; via: string };
}

export interface NodeSlot {
  readonly index: number;
  readonly name: NodeName;
  /** Edges from and to it. */
  readonly outgoing: EdgeSlot[];
  readonly incoming: EdgeSlot[];
  /** The part of its JSON text that stays (graph-text.ts). */
  readonly text: { head: string };
}

/** Identities of both ends that an edge names. */
const PRINCIPALS_MAX = 20;
const NOTHING: readonly EdgeSlot[] = [];

export class GraphShape {
  readonly view: Viewpoint;
  readonly edges: EdgeSlot[] = [];
  readonly nodes: NodeSlot[] = [];
  readonly #edges = new Map<string, EdgeSlot>();
  readonly #nodes = new Map<string, NodeSlot>();
  /** By series. */
  readonly #slots: (readonly EdgeSlot[] | undefined)[] = [];
  readonly #series: SeriesTable;
  readonly #mesh: MeshPicture;
  readonly #names: number;
  #seriesRevision: number;

  constructor(view: Viewpoint, series: SeriesTable, mesh: MeshPicture) {
    this.view = view;
    this.#series = series;
    this.#mesh = mesh;
    this.#names = mesh.names;
    this.#seriesRevision = series.forgotten;
  }

  /** Numbers mean what they did. */
  get isCurrent(): boolean {
    return this.#names === this.#mesh.names && this.#seriesRevision === this.#series.forgotten;
  }

  slotsOf(row: number): readonly EdgeSlot[] {
    const known = this.#slots[row];
    if (known !== undefined) return known;
    const series = this.#series.get(row);
    if (series === undefined) return NOTHING;
    const slots = edgesOf(series, this.view, this.#mesh).map(
      ({ source, target, protocol, via }) => {
        const slot = this.#edge(source, target, protocol);
        if (via !== '') slot.via = via;
        return slot;
      },
    );
    this.#slots[row] = slots;
    const [first] = slots;
    const last = slots.at(-1);
    if (first !== undefined)
      remember(first.principals.source, first.source, series.source.principal);
    if (last !== undefined)
      remember(last.principals.target, last.target, series.destination.principal);
    return slots;
  }

  node(id: string): NodeSlot | undefined {
    return this.#nodes.get(id);
  }

  edge(id: string): EdgeSlot | undefined {
    return this.#edges.get(id);
  }

  /** Nodes and edges that configuration knows of, with or without traffic. */
  addConfigured(): void {
    const { type, visible } = this.view;
    const isVisible = (namespace: string) => visible === undefined || visible.includes(namespace);
    for (const workload of this.#mesh.workloads.values()) {
      if (!isVisible(workload.namespace)) continue;
      if (workload.role === 'waypoint' && !this.view.waypoints) continue;
      this.#node(peerNode(peerOf(workload), type, this.#mesh));
    }
    for (const service of this.#mesh.services.values()) {
      if (!isVisible(service.namespace)) continue;
      const from = this.#node(nodeOfService(service));
      if (type === 'service') continue;
      for (const key of service.workloads) {
        const workload = this.#mesh.workloads.get(key);
        if (workload === undefined || !isVisible(workload.namespace)) continue;
        const target = peerNode(peerOf(workload), type, this.#mesh);
        if (target.id !== from.name.id)
          this.#edge(from.name, target, service.protocol).isConfigured = true;
      }
    }
  }

  #edge(source: NodeName, target: NodeName, protocol: EdgeSlot['protocol']): EdgeSlot {
    const id = `${source.id} ${target.id} ${protocol}`;
    const known = this.#edges.get(id);
    if (known !== undefined) return known;
    const slot: EdgeSlot = {
      index: this.edges.length,
      id,
      source: this.#node(source),
      target: this.#node(target),
      protocol,
      via: '',
      principals: { source: new Set(), target: new Set() },
      isConfigured: false,
      text: { head: '', tail: '}', principals: 0, via: '' },
    };
    this.edges.push(slot);
    this.#edges.set(id, slot);
    slot.source.outgoing.push(slot);
    slot.target.incoming.push(slot);
    return slot;
  }

  #node(name: NodeName): NodeSlot {
    const known = this.#nodes.get(name.id);
    if (known !== undefined) return known;
    const slot: NodeSlot = {
      index: this.nodes.length,
      name,
      outgoing: [],
      incoming: [],
      text: { head: '' },
    };
    this.nodes.push(slot);
    this.#nodes.set(name.id, slot);
    return slot;
  }
}

function peerOf({
  role,
  namespace,
  name,
  app,
  versions,
  identity,
}: Parameters<MeshPicture['workloads']['set']>[1]) {
  return {
    kind: role,
    namespace,
    workload: name,
    app,
    version: versions.length === 1 ? versions[0] : '',
    principal: identity,
    cluster: '',
  };
}

function remember(known: Set<string>, { name }: NodeSlot, principal: string): void {
  // Whoever may not see a namespace does not learn identities of it.
  if (principal === '' || name === ELSEWHERE || known.size >= PRINCIPALS_MAX) return;
  known.add(principal);
}
