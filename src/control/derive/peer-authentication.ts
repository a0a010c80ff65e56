/**
 * PeerAuthentication as DENY policies on a missing principal (Istio: architecture/ambient/peer-authentication.md).
 * PERMISSIVE needs none; DISABLE counts as PERMISSIVE, because the node proxy cannot refuse HBONE.
 */

import type { ConfigObject, ObjectIdentity } from '#config/compile/istio-kinds.ts';
import { byAge, identityOf } from '#config/compile/istio-kinds.ts';
import { portProblem } from '#config/compile/names.ts';
import type { Authorization, AuthorizationMatch } from '#model/authorization/authorization.ts';
import { NO_MATCH } from '#model/authorization/authorization.ts';
import { selectsAll } from './mesh.ts';

type Mode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface PeerAuthenticationSpec {
  selector?: { matchLabels?: Record<string, string> };
  mtls?: { mode?: string };
  portLevelMtls?: Record<string, { mode?: string }>;
}
export type PeerAuthenticationObject = ConfigObject<PeerAuthenticationSpec>;

export const STATIC_STRICT_NAME = 'istio_converted_static_strict';
const CONVERTED_PREFIX = 'converted_peer_authentication_';
const NO_PRINCIPAL: AuthorizationMatch = { ...NO_MATCH, notPrincipals: [{ kind: 'presence' }] };

/** Published as soon as the cluster has any PeerAuthentication; in force where a workload names it. */
export function staticStrict(rootNamespace: string): Authorization {
  return deny(rootNamespace, STATIC_STRICT_NAME, [{ clauses: [[NO_PRINCIPAL]] }]);
}

/**
 * The policy that a workload-level PeerAuthentication with port settings becomes; undefined when its ports change
 * nothing. `others` are all PeerAuthentications of its namespace and of the root namespace.
 */
export function convertPeerAuthentication(
  object: PeerAuthenticationObject,
  others: readonly PeerAuthenticationObject[],
  rootNamespace: string,
): Authorization | undefined {
  const { namespace, name } = identityOf(object);
  if (namespace === rootNamespace || !hasSelector(object)) return undefined;
  const inherited = parentMode(others, { namespace, rootNamespace });
  const plan = portPlan(object, inherited);
  if (plan === undefined) return undefined;
  const rules = plan.strict
    ? [
        {
          clauses: [
            [NO_PRINCIPAL],
            ...plan.ports.map((port) => [{ ...NO_MATCH, notDestinationPorts: [port] }]),
          ],
        },
      ]
    : plan.ports.map((port) => ({ clauses: [[{ ...NO_PRINCIPAL, destinationPorts: [port] }]] }));
  return deny(namespace, CONVERTED_PREFIX + name, rules);
}

/** Keys of the converted policies that are in force for a workload. */
export function peerAuthenticationKeys(
  workload: { namespace: string; labels: Readonly<Record<string, string>> | undefined },
  objects: readonly PeerAuthenticationObject[],
  rootNamespace: string,
): string[] {
  const { namespace, labels } = workload;
  const inherited = parentMode(objects, { namespace, rootNamespace });
  const own = oldest(
    objects.filter(
      (object) =>
        identityOf(object).namespace === namespace &&
        namespace !== rootNamespace &&
        selectsAll(object.spec?.selector?.matchLabels, labels),
    ),
  );
  const mode = own === undefined ? 'UNSET' : modeOf(own.spec?.mtls);
  const strict = (mode === 'UNSET' ? inherited : mode) === 'STRICT';
  const plan = own && portPlan(own, inherited);
  const keys: string[] = [];
  // A policy that is strict except for some ports stands in for the static one.
  if (strict && plan?.strict !== true) keys.push(`${rootNamespace}/${STATIC_STRICT_NAME}`);
  if (own !== undefined && plan !== undefined)
    keys.push(`${namespace}/${CONVERTED_PREFIX}${own.metadata.name}`);
  return keys;
}

/** `strict`: strict but for `ports`. Otherwise: only `ports` are strict. */
function portPlan(
  object: PeerAuthenticationObject,
  inherited: Mode,
): { strict: boolean; ports: number[] } | undefined {
  const own = modeOf(object.spec?.mtls);
  const strict = (own === 'UNSET' ? inherited : own) === 'STRICT';
  // As Istio does: under an inherited STRICT only PERMISSIVE opens a port.
  const opening: Mode[] = own === 'UNSET' ? ['PERMISSIVE'] : ['PERMISSIVE', 'DISABLE'];
  const wanted: Mode[] = strict ? opening : ['STRICT'];
  const ports = Object.entries(object.spec?.portLevelMtls ?? {})
    .filter(([, settings]) => wanted.includes(modeOf(settings)))
    .map(([port]) => Number(port))
    // Definitions of some age let any word in.
    .filter((port) => portProblem(port) === undefined)
    .sort((left, right) => left - right);
  return ports.length === 0 ? undefined : { strict, ports };
}

/** Mode of the namespace, else of the mesh; PERMISSIVE when neither says anything. */
function parentMode(
  objects: readonly PeerAuthenticationObject[],
  scope: { namespace: string; rootNamespace: string },
): Mode {
  const whole = (namespace: string) =>
    oldest(
      objects.filter(
        (object) => identityOf(object).namespace === namespace && !hasSelector(object),
      ),
    );
  for (const namespace of [scope.namespace, scope.rootNamespace]) {
    const mode = modeOf(whole(namespace)?.spec?.mtls);
    if (mode !== 'UNSET') return mode;
  }
  return 'PERMISSIVE';
}

function oldest<T extends PeerAuthenticationObject>(objects: readonly T[]): T | undefined {
  const aged = objects.map((object): [ObjectIdentity, T] => [identityOf(object), object]);
  return aged.sort(([left], [right]) => byAge(left, right))[0]?.[1];
}

function hasSelector(object: PeerAuthenticationObject): boolean {
  return Object.keys(object.spec?.selector?.matchLabels ?? {}).length > 0;
}

function modeOf(settings: { mode?: string } | undefined): Mode {
  const mode = settings?.mode;
  return mode === 'STRICT' || mode === 'PERMISSIVE' || mode === 'DISABLE' ? mode : 'UNSET';
}

function deny(namespace: string, name: string, rules: Authorization['rules']): Authorization {
  return { name, namespace, scope: 'workload-selector', action: 'deny', rules, dryRun: false };
}
