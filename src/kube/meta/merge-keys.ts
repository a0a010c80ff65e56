/**
 * Which lists of the built-in kinds merge item by item under a strategic merge patch, and by which key: the
 * `patchMergeKey` and `patchStrategy` tags of Kubernetes' Go types. A list without a row is replaced whole.
 */

/** `{ key }` merges objects by that member; `primitive` merges scalars as a set. */
export type ListMerge = { key: string } | 'primitive' | undefined;

const BY_FIELD: Record<string, ListMerge> = {
  conditions: { key: 'type' },
  containerStatuses: undefined,
  containers: { key: 'name' },
  env: { key: 'name' },
  ephemeralContainers: { key: 'name' },
  finalizers: 'primitive',
  hostAliases: { key: 'ip' },
  hostIPs: { key: 'ip' },
  imagePullSecrets: { key: 'name' },
  initContainers: { key: 'name' },
  ownerReferences: { key: 'uid' },
  podCIDRs: 'primitive',
  podIPs: { key: 'ip' },
  resourceClaims: { key: 'name' },
  secrets: { key: 'name' },
  topologySpreadConstraints: { key: 'topologyKey' },
  volumeDevices: { key: 'devicePath' },
  volumeMounts: { key: 'mountPath' },
  volumes: { key: 'name' },
  webhooks: { key: 'name' },
};

/** `path` is the chain of member names to the list, without indexes: `['spec', 'containers', 'ports']`. */
export function listMerge(path: readonly string[]): ListMerge {
  const field = path[path.length - 1];
  const parent = path[path.length - 2];
  if (field === 'ports') {
    if (parent === 'containers' || parent === 'initContainers' || parent === 'ephemeralContainers')
      return { key: 'containerPort' };
    return parent === 'spec' && path.length === 2 ? { key: 'port' } : undefined;
  }
  if (field === 'addresses') return path[0] === 'status' ? { key: 'type' } : undefined;
  return Object.hasOwn(BY_FIELD, field) ? BY_FIELD[field] : undefined;
}
