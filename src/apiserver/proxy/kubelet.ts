/**
 * Where a pod's node agent answers for logs, exec and ports, and the log stream. Paths are the kubelet's:
 * /containerLogs/NS/POD/CONTAINER, /exec/NS/POD/CONTAINER and /portForward/NS/POD.
 */
import { messageOf } from '#base/errors.ts';
import { type ApiObject, isJsonObject, readPath } from '#kube/meta/object.ts';
import type { ObjectStore } from '../rest/object-store.ts';
import type { ResourceRequest } from '../rest/request.ts';
import * as status from '../rest/status-error.ts';

export interface KubeletOptions {
  /**
   * `http://127.0.0.1:{port}`, `http://{address}:10250` or `unix:/run/tulle/{node}/kubelet.sock`; placeholders are
   * filled from the Node object.
   */
  urlTemplate: string;
}

export const DEFAULT_KUBELET_TEMPLATE = 'http://{address}:{port}';
const KUBELET_PORT = 10250;

export interface KubeletTarget {
  /** Set when the agent listens on a unix socket. */
  unix?: string;
  /** `http://host:port`, no path. */
  origin: string;
  /** Path and query on the agent. */
  path: string;
}

export function kubeletTarget(
  store: ObjectStore,
  request: Pick<ResourceRequest, 'kind' | 'path' | 'query'>,
  {
    options,
    action,
  }: { options: KubeletOptions; action: 'containerLogs' | 'exec' | 'portForward' },
): KubeletTarget {
  const { kind, path, query } = request;
  const pod = store.get(kind, { namespace: path.namespace, name: path.name ?? '' });
  const { name } = pod.metadata;
  const target = targetPath(action, pod, query);
  const node = String(readPath(pod, ['spec', 'nodeName']) ?? '');
  if (node === '') {
    throw status.badRequest(`pod ${name} does not have a host assigned`);
  }
  const url = fillTemplate(options.urlTemplate, store, node);
  return url.startsWith('unix:')
    ? { unix: url.slice('unix:'.length), origin: 'http://localhost', path: target }
    : { origin: url.replace(/\/$/, ''), path: target };
}

function targetPath(action: string, pod: ApiObject, query: URLSearchParams): string {
  const { namespace, name } = pod.metadata;
  if (action === 'portForward') {
    const search = new URLSearchParams({ port: query.getAll('ports').join() });
    return `/${action}/${namespace}/${name}?${search}`;
  }
  const container = containerOf(pod, query.get('container'));
  const search = new URLSearchParams(query);
  search.delete('container');
  return `/${action}/${namespace}/${name}/${container}?${search}`;
}

export async function streamLogs(target: KubeletTarget, signal: AbortSignal): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(`${target.origin}${target.path}`, { unix: target.unix, signal });
  } catch (error) {
    throw new status.StatusError(
      500,
      'InternalError',
      `Get "${target.origin}${target.path}": ${messageOf(error)}`,
    );
  }
  if (!answer.ok) {
    const text = await answer.text();
    throw new status.StatusError(answer.status, reasonOf(answer.status), text.trim());
  }
  return new Response(answer.body, { headers: { 'content-type': 'text/plain' } });
}

function reasonOf(code: number): string {
  if (code === 404) return 'NotFound';
  return code === 400 ? 'BadRequest' : 'InternalError';
}

/** kubectl's rule: the named one, else the only one, else say which there are. */
function containerOf(pod: ApiObject, asked: string | null): string {
  const names = ['containers', 'initContainers', 'ephemeralContainers'].flatMap((list) => {
    const items = readPath(pod, ['spec', list]);
    return (Array.isArray(items) ? items : [])
      .filter(isJsonObject)
      .map((item) => String(item.name));
  });
  const { name } = pod.metadata;
  if (asked !== null && asked !== '') {
    if (names.includes(asked)) return asked;
    throw status.badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  if (names.length === 1) return names[0];
  throw status.badRequest(
    `a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`,
  );
}

function fillTemplate(template: string, store: ObjectStore, node: string): string {
  const object = store.deps.storage.get({ table: '/nodes', namespace: '', name: node });
  if (object === undefined)
    throw status.notFound({ group: '', resource: 'nodes', kind: 'Node' }, node);
  const addresses = readPath(object, ['status', 'addresses']);
  const internal = (Array.isArray(addresses) ? addresses : []).find(
    (item) => isJsonObject(item) && item.type === 'InternalIP',
  );
  const port = readPath(object, ['status', 'daemonEndpoints', 'kubeletEndpoint', 'Port']);
  return template
    .replaceAll('{node}', node)
    .replaceAll('{address}', String(readPath(internal, ['address']) ?? node))
    .replaceAll('{port}', String(port ?? KUBELET_PORT));
}
