/** How objects, nodes and hosts are called. Pure. */
import type { ConfigView, ServiceView, WorkloadView } from '../mesh-view.ts';

export function resourceOf({
  kind,
  namespace,
  name,
}: Pick<ConfigView, 'kind' | 'namespace' | 'name'>): string {
  return `${kind} ${namespace === '' ? name : `${namespace}/${name}`}`;
}

/** `Kind namespace/name`, apart; the namespace is empty where there is none. */
export function namespaceOfResource(resource: string): string {
  const key = resource.slice(resource.indexOf(' ') + 1);
  const slash = key.indexOf('/');
  return slash < 0 ? '' : key.slice(0, slash);
}

export function workloadId({ role, key }: Pick<WorkloadView, 'role' | 'key'>): string {
  return `${role}/${key}`;
}

export function serviceId({ namespace, name }: Pick<ServiceView, 'namespace' | 'name'>): string {
  return `service/${namespace}/${name}`;
}

export function appId(namespace: string, app: string): string {
  return `app/${namespace}/${app}`;
}

export function namespaceId(name: string): string {
  return `namespace/${name}`;
}

/** A host as an object of a namespace writes it: short, whole, or with a wildcard. */
export function namesService(host: string, namespace: string, service: ServiceView): boolean {
  if (host === service.host) return true;
  if (host === '*') return true;
  if (host.startsWith('*.')) return service.host.endsWith(host.slice(1));
  const [name, inNamespace = namespace, marker = 'svc', ...rest] = host.split('.');
  return (
    service.kind === 'Service' &&
    rest.length === 0 &&
    marker === 'svc' &&
    name === service.name &&
    inNamespace === service.namespace
  );
}
