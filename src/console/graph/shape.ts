/**
 * Numbers for the nodes and edges of one view of the mesh, and which of them each series counts into. Grows as series are met; made anew when the mesh changes what
 * a peer is called. Many requests and subscribers share one.
 */
import type { Series, SeriesTable } from '../store/series-table.ts';
import type { MeshPicture } from './mesh-picture.ts';
import {
  ELSEWHERE,
  edgesOf,
  type NodeName,
  NodeNames,
  nodeOfService,
  peerNode,
  type Viewpoint,
} from './nodes.ts';

export class EdgeSlot {
  readonly index: number;
  readonly source: NodeSlot;
  readonly target: NodeSlot;
  readonly protocol: Series['protocol'];
  via = '';
  /** Few, and mostly one. */
  readonly principals: { readonly source: string[]; readonly target: string[] } = {
    source: [],
    target: [],
  };
  /** Known from configuration: shown without traffic where idle ones are. */
  isConfigured = false;
  /** The end of its JSON text, which stays (edge-text.ts), and of how many principals and which waypoint it is. */
  readonly text = { tail: '}', principals: 0, via: '' };

  constructor(
    index: number,
    { source, target, protocol }: Pick<EdgeSlot, 'source' | 'target' | 'protocol'>,
  ) {
    this.index = index;
    this.source = source;
    this.target = target;
    this.protocol = protocol;
  }

  /** `source target protocol`. */
  get id(): string {
    return `${this.source.name.id} ${this.target.name.id} ${this.protocol}`;
  }
}

export interface NodeSlot {
  readonly index: number;
  readonly name: NodeName;
  /** Edges from and to it. */
  readonly outgoing: EdgeSlot[];
  readonly incoming: EdgeSlot[];
  /** The part of its JSON text that stays (node-text.ts), and its id as it stands within a text of JSON (edge-text.ts). */
  readonly text: { head: string; id: Uint8Array | undefined };
}

/** Identities of both ends that an edge names. */
const PRINCIPALS_MAX = 20;
/** Numbers of two nodes and a protocol are one number that is still exact; so many nodes no mesh has. */
const NODES_MAX = 2 ** 24;
const PROTOCOLS: readonly Series['protocol'][] = ['http', 'grpc', 'tcp'];
const NOTHING: readonly EdgeSlot[] = [];

export class GraphShape {
  readonly view: Viewpoint;
  readonly edges: EdgeSlot[] = [];
  readonly nodes: NodeSlot[] = [];
  /** By the numbers of both nodes, and the protocol. */
  readonly #edges = new Map<number, EdgeSlot>();
  readonly #nodes = new Map<string, NodeSlot>();
  /** The same by their names, most of which are met thousands of times. */
  readonly #named = new Map<NodeName, NodeSlot>();
  readonly #nodeNames: NodeNames;
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
    this.#nodeNames = new NodeNames(view.type, mesh);
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
    const slots = edgesOf(series, this.view, this.#nodeNames).map(
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

  /** Seldom asked for: ids are made when they are told. */
  edge(id: string): EdgeSlot | undefined {
    return this.edges.find((slot) => slot.id === id);
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
    const ends = { source: this.#node(source), target: this.#node(target), protocol };
    const key =
      (ends.source.index * NODES_MAX + ends.target.index) * PROTOCOLS.length +
      PROTOCOLS.indexOf(protocol);
    const known = this.#edges.get(key);
    if (known !== undefined) return known;
    const slot = new EdgeSlot(this.edges.length, ends);
    this.edges.push(slot);
    this.#edges.set(key, slot);
    slot.source.outgoing.push(slot);
    slot.target.incoming.push(slot);
    return slot;
  }

  #node(name: NodeName): NodeSlot {
    const met = this.#named.get(name);
    if (met !== undefined) return met;
    let slot = this.#nodes.get(name.id);
    if (slot === undefined) {
      const text = { head: '', id: undefined };
      slot = { index: this.nodes.length, name, outgoing: [], incoming: [], text };
      this.nodes.push(slot);
      this.#nodes.set(name.id, slot);
    }
    this.#named.set(name, slot);
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

function remember(known: string[], { name }: NodeSlot, principal: string): void {
  // Whoever may not see a namespace does not learn identities of it.
  if (principal === '' || name === ELSEWHERE || known.length >= PRINCIPALS_MAX) return;
  if (!known.includes(principal)) known.push(principal);
}
