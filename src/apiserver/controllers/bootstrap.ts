/** What every cluster has: its first namespaces, and the `kubernetes` Service that leads pods to this server. */
import { type ApiObject, equalJson } from '#kube/meta/object.ts';
import type { ObjectStore } from '../rest/object-store.ts';
import { serverWrite } from './namespace-controller.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;
const HTTPS_PORT = 443;

export interface BootstrapOptions {
  serviceCidr: string;
  advertise?: { address: string; port: number };
}

export function bootstrap(store: ObjectStore, { serviceCidr, advertise }: BootstrapOptions): void {
  for (const name of NAMESPACES)
    ensure(store, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const labels = { component: 'apiserver', provider: 'kubernetes' };
  const targetPort = advertise?.port ?? HTTPS_PORT;
  const metadata = { name: 'kubernetes', namespace: 'default' };
  const clusterIP = firstAddress(serviceCidr);
  ensure(store, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata, labels },
    spec: {
      clusterIP,
      ports: [{ name: 'https', port: HTTPS_PORT, protocol: 'TCP', targetPort }],
    },
  });
  if (advertise === undefined) return;
  ensure(store, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [advertise.address], conditions: { ready: true } }],
    ports: [{ name: 'https', port: advertise.port, protocol: 'TCP' }],
  });
}

function ensure(store: ObjectStore, object: ApiObject): void {
  const kind = store.deps.registry.findKind(object.apiVersion, object.kind)!;
  const { name, namespace } = object.metadata;
  const context = serverWrite();
  const stored = store.find(kind, { name, namespace });
  if (stored === undefined) {
    store.create(kind, namespace, { object, context });
    return;
  }
  if (object.kind !== 'EndpointSlice' || equalJson(stored.endpoints, object.endpoints)) return;
  // A restart may listen elsewhere.
  const change = (live: ApiObject) => ({
    ...live,
    endpoints: object.endpoints,
    ports: object.ports,
  });
  store.update({ kind, key: { name, namespace }, subresource: '', context, change });
}

function firstAddress(cidr: string): string {
  const parts = cidr.split('/')[0].split('.').map(Number);
  parts[3] += 1;
  return parts.join('.');
}
