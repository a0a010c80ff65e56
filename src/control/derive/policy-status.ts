/**
 * What the status of a policy says: Istio's own conditions (ZtunnelAccepted, WaypointAccepted), and in
 * `tulle.dev/Enforced` who enforces it and what becomes of the traffic that nobody can judge. Pure.
 */
import type { Finding } from '#config/compile/finding.ts';
import { FINDING } from '#config/compile/finding.ts';
import type { DerivedPolicy } from './authorization.ts';
import type { PeerAuthenticationObject } from './peer-authentication.ts';
import type { BoundPolicy } from './request-authentication.ts';
import { bindAuthorization } from './request-authentication.ts';

export interface PolicyCondition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export const ENFORCED = 'tulle.dev/Enforced';
const AT_NODES = 'ZtunnelAccepted';
const AT_WAYPOINTS = 'WaypointAccepted';
export const POLICY_CONDITIONS: readonly string[] = [ENFORCED, AT_NODES, AT_WAYPOINTS];

type Say = (status: 'True' | 'False', reason: string, message: string) => PolicyCondition;
const condition =
  (type: string): Say =>
  (status, reason, message) => ({ type, status, reason, message });
const atNodes = condition(AT_NODES);
const atWaypoints = condition(AT_WAYPOINTS);
const enforced = condition(ENFORCED);

/** How things stand with one target of a policy. */
export interface TargetState {
  /** As in policy-target.ts. */
  readonly target: string;
  /** `missing`: there is no such object. `unserved`: a service without a waypoint. */
  readonly state: 'missing' | 'unserved' | 'served';
}

const IGNORED = `is ignored, as tulle.dev/unenforced-policy or the mesh says`;
const REFUSED = 'waypoints and gateways cannot judge by it and refuse its traffic (403)';
const AT_GATEWAYS = 'enforced by gateways';

/** `policy` is what is in force; undefined when nothing is. */
export function authorizationConditions(
  policy: DerivedPolicy | undefined,
  findings: readonly Finding[],
  targets: readonly TargetState[],
): PolicyCondition[] {
  const broken = findings.filter(({ level }) => level === 'error');
  if (policy === undefined || broken.length > 0) return unreadable(broken);
  if (policy.targets.length > 0) return bindings(bindAuthorization(policy), targets);
  const { action, http } = policy;
  if (action === 'AUDIT' || action === 'CUSTOM')
    return [
      atNodes('False', 'UnsupportedValue', `node proxies have no ${action} action`),
      action === 'AUDIT'
        ? enforced('False', 'NotLogged', 'AUDIT decides nothing; this version writes no audit log')
        : withoutWaypoint(policy, 'nothing but a waypoint can ask the provider of a CUSTOM action'),
    ];
  if (http.length === 0)
    return [atNodes('True', 'Accepted', 'bound to node proxies'), whole(policy)];
  const effect =
    action === 'ALLOW' ? 'its rules that have them allow nothing' : deniedOrIgnored(policy);
  const seen = `node proxies see no HTTP (found: ${http.join(', ')}): ${effect}`;
  return [
    atNodes('True', 'UnsupportedValue', seen),
    action === 'ALLOW'
      ? enforced('True', 'MoreRestrictive', `${seen}; for the rest bind the policy to a waypoint`)
      : withoutWaypoint(
          policy,
          `its HTTP conditions (${http.join(', ')}) are seen by waypoints only`,
        ),
  ];
}

function whole({ dryRun }: DerivedPolicy): PolicyCondition {
  return dryRun
    ? enforced('False', 'DryRun', 'a dry run decides nothing; node proxies log what it matches')
    : enforced('True', 'NodeProxies', 'enforced by node proxies');
}

function deniedOrIgnored({ unenforced }: DerivedPolicy): string {
  return unenforced === 'ignore'
    ? `what they are about ${IGNORED}`
    : 'they count as met, and more is denied';
}

function withoutWaypoint(policy: DerivedPolicy, why: string): PolicyCondition {
  if (policy.dryRun) return whole(policy);
  return policy.unenforced === 'ignore'
    ? enforced('False', 'Ignored', `${why}; that part ${IGNORED}`)
    : enforced(
        'True',
        'DeniesUnjudged',
        `${why}: connections that it may be about are denied. Bind the policy to a waypoint (targetRefs; tulle waypoint apply -n ${policy.namespace}), or annotate it with tulle.dev/unenforced-policy=ignore`,
      );
}

function unreadable(findings: readonly Finding[]): PolicyCondition[] {
  const [first] = findings;
  const what = first === undefined ? 'it cannot be read' : `${first.path}: ${first.message}`;
  const message = `${what}; the last good form stays in force, or more is denied`;
  return [atNodes('False', 'Invalid', what), enforced('False', 'Invalid', message)];
}

function bindings(
  bound: BoundPolicy | undefined,
  targets: readonly TargetState[],
): PolicyCondition[] {
  const demanding = bound?.demanding === true;
  const named = (state: TargetState['state']) =>
    targets.filter((each) => each.state === state).map(({ target }) => target);
  const missing = named('missing');
  const unserved = named('unserved');
  const served = named('served');
  const parts: string[] = [];
  if (missing.length > 0) parts.push(`not found: ${missing.join(', ')}`);
  if (unserved.length > 0)
    parts.push(`without a waypoint, so its traffic waits for one: ${unserved.join(', ')}`);
  if (served.length > 0) parts.push(`bound: ${served.join(', ')}`);
  const message = parts.join('; ');
  if (served.length === 0) {
    const reason = unserved.length > 0 ? 'AncestorNotBound' : 'TargetNotFound';
    return [
      atWaypoints('False', reason, message),
      unserved.length > 0 && demanding
        ? enforced('True', 'RefusesUnjudged', message)
        : enforced('False', reason, message),
    ];
  }
  if (!demanding)
    return [
      atWaypoints('True', 'Accepted', message),
      enforced('False', 'DecidesNothing', 'it has no rule, only audits, or is a dry run'),
    ];
  if (bound?.unjudgeable === undefined)
    return [
      atWaypoints('True', 'Accepted', message),
      enforced('True', 'Waypoints', 'enforced by waypoints and gateways'),
    ];
  const refused = `${REFUSED}: ${bound.unjudgeable}`;
  return [
    atWaypoints('False', 'UnsupportedValue', `${message}; ${refused}`),
    enforced('True', 'RefusesUnjudged', refused),
  ];
}

export function peerAuthenticationConditions(
  object: PeerAuthenticationObject,
  rootNamespace: string,
): PolicyCondition[] {
  const { mtls, selector, portLevelMtls = {} } = object.spec ?? {};
  const selects = Object.keys(selector?.matchLabels ?? {}).length > 0;
  if (selects && object.metadata.namespace === rootNamespace) {
    const message = `a selector in the namespace ${rootNamespace} selects nothing, as in Istio`;
    return [atNodes('False', 'UnsupportedValue', message), enforced('False', 'Ignored', message)];
  }
  const notes: string[] = [];
  if (!selects && Object.keys(portLevelMtls).length > 0)
    notes.push('portLevelMtls without a selector is ignored');
  const modes = [mtls, ...Object.values(portLevelMtls)].map((each) => each?.mode);
  if (modes.includes('DISABLE'))
    notes.push('DISABLE counts as PERMISSIVE: node proxies never refuse mutual TLS');
  const reason = notes.length > 0 ? 'UnsupportedValue' : 'Accepted';
  const message = notes.length > 0 ? notes.join('; ') : 'bound to node proxies';
  return [
    atNodes('True', reason, message),
    enforced('True', 'NodeProxies', 'enforced by node proxies'),
  ];
}

/** `bound`: undefined when it has no rule. */
export function requestAuthenticationConditions(
  bound: BoundPolicy | undefined,
  targets: readonly TargetState[],
): PolicyCondition[] {
  if (targets.length > 0) return bindings(bound, targets);
  const message = 'node proxies see no tokens: bind it to a waypoint with targetRefs';
  return [
    atNodes('False', 'UnsupportedValue', message),
    enforced('False', 'NeedsWaypoint', message),
  ];
}

/** Of tokens that fail because their keys are not here. */
export function withMissingKeys(
  conditions: readonly PolicyCondition[],
  keysMissing: string | undefined,
): PolicyCondition[] {
  return conditions.map((each) => {
    const isEnforced = each.type === ENFORCED && each.status === 'True';
    if (keysMissing === undefined || !isEnforced) return each;
    return enforced('True', 'KeysMissing', `${each.message}; ${keysMissing}`);
  });
}

/** Pods of gateways, as `namespace/name`. */
export interface GatewaysOf {
  /** They cannot judge by the policy. */
  readonly refusing: readonly string[];
  readonly judging: readonly string[];
}

/** Of a policy without targets that selects pods of gateways as well. */
export function withGateways(
  conditions: readonly PolicyCondition[],
  { refusing, judging }: GatewaysOf,
): PolicyCondition[] {
  if (refusing.length + judging.length === 0) return [...conditions];
  const own = conditions.find(({ type }) => type === ENFORCED);
  const others = conditions.filter(({ type }) => type !== ENFORCED && type !== AT_WAYPOINTS);
  const saying = (text: string) => (own === undefined ? text : `${own.message}; ${text}`);
  if (refusing.length > 0) {
    const refused = `${REFUSED}: ${refusing.join(', ')}`;
    return [
      ...others,
      atWaypoints('False', 'UnsupportedValue', refused),
      enforced('True', 'RefusesUnjudged', saying(refused)),
    ];
  }
  const judged = `${AT_GATEWAYS}: ${judging.join(', ')}`;
  // Tokens are seen by gateways alone.
  const reason = own === undefined || own.reason === 'NeedsWaypoint' ? 'Gateways' : own.reason;
  const status = reason === 'Gateways' ? 'True' : (own?.status ?? 'True');
  return [
    ...others,
    atWaypoints('True', 'Accepted', judged),
    enforced(status, reason, saying(judged)),
  ];
}

/** Reasons that need no finding; unreadable values have one of their own. */
const WHOLLY_ENFORCED = ['NodeProxies', 'Waypoints', 'Invalid'];

/** What `tulle status` lists: policies that are enforced otherwise than they are written, or not at all. */
export function policyFindings(
  resource: string,
  conditions: readonly PolicyCondition[],
): Finding[] {
  return conditions
    .filter(({ type, reason }) => type === ENFORCED && !WHOLLY_ENFORCED.includes(reason))
    .map(({ reason, message }) => ({
      code: FINDING.ineffective,
      level: reason === 'DryRun' || reason === 'DecidesNothing' ? 'info' : 'warning',
      resource,
      path: 'spec',
      message,
      hint: `kubectl get the object with -o yaml: its condition ${ENFORCED} says ${reason}`,
    }));
}
