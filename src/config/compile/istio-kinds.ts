/** The parts of Istio's kinds that the compilers read (networking and security, v1 = v1beta1 = v1alpha3). */

export interface ConfigMeta {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  creationTimestamp?: string;
}
export interface ConfigObject<S> {
  metadata: ConfigMeta;
  spec?: S;
}

export interface DestinationSpec {
  host?: string;
  subset?: string;
  port?: { number?: number };
}
/** Who a compiled object is, and since when: the older of two wins. */
export interface ObjectIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly createdAt: string;
}

export function identityOf(object: { metadata: ConfigMeta }): ObjectIdentity {
  const { name, namespace, creationTimestamp } = object.metadata;
  return { namespace: namespace ?? '', name, createdAt: creationTimestamp ?? '' };
}

/** Oldest first, then by name, then by namespace: the order in which conflicts are decided. */
export function byAge(left: ObjectIdentity, right: ObjectIdentity): number {
  return (
    compare(left.createdAt, right.createdAt) ||
    compare(left.name, right.name) ||
    compare(left.namespace, right.namespace)
  );
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
