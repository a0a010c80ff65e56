/** L4 policy and mutual TLS at a destination workload, with every policy that was looked at. */
import { byAge, identityOf } from '#config/compile/istio-kinds.ts';
import { namespaceOf, selectsAll } from '#control/derive/mesh.ts';
import type { PeerAuthenticationObject } from '#control/derive/peer-authentication.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import { NEEDS_WAYPOINT_PREFIX } from '#model/authorization/authorization.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { accessVerdict } from '#node/inbound/decide.ts';
import { evaluateL4 } from '#policy/l4/evaluate-l4.ts';
import type { Labels } from './assumed-objects.ts';
import type { WhyAnswer, WhyPolicy } from './contract.ts';
import type { World } from './world.ts';

export interface Access {
  readonly allow: boolean;
  readonly reason: string;
  readonly policies: readonly WhyPolicy[];
}

export interface AccessRequest {
  readonly local: Workload;
  readonly sourceIp: string;
  readonly principal: Principal | undefined;
  readonly address: string;
  readonly port: number;
}

/** What the node proxy of the workload decides. */
export function accessAt(world: World, request: AccessRequest): Access {
  const snapshot = world.snapshot();
  const { local, sourceIp, principal, address, port } = request;
  const { allow, reason, dryRun } = accessVerdict(snapshot, {
    local,
    sourceIp,
    sourcePrincipal: principal,
    upstream: { address, port },
  });
  const connection = {
    sourceIp,
    sourcePrincipal: principal,
    destinationIp: address,
    destinationPort: port,
  };
  const policies = snapshot
    .authorizationsOf(local)
    .map((policy) => judged(world, policy, connection));
  return { allow, reason: [reason, ...dryRun].join('; '), policies };
}

function judged(
  world: World,
  policy: Authorization,
  connection: Parameters<typeof evaluateL4>[1],
): WhyPolicy {
  const live = { ...policy, dryRun: false };
  const takes = (candidate: Authorization) => {
    const { allow, policy: by } = evaluateL4([candidate], connection);
    return candidate.action === 'deny' ? !allow : allow && by !== undefined;
  };
  const matched = takes(live);
  const at = policy.rules.findIndex((rule) => takes({ ...live, rules: [rule] }));
  const { kind, namespace, name } = originOf(world, policy);
  const suffix = policy.dryRun ? ' (dry run: it decides nothing)' : '';
  const verb = matched ? 'matches' : 'does not match';
  const isOwn = kind === 'AuthorizationPolicy';
  const rules = isOwn
    ? world.mesh.sources.authorizationPolicies.get(`${namespace}/${name}`)?.spec?.rules
    : undefined;
  return {
    kind,
    namespace,
    name,
    ...(at !== -1 && rules?.length === policy.rules.length && { rule: at }),
    action: policy.action.toUpperCase(),
    matched,
    reason: `${what(policy)} ${verb} the connection${suffix}`,
  };
}

function what(policy: Authorization): string {
  if (policy.name.startsWith(NEEDS_WAYPOINT_PREFIX))
    return 'what only a waypoint can judge of it, denied where none did,';
  return policy.action === 'deny' && isConverted(policy) ? 'mutual TLS is demanded: this' : 'it';
}

const CONVERTED = 'converted_peer_authentication_';
const STATIC_STRICT = 'istio_converted_static_strict';

function isConverted({ name }: Authorization): boolean {
  return name === STATIC_STRICT || name.startsWith(CONVERTED);
}

function originOf(
  world: World,
  { namespace, name }: Authorization,
): { kind: string; namespace: string; name: string } {
  if (name.startsWith(CONVERTED))
    return { kind: 'PeerAuthentication', namespace, name: name.slice(CONVERTED.length) };
  if (name === STATIC_STRICT) {
    const strict = [...world.mesh.sources.peerAuthentications.entries()].find(
      ([, { spec }]) => spec?.mtls?.mode === 'STRICT',
    )?.[1].metadata;
    return {
      kind: 'PeerAuthentication',
      namespace: strict?.namespace ?? namespace,
      name: strict?.name ?? name,
    };
  }
  const own = name.startsWith(NEEDS_WAYPOINT_PREFIX)
    ? name.slice(NEEDS_WAYPOINT_PREFIX.length)
    : name;
  return { kind: 'AuthorizationPolicy', namespace, name: own };
}

export type ServerMode = WhyAnswer['mtls']['server'];

/** PeerAuthentication in force: the port's, the workload's, the namespace's, the mesh's (Istio: policy_applier.go). */
export function serverMode(
  world: World,
  workload: { namespace: string; labels: Labels },
  port: number,
): ServerMode {
  const { rootNamespace } = world.settings;
  const all = [...world.mesh.sources.peerAuthentications.entries()].map(([, object]) => object);
  const first = (namespace: string, wanted: (object: PeerAuthenticationObject) => boolean) =>
    all
      .filter((object) => namespaceOf(object) === namespace && wanted(object))
      .sort((left, right) => byAge(identityOf(left), identityOf(right)))[0];
  const selectorOf = ({ spec }: PeerAuthenticationObject) => spec?.selector?.matchLabels ?? {};
  const isWhole = (object: PeerAuthenticationObject) =>
    Object.keys(selectorOf(object)).length === 0;
  const own =
    workload.namespace === rootNamespace
      ? undefined
      : first(workload.namespace, (each) => selectsAll(selectorOf(each), workload.labels));
  const modes = [
    own?.spec?.portLevelMtls?.[String(port)]?.mode,
    own?.spec?.mtls?.mode,
    first(workload.namespace, isWhole)?.spec?.mtls?.mode,
    first(rootNamespace, isWhole)?.spec?.mtls?.mode,
  ];
  const mode = modes.find((each) => each !== undefined && each !== 'UNSET');
  return mode === 'STRICT' || mode === 'DISABLE' ? mode : 'PERMISSIVE';
}
