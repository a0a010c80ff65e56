/** Takes a REST path apart: `/apis/apps/v1/namespaces/shop/deployments/web/scale`. */

export interface ResourcePath {
  group: string;
  version: string;
  resource: string;
  /** Undefined: cluster-scoped, or all namespaces. */
  namespace?: string;
  name?: string;
  subresource?: string;
}

/** Undefined when the path names no resource: discovery, health and the like. */
export function parseResourcePath(pathname: string): ResourcePath | undefined {
  const parts = pathname.split('/').slice(1);
  if (parts.at(-1) === '') parts.pop();
  let decoded: string[];
  try {
    decoded = parts.map(decodeURIComponent);
  } catch {
    return undefined; // A broken percent escape names nothing.
  }
  const [root, ...rest] = decoded;
  if (root === 'api' && rest.length >= 2) return split('', rest[0], rest.slice(1));
  if (root === 'apis' && rest.length >= 3) return split(rest[0], rest[1], rest.slice(2));
  return undefined;
}

const NAMESPACE_SUBRESOURCES = new Set(['finalize', 'status']);

function split(group: string, version: string, parts: string[]): ResourcePath | undefined {
  const [first, second, third] = parts;
  const isNamespaceItself = third === undefined || NAMESPACE_SUBRESOURCES.has(third);
  if (first === 'namespaces' && !(group === '' && isNamespaceItself)) {
    if (third === undefined) return undefined;
    const [, namespace, resource, name, ...sub] = parts;
    return finish({ group, version, namespace, resource, name }, sub);
  }
  return finish({ group, version, resource: first, name: second }, parts.slice(2));
}

function finish(path: ResourcePath, sub: string[]): ResourcePath | undefined {
  if (sub.length === 0) return path;
  return sub.length === 1 ? { ...path, subresource: sub[0] } : undefined;
}
