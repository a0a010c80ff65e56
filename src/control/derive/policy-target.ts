/** What targetRefs of a policy point to, and which policies bind the waypoint of a service (Istio: policyattachment.go). */

export interface TargetRefSpec {
  group?: string;
  kind?: string;
  name?: string;
  namespace?: string;
}

interface Targeted {
  readonly targetRef?: TargetRefSpec;
  readonly targetRefs?: readonly TargetRefSpec[];
}

/** `Gateway/namespace/name` and the like, in the policy's namespace: validation refuses others. Sorted. */
export function targetsOf(spec: Targeted, namespace: string): string[] {
  const refs = spec.targetRefs?.length ? spec.targetRefs : spec.targetRef ? [spec.targetRef] : [];
  return refs.map(({ kind = '', name = '' }) => `${kind}/${namespace}/${name}`).sort();
}

/** Every key under which a policy may bind the traffic of a service that this waypoint serves. */
export function targetKeysOf(
  service: { kind: 'Service' | 'ServiceEntry'; namespace: string; name: string },
  waypoint: { key: string; className: string } | undefined,
  rootNamespace: string,
): string[] {
  const own = `${service.kind}/${service.namespace}/${service.name}`;
  if (waypoint === undefined) return [own];
  // A class is the whole mesh's: only the root namespace may bind policies to it.
  const ofClass = `GatewayClass/${rootNamespace}/${waypoint.className}`;
  return [own, `Gateway/${waypoint.key}`, ofClass];
}
