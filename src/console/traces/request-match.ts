/** Requests one by one as rows of the console, and whether one is what was asked for. Pure. */
import { rfc3339At } from '#base/clock.ts';
import type { FlowPeer } from '#telemetry/flow/flow-frame.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { GraphType } from '../api/graph.ts';
import type { RequestRow } from '../api/traffic.ts';
import type { RequestsRequest, Visible } from '../console-data.ts';
import type { MeshPicture } from '../graph/mesh-picture.ts';
import { ELSEWHERE, edgesOf, type Kind, NodeNames, peerNode } from '../graph/nodes.ts';

const TYPES: readonly GraphType[] = ['workload', 'app', 'versionedApp', 'service'];
const WAYPOINTS = [true, 'passed'] as const;

export function isFailed({ status, protocol, grpcStatus, reason, flags }: RequestRecord): boolean {
  if (protocol === 'grpc') return grpcStatus !== '' ? grpcStatus !== '0' : status !== 200;
  if (protocol === 'http') return status === 0 || status >= 500;
  return reason !== '' || flags !== '-';
}

/** A policy forbade it; policies that allowed something are named as well. */
export function isDenied(record: RequestRecord): boolean {
  const { policy, protocol, status, grpcStatus } = record;
  if (policy === '') return false;
  if (protocol === 'tcp' || protocol === 'dns') return isFailed(record);
  return status === 403 || status === 401 || grpcStatus === '7' || grpcStatus === '16';
}

export function isWantedRecord(
  record: RequestRecord,
  request: RequestsRequest,
  mesh: MeshPicture,
): boolean {
  const { source, destination, service, method, path, status, protocol } = record;
  const { namespaces, workloads, services, methods } = request;
  if (!isEndVisible(source, request.visible) && !isEndVisible(destination, request.visible))
    return false;
  const ends = [source, destination];
  if (namespaces.length > 0 && !ends.some(({ namespace }) => namespaces.includes(namespace)))
    return false;
  if (
    workloads.length > 0 &&
    !ends.some((end) => workloads.includes(`${end.namespace}/${end.workload}`))
  )
    return false;
  if (services.length > 0 && !services.includes(service)) return false;
  if (methods.length > 0 && !methods.includes(method)) return false;
  if (!path.startsWith(request.pathPrefix)) return false;
  if (request.status !== undefined) {
    if (protocol !== 'http' && protocol !== 'grpc') return false;
    if (status < request.status.from || status > request.status.to) return false;
  }
  if (request.onlyFailed && !isFailed(record) && !isDenied(record)) return false;
  const { fromMs = 0, toMs = Number.POSITIVE_INFINITY } = request;
  if (record.startMs < fromMs || record.startMs > toMs) return false;
  return request.node === undefined && request.edge === undefined
    ? true
    : isOf(record, request, mesh);
}

export function requestRow(record: RequestRecord, visible: Visible, mesh: MeshPicture): RequestRow {
  const { source, destination, startMs, ...rest } = record;
  const isHidden = {
    source: !isEndVisible(source, visible),
    destination: !isEndVisible(destination, visible),
  };
  return {
    ...rest,
    at: rfc3339At(startMs),
    source: isHidden.source ? ELSEWHERE.id : peerNode(source, 'workload', mesh).id,
    destination: isHidden.destination ? ELSEWHERE.id : peerNode(destination, 'workload', mesh).id,
    sourceAddress: isHidden.source ? '' : rest.sourceAddress,
    destinationAddress: isHidden.destination ? '' : rest.destinationAddress,
  };
}

/** Whether it belongs to a node or an edge of a graph of any type, with waypoints on the way or as nodes of their own. */
function isOf(record: RequestRecord, { node, edge }: RequestsRequest, mesh: MeshPicture): boolean {
  const kind: Kind = {
    ...record,
    protocol: record.protocol === 'dns' ? 'tcp' : record.protocol,
    service: { host: record.service, namespace: '', name: '' },
    via: record.reporter === 'waypoint' ? mesh.workloadOfProxy(record.proxy) : '',
    isHop: false,
  };
  return TYPES.some((type) => {
    const names = new NodeNames(type, mesh);
    return WAYPOINTS.flatMap((waypoints) =>
      edgesOf(kind, { type, waypoints, visible: undefined }, names),
    ).some(
      ({ source, target, protocol }) =>
        (node === undefined || source.id === node || target.id === node) &&
        (edge === undefined || edge === `${source.id} ${target.id} ${protocol}`),
    );
  });
}

/** A connection between a node proxy and a waypoint. */
export function isHop(
  { reporter, source, destination }: RequestRecord,
  mesh: MeshPicture,
): boolean {
  if (reporter !== 'source' && reporter !== 'destination') return false;
  return [source, destination].some((peer) => peerNode(peer, 'workload', mesh).kind === 'waypoint');
}

function isEndVisible({ namespace }: FlowPeer, visible: Visible): boolean {
  return visible === undefined || (namespace !== '' && visible.includes(namespace));
}
