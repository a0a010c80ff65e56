/** Which object of the API a text or row is about, and where it is. Pure. */
import type { ConfigRow } from '#console/api/config.ts';
import { scalarAt } from './yaml-place.ts';

export interface ObjectAddress {
  /** As in addresses: `Gateway.networking.istio.io` for Istio's. */
  readonly kind: string;
  /** `-` for kinds that have none. */
  readonly namespace: string;
  readonly name: string;
}

const CLUSTER_KINDS = new Set(['Namespace', 'GatewayClass', 'MeshConfig', 'ClusterTrustBundle']);

/** Two kinds are called Gateway. */
function addressKind(kind: string, apiVersion: string): string {
  return kind === 'Gateway' && apiVersion.startsWith('networking.istio.io/')
    ? 'Gateway.networking.istio.io'
    : kind;
}

export function addressOfRow({
  kind,
  apiVersion,
  namespace,
  name,
}: Pick<ConfigRow, 'kind' | 'apiVersion' | 'namespace' | 'name'>): ObjectAddress {
  return {
    kind: addressKind(kind, apiVersion),
    namespace: namespace === '' ? '-' : namespace,
    name,
  };
}

export type TextAddress =
  | { readonly address: ObjectAddress; readonly problem: '' }
  | { readonly address: undefined; readonly problem: string };

export function addressOfText(text: string): TextAddress {
  const kind = scalarAt(text, ['kind']);
  const apiVersion = scalarAt(text, ['apiVersion']);
  const name = scalarAt(text, ['metadata', 'name']);
  if (kind === '' || apiVersion === '')
    return { address: undefined, problem: 'The text says neither apiVersion nor kind' };
  if (name === '') return { address: undefined, problem: 'The object has no metadata.name yet' };
  const namespace = CLUSTER_KINDS.has(kind)
    ? '-'
    : scalarAt(text, ['metadata', 'namespace']) || 'default';
  return { address: { kind: addressKind(kind, apiVersion), namespace, name }, problem: '' };
}

export const pathOf = ({ kind, namespace, name }: ObjectAddress) =>
  [kind, namespace, name].map(encodeURIComponent).join('/');
