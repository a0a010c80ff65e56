/**
 * Which nodes and edges of the graph one kind of traffic belongs to. Pure. A request to a service is two edges, client to service and service to the workload that
 * answered; what a node proxy tells of connections to and from a waypoint is shown only where waypoints are asked for, as the waypoint tells of the requests in them.
 */
import type { FlowPeer } from '#telemetry/flow/flow-frame.ts';
import type { GraphType, NodeKind } from '../api/graph.ts';
import type { Visible } from '../console-data.ts';
import type { Series } from '../store/series-table.ts';
import type { MeshPicture, ServicePicture } from './mesh-picture.ts';

export interface NodeName {
  readonly id: string;
  readonly kind: NodeKind;
  readonly namespace: string;
  readonly name: string;
  readonly app: string;
  readonly version: string;
  /** Key in MeshPicture.workloads or .services; empty for what is in neither. */
  readonly key: string;
}

export interface EdgeName {
  readonly source: NodeName;
  readonly target: NodeName;
  readonly protocol: Series['protocol'];
  /** Id of the waypoint's node, or empty. */
  readonly via: string;
}

/** What of a kind of traffic says where it belongs. */
export type Kind = Pick<
  Series,
  'reporter' | 'protocol' | 'source' | 'destination' | 'service' | 'via' | 'isHop'
>;

/**
 * Waypoints are not shown; as nodes, with what node proxies tell of the connections into and out of them; or, `passed`, with what each of them tells of
 * requests and connections that reached it, and nothing else.
 */
export type Waypoints = boolean | 'passed';

export interface Viewpoint {
  readonly type: GraphType;
  readonly waypoints: Waypoints;
  readonly visible: Visible;
}

/** All that the reader may not see, as one node without a name. */
export const ELSEWHERE: NodeName = {
  id: 'elsewhere',
  kind: 'unknown',
  namespace: '',
  name: 'elsewhere',
  app: '',
  version: '',
  key: '',
};

/** What a workload without a version is said to be (istio pkg/workloadapi, canonical revision). */
const NO_VERSION = 'latest';

const UNKNOWN: NodeName = { ...ELSEWHERE, id: 'unknown', name: 'unknown' };

/** Names of peers and services, each found once while the mesh calls them so: thousands of series share some hundred of them. */
export class NodeNames {
  readonly #type: GraphType;
  readonly #mesh: MeshPicture;
  readonly #peers = new Map<FlowPeer, NodeName>();
  readonly #services = new Map<Series['service'], NodeName | undefined>();
  readonly #waypoints = new Map<string, NodeName>();

  constructor(type: GraphType, mesh: MeshPicture) {
    this.#type = type;
    this.#mesh = mesh;
  }

  peer(peer: FlowPeer): NodeName {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const name = peerNode(peer, this.#type, this.#mesh);
    this.#peers.set(peer, name);
    return name;
  }

  service(service: Series['service']): NodeName | undefined {
    if (this.#services.has(service)) return this.#services.get(service);
    const name = serviceNode(service, this.#mesh);
    this.#services.set(service, name);
    return name;
  }

  /** By `namespace/name`. */
  waypoint(key: string): NodeName {
    const known = this.#waypoints.get(key);
    if (known !== undefined) return known;
    const [namespace, workload = ''] = key.split('/');
    const [app, version, principal, cluster] = ['', '', '', ''];
    const peer = {
      kind: 'waypoint',
      namespace,
      workload,
      app,
      version,
      principal,
      cluster,
    } as const;
    const name = peerNode(peer, this.#type, this.#mesh);
    this.#waypoints.set(key, name);
    return name;
  }
}

export function edgesOf(series: Kind, view: Viewpoint, names: NodeNames): EdgeName[] {
  if (series.isHop && !view.waypoints) return [];
  const { protocol } = series;
  const isThrough = series.reporter === 'waypoint' && series.via !== '';
  const via = isThrough ? `waypoint/${series.via}` : '';
  if (view.waypoints === 'passed' && !isThrough) return [];
  const source = names.peer(series.source);
  const target = names.peer(series.destination);
  const service = series.isHop ? undefined : names.service(series.service);
  const edges: EdgeName[] = [];
  const add = (from: NodeName, to: NodeName, through = via) => {
    const edge = seen({ source: from, target: to, protocol, via: through }, view.visible);
    if (edge !== undefined && edge.source.id !== edge.target.id) edges.push(edge);
  };
  // What never reached a workload is told of by the service's name: that is the service again.
  const isService = target.kind === 'external' && target.name === series.service.host;
  const isThere = target !== UNKNOWN && !isService;
  if (view.waypoints === 'passed') {
    const waypoint = names.waypoint(series.via);
    add(source, waypoint, '');
    if (isThere) add(waypoint, target, '');
  } else if (service === undefined) add(source, target);
  else if (view.type === 'service') add(source, service);
  else {
    add(source, service);
    if (isThere) add(service, target);
  }
  return edges;
}

/** The node of a workload, its app or its service. */
export function peerNode(peer: FlowPeer, type: GraphType, mesh: MeshPicture): NodeName {
  const { kind, namespace, workload: name } = peer;
  if (kind === 'unknown' || name === '') return UNKNOWN;
  if (kind === 'external') return externalNode(name);
  const key = `${namespace}/${name}`;
  const known = mesh.workloads.get(key);
  const role = known?.role ?? kind;
  const app = peer.app || known?.app || name;
  const told = peer.version || (known?.versions.length === 1 ? known.versions[0] : '');
  const version = told === NO_VERSION ? '' : told;
  const base = { namespace, app, version };
  if (role !== 'workload') return { ...base, id: `${role}/${key}`, kind: role, name, key };
  if (type === 'app')
    return { ...base, id: `app/${namespace}/${app}`, kind: 'app', name: app, version: '', key: '' };
  if (type === 'versionedApp') {
    const id = version === '' ? `app/${namespace}/${app}` : `app/${namespace}/${app}/${version}`;
    return { ...base, id, kind: 'app', name: app, key: '' };
  }
  const [service] = type === 'service' ? (known?.services ?? []) : [];
  const view = service === undefined ? undefined : mesh.services.get(service);
  if (view !== undefined) return nodeOfService(view);
  return { ...base, id: `workload/${key}`, kind: 'workload', name, key };
}

/** Undefined when the client asked for an address. */
export function serviceNode(service: Series['service'], mesh: MeshPicture): NodeName | undefined {
  const { host, name } = service;
  if (host === '') return undefined;
  // The namespace that proxies of others tell is the waypoint's; a host name of the cluster carries the right one.
  const [, inName, marker] = host.split('.');
  const namespace = marker === 'svc' ? inName : service.namespace;
  const known = mesh.services.get(`${namespace}/${host}`);
  if (known !== undefined) return nodeOfService(known);
  if (namespace === '') return externalNode(host);
  const short = name === '' ? host.split('.')[0] : name;
  return {
    id: `service/${namespace}/${short}`,
    kind: 'service',
    namespace,
    name: short,
    app: '',
    version: '',
    key: `${namespace}/${host}`,
  };
}

export function nodeOfService(service: ServicePicture): NodeName {
  const { key, namespace, name, host, isExternal } = service;
  if (isExternal) return { ...externalNode(host), key };
  return {
    id: `service/${namespace}/${name}`,
    kind: 'service',
    namespace,
    name,
    app: '',
    version: '',
    key,
  };
}

function externalNode(host: string): NodeName {
  return { ...ELSEWHERE, id: `external/${host}`, kind: 'external', name: host };
}

/** What a reader of some namespaces sees of an edge; undefined for nothing at all. */
function seen(edge: EdgeName, visible: Visible): EdgeName | undefined {
  if (visible === undefined) return edge;
  const isHidden = ({ namespace }: NodeName) => namespace !== '' && !visible.includes(namespace);
  const hidden = { source: isHidden(edge.source), target: isHidden(edge.target) };
  if (!hidden.source && !hidden.target) {
    // Between two that are nobody's: not this reader's business.
    return edge.source.namespace === '' && edge.target.namespace === '' ? undefined : edge;
  }
  const other = hidden.source ? edge.target : edge.source;
  if ((hidden.source && hidden.target) || other.namespace === '') return undefined;
  return {
    ...edge,
    source: hidden.source ? ELSEWHERE : edge.source,
    target: hidden.target ? ELSEWHERE : edge.target,
    via: edge.via !== '' && isHiddenId(edge.via, visible) ? '' : edge.via,
  };
}

function isHiddenId(id: string, visible: readonly string[]): boolean {
  return !visible.includes(id.split('/')[1] ?? '');
}
