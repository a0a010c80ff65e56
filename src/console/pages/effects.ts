/** What an object of configuration does, in one line. Pure; what does not fit its kind is passed over. */
import type { ConfigView } from '../mesh-view.ts';

type Spec = Readonly<Record<string, unknown>>;

export function effectOf(object: Pick<ConfigView, 'kind' | 'object'>): string {
  const spec = asObject(object.object.spec);
  return (EFFECTS[object.kind]?.(spec) ?? '').slice(0, 200);
}

const EFFECTS: Readonly<Record<string, (spec: Spec) => string>> = {
  PeerAuthentication: (spec) => {
    const ports = Object.entries(asObject(spec.portLevelMtls)).map(
      ([port, each]) => `${port}: ${text(asObject(each).mode)}`,
    );
    return [`mutual TLS ${text(asObject(spec.mtls).mode) || 'as inherited'}`, ...ports].join(', ');
  },
  RequestAuthentication: (spec) => {
    const issuers = list(spec.jwtRules).map((rule) => text(asObject(rule).issuer));
    return issuers.length === 0
      ? 'takes tokens of nobody'
      : `takes tokens of ${issuers.join(', ')}`;
  },
  AuthorizationPolicy: (spec) => {
    const rules = list(spec.rules).length;
    const action = text(spec.action) || 'ALLOW';
    if (rules === 0)
      return action === 'ALLOW'
        ? 'ALLOW without rules: nothing is allowed by it'
        : `${action} without rules: never matches`;
    return `${action} by ${counted(rules, 'rule')}`;
  },
  VirtualService: (spec) => {
    const rules = ['http', 'tls', 'tcp'].flatMap((name) => list(spec[name]));
    return joined(
      `${counted(rules.length, 'rule')} for ${list(spec.hosts).map(text).join(', ')}`,
      features(rules),
    );
  },
  HTTPRoute: (spec) => routeEffect(spec),
  GRPCRoute: (spec) => routeEffect(spec),
  TCPRoute: (spec) => routeEffect(spec),
  TLSRoute: (spec) => routeEffect(spec),
  DestinationRule: (spec) => {
    const policy = asObject(spec.trafficPolicy);
    const parts = ['loadBalancer', 'connectionPool', 'outlierDetection', 'tls'].filter(
      (name) => policy[name] !== undefined,
    );
    const subsets = list(spec.subsets).map((each) => text(asObject(each).name));
    return joined(`for ${text(spec.host)}`, [
      ...(subsets.length > 0 ? [`subsets ${subsets.join(', ')}`] : []),
      ...parts.map((name) => WORDS[name] ?? name),
    ]);
  },
  ServiceEntry: (spec) =>
    `${list(spec.hosts).map(text).join(', ')} ${text(spec.location) === 'MESH_INTERNAL' ? 'inside' : 'outside'} the mesh, ${text(spec.resolution) || 'NONE'}`,
  WorkloadEntry: (spec) => `endpoint ${text(spec.address)}`,
  Gateway: (spec) => {
    const className = text(spec.gatewayClassName);
    const listeners = list(spec.listeners).map(
      (each) => `${text(asObject(each).protocol)} ${text(asObject(each).port)}`,
    );
    const servers = list(spec.servers).map((each) => {
      const port = asObject(asObject(each).port);
      return `${text(port.protocol)} ${text(port.number)}`;
    });
    return joined(className === '' ? 'Istio gateway' : className, [...listeners, ...servers]);
  },
  ListenerSet: (spec) =>
    `${counted(list(spec.listeners).length, 'listener')} of ${text(asObject(spec.parentRef).name)}`,
  GatewayClass: (spec) => `by ${text(spec.controllerName)}`,
  ReferenceGrant: (spec) =>
    `lets ${list(spec.from)
      .map((each) => `${text(asObject(each).kind)} of ${text(asObject(each).namespace)}`)
      .join(', ')} name ${list(spec.to)
      .map((each) => text(asObject(each).kind))
      .join(', ')}`,
  BackendTLSPolicy: (spec) =>
    `TLS to ${text(asObject(spec.validation).hostname) || 'its backends'}`,
  Telemetry: (spec) => {
    const parts = ['metrics', 'tracing', 'accessLogging'].filter(
      (name) => list(spec[name]).length > 0,
    );
    return parts.length === 0
      ? 'says nothing'
      : `shapes ${parts.map((name) => WORDS[name] ?? name).join(', ')}`;
  },
  LocalRateLimit: (spec) =>
    `${counted(Math.max(1, list(spec.limits).length), 'limit')} of requests a proxy`,
  LoadShedding: () => 'refuses what is beyond its capacity',
  Sidecar: () => 'no effect: this mesh has no sidecars',
};

const WORDS: Readonly<Record<string, string>> = {
  loadBalancer: 'load balancing',
  connectionPool: 'connection limits',
  outlierDetection: 'outlier ejection',
  tls: 'TLS settings',
  accessLogging: 'access logs',
};

function routeEffect(spec: Spec): string {
  const rules = list(spec.rules);
  const parents = list(spec.parentRefs).map((each) => text(asObject(each).name));
  return joined(
    `${counted(rules.length, 'rule')} at ${parents.join(', ') || 'no parent'}`,
    features(rules),
  );
}

/** What rules of either API do besides sending on. */
function features(rules: readonly unknown[]): string[] {
  const found = new Set<string>();
  for (const each of rules) {
    const rule = asObject(each);
    const destinations = [...list(rule.route), ...list(rule.backendRefs)].map(asObject);
    const weights = destinations.map(({ weight }) => Number(weight ?? 1));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    if (destinations.length > 1 && sum > 0)
      found.add(`split ${weights.map((weight) => Math.round((weight / sum) * 100)).join(' : ')}`);
    const kinds = new Set(list(rule.filters).map((filter) => text(asObject(filter).type)));
    if (rule.timeout !== undefined || rule.timeouts !== undefined) found.add('timeout');
    if (rule.retries !== undefined || rule.retry !== undefined) found.add('retries');
    if (rule.fault !== undefined) found.add('faults');
    if (rule.mirror !== undefined || list(rule.mirrors).length > 0 || kinds.has('RequestMirror'))
      found.add('mirror');
    if (rule.redirect !== undefined || kinds.has('RequestRedirect')) found.add('redirect');
    if (rule.rewrite !== undefined || kinds.has('URLRewrite')) found.add('rewrite');
  }
  return [...found];
}

function joined(head: string, parts: readonly string[]): string {
  return parts.length === 0 ? head : `${head}: ${parts.join(', ')}`;
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

export function asObject(value: unknown): Spec {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Spec)
    : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
