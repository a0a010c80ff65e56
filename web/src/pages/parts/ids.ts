/** Ids of nodes in words, and where they and resources have their pages. Pure but for the shared part of the address. */
import { hrefOf } from '../../store/url.ts';

export interface NodeName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export function nodeName(id: string): NodeName {
  const [kind, namespace = '', ...rest] = id.split('/');
  if (kind === 'external') return { kind, namespace: '', name: id.slice('external/'.length) };
  if (rest.length === 0)
    return { kind, namespace: '', name: kind === 'unknown' ? 'unknown client' : id };
  return { kind, namespace, name: rest.join(' ') };
}

/** `product-service-v1`, with its namespace where that is another one. */
export function shortName(id: string, namespace = ''): string {
  const node = nodeName(id);
  return node.namespace === '' || node.namespace === namespace
    ? node.name
    : `${node.namespace}/${node.name}`;
}

/** `Kind namespace/name` or `Kind name`; undefined for what is not a resource, `default` among them. */
export function resourceHref(resource: string): string | undefined {
  const found = /^([A-Z]\w*) (?:([^/\s]+)\/)?([^/\s]+)$/.exec(resource);
  if (found === null) return undefined;
  const [, kind, namespace = '-', name] = found;
  return hrefOf(`/config/${kind}/${namespace}/${name}`);
}
