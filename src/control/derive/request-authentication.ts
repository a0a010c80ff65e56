/** RequestAuthentications that are bound to a waypoint. Those with a selector bind no proxy of this mesh: nothing at L4 sees a token. */
import type { ConfigObject } from '#config/compile/istio-kinds.ts';
import { identityOf } from '#config/compile/istio-kinds.ts';
import type { UnenforcedPolicy } from './authorization.ts';
import { unenforcedOf } from './authorization.ts';
import type { TargetRefSpec } from './policy-target.ts';
import { targetsOf } from './policy-target.ts';

export interface RequestAuthenticationSpec {
  selector?: { matchLabels?: Record<string, string> };
  targetRef?: TargetRefSpec;
  targetRefs?: TargetRefSpec[];
  jwtRules?: object[];
}
export type RequestAuthenticationObject = ConfigObject<RequestAuthenticationSpec>;

/** A policy that a waypoint has to judge by. */
export interface BoundPolicy {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Keys as in policy-target.ts. */
  readonly targets: readonly string[];
  readonly unenforced: UnenforcedPolicy;
}

export function bindRequestAuthentication(
  object: RequestAuthenticationObject,
  mesh: UnenforcedPolicy,
): BoundPolicy | undefined {
  const { namespace, name } = identityOf(object);
  const spec = object.spec ?? {};
  const targets = targetsOf(spec, namespace);
  if (targets.length === 0 || !spec.jwtRules?.length) return undefined;
  const unenforced = unenforcedOf(object, mesh);
  return { kind: 'RequestAuthentication', namespace, name, targets, unenforced };
}
