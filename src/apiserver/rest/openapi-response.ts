/** /openapi/v2 and /openapi/v3: built when first asked for, kept until the served kinds change. */
import type { JsonObject } from '#kube/meta/object.ts';
import type { KindRegistry } from '../kinds/registry.ts';
import type { ObjectStore } from './object-store.ts';
import { pathNotFound, StatusError } from './status-error.ts';

export interface OpenApiDeps {
  registry: KindRegistry;
  store: ObjectStore;
}

const cache = new WeakMap<KindRegistry, { generation: number; bodies: Map<string, string> }>();

export function openApiResponse(http: Request, pathname: string, deps: OpenApiDeps): Response {
  const { registry } = deps;
  let kept = cache.get(registry);
  if (kept === undefined || kept.generation !== registry.generation) {
    kept = { generation: registry.generation, bodies: new Map() };
    cache.set(registry, kept);
  }
  // kubectl's old path asks for protobuf only; it goes on without when told that there is none.
  const accept = http.headers.get('accept') ?? '';
  if (pathname === '/openapi/v2' && /protobuf/.test(accept) && !/json|\*\/\*/.test(accept))
    throw new StatusError(406, 'NotAcceptable', 'only application/json is served');
  let body = kept.bodies.get(pathname);
  if (body === undefined) {
    body = JSON.stringify(build(pathname, deps));
    kept.bodies.set(pathname, body);
  }
  const etag = `"${Bun.hash(body).toString(16)}"`;
  const headers = { 'content-type': 'application/json', etag, vary: 'Accept' };
  if (http.headers.get('if-none-match') === etag)
    return new Response(null, { status: 304, headers });
  return new Response(body, { headers });
}

function build(pathname: string, { registry, store }: OpenApiDeps): JsonObject {
  const { schemas } = store.deps;
  const kinds = registry.all();
  if (pathname === '/openapi/v2') return schemas.openApiV2(kinds);
  if (pathname === '/openapi/v3' || pathname === '/openapi/v3/')
    return schemas.openApiV3Index(kinds);
  const group = schemas.openApiV3Group(pathname.slice('/openapi/v3/'.length), kinds);
  if (group === undefined) throw pathNotFound();
  return group;
}
