/**
 * The simulated API server of the config case, a process of its own: `api-server.ts PORT SIZE` (SIZE as JSON). Lists by
 * page, watches with bookmarks, writes as far as a control plane needs them, reviews tokens `bench:NAMESPACE:ACCOUNT:POD`.
 * `POST /bench/change` takes `{ kind, key, patch }[]` and answers with the wall time, in milliseconds, of the change.
 */
import { systemClock } from '#base/clock.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { ApiStore, keyOf, mergePatch, type Selector, selects } from './api-store.ts';
import { type ClusterSize, clusterObjects } from './objects.ts';

const BOOKMARK_PERIOD_MS = 5_000;

interface Target {
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export interface Change {
  readonly kind: string;
  readonly key: string;
  readonly patch: unknown;
}

const [port, size] = process.argv.slice(2);
const store = new ApiStore();
for (const { ref, object } of clusterObjects(JSON.parse(size) as ClusterSize))
  store.load(ref, object);

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  idleTimeout: 0,
  async fetch(request) {
    const url = new URL(request.url);
    const { pathname, searchParams } = url;
    if (pathname === '/bench/change') return change((await request.json()) as Change[]);
    if (pathname.endsWith('/tokenreviews')) return review(await request.json());
    const target = targetOf(pathname);
    if (target === undefined) return status(404, 'NotFound', pathname);
    if (request.method !== 'GET') return write(request.method, target, await request.text());
    if (target.name !== undefined) return found(target);
    const selector: Selector = {
      namespace: target.namespace,
      labels: searchParams.get('labelSelector'),
      fields: searchParams.get('fieldSelector'),
    };
    return searchParams.get('watch') === 'true'
      ? watch(target.kind, selector, Number(searchParams.get('resourceVersion')))
      : list(target.kind, selector, searchParams);
  },
});

function change(changes: readonly Change[]): Response {
  for (const { kind, key, patch } of changes) {
    const before = store.kind(kind).get(key);
    if (before === undefined) return status(404, 'NotFound', `${kind} ${key}`);
    store.put(kind, merged(before, patch));
  }
  return Response.json({ at: systemClock.wallTime() });
}

/** `/apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/SUBRESOURCE` and what is short of it. */
function targetOf(path: string): Target | undefined {
  const [root, ...parts] = path.split('/').slice(1);
  if (root !== 'api' && root !== 'apis') return undefined;
  const group = root === 'api' ? '' : parts.shift();
  parts.shift();
  const namespace = parts[0] === 'namespaces' && parts.length > 2 ? parts[1] : undefined;
  if (namespace !== undefined) parts.splice(0, 2);
  const [resource, name, subresource] = parts;
  return { kind: `${group}/${resource}`, namespace, name, subresource };
}

function list(kind: string, selector: Selector, query: URLSearchParams): Response {
  const all = [...store.kind(kind).values()];
  const from = Number(query.get('continue') ?? 0);
  const limit = Number(query.get('limit') ?? all.length) || all.length;
  const page = all.slice(from, from + limit).filter((object) => selects(selector, object));
  const more = from + limit < all.length ? String(from + limit) : '';
  const metadata = { resourceVersion: String(store.version), continue: more };
  return Response.json({ kind: 'List', apiVersion: 'v1', metadata, items: page });
}

function watch(kind: string, selector: Selector, version: number): Response {
  const missed = store.since(kind, version);
  if (missed === undefined) return status(410, 'Expired', 'too old resource version');
  let stop = (): void => undefined;
  const body = new ReadableStream<string>({
    start(controller) {
      const send = (line: string) => controller.enqueue(line);
      for (const { object, line } of missed) if (selects(selector, object)) send(line);
      const watcher = { kind, selector, send };
      store.watchers.add(watcher);
      const timer = systemClock.every(BOOKMARK_PERIOD_MS, () => {
        const metadata = { resourceVersion: String(store.version) };
        send(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`);
      });
      stop = () => {
        timer.cancel();
        store.watchers.delete(watcher);
      };
    },
    cancel: () => stop(),
  });
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}

function found({ kind, namespace, name }: Target): Response {
  const object = store.kind(kind).get(namespace === undefined ? `${name}` : `${namespace}/${name}`);
  return object === undefined ? status(404, 'NotFound', `${kind} ${name}`) : Response.json(object);
}

function write(method: string, target: Target, text: string): Response {
  const { kind, namespace, name, subresource } = target;
  const objects = store.kind(kind);
  if (method === 'POST') {
    const object = JSON.parse(text) as KubeObject;
    if (objects.has(keyOf(object))) return status(409, 'AlreadyExists', keyOf(object));
    object.metadata.uid = `made-${store.version}`;
    return Response.json(store.put(kind, object));
  }
  const key = namespace === undefined ? `${name}` : `${namespace}/${name}`;
  if (method === 'DELETE') {
    const gone = store.remove(kind, key);
    return gone === undefined ? status(404, 'NotFound', key) : Response.json(gone);
  }
  const body = JSON.parse(text) as KubeObject;
  const before = objects.get(key);
  if (before === undefined) return Response.json(store.put(kind, body));
  const part = subresource === 'status' ? { status: (body as { status?: unknown }).status } : body;
  const after = merged(before, part);
  // A write that changes nothing makes no event, as in Kubernetes.
  const isSame = JSON.stringify(after) === JSON.stringify(before);
  return Response.json(isSame ? before : store.put(kind, after));
}

function merged(before: KubeObject, patch: unknown): KubeObject {
  const after = mergePatch(before, patch) as KubeObject;
  const { uid, resourceVersion } = before.metadata;
  return { ...after, metadata: { ...after.metadata, uid, resourceVersion } };
}

function review(body: unknown): Response {
  const { spec } = body as { spec: { token: string } };
  const [prefix, namespace, account, pod] = spec.token.split(':');
  const extra = {
    'authentication.kubernetes.io/pod-name': [pod],
    'authentication.kubernetes.io/pod-uid': [`uid-${pod}`],
  };
  const user = { username: `system:serviceaccount:${namespace}:${account}`, extra };
  const authenticated = prefix === 'bench';
  return Response.json({ status: { authenticated, audiences: ['istio-ca'], user } });
}

function status(code: number, reason: string, message: string): Response {
  return Response.json({ kind: 'Status', code, reason, message }, { status: code });
}
