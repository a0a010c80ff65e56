/**
 * Sidecars (networking.istio.io). Nothing in an ambient mesh acts on them: node proxies and waypoints see every service.
 * `why` asks here what a sidecar of Istio's would let its workload see (Istio: pilot/pkg/model/sidecar.go).
 */
import type { Provenance } from '#model/route/route-table.ts';
import type { Compiled } from './finding.ts';
import { Findings } from './finding.ts';
import type { SidecarObject, SidecarSpec } from './gateway-kinds.ts';
import { SIDECAR } from './gateway-shape.ts';
import { coversHost, narrowerHost, resolveHost } from './hosts.ts';
import type { ObjectIdentity } from './istio-kinds.ts';
import { byAge, identityOf } from './istio-kinds.ts';
import { readShape } from './shape.ts';
import type { PendingTarget } from './target.ts';
import { targetOf } from './target.ts';
import { checkSidecar } from './validate-sidecar.ts';

interface HostScope {
  /** `*`: every namespace. */
  readonly namespace: string;
  readonly host: string;
  readonly excluded: boolean;
}

interface EgressListener {
  /** Undefined: the ports that have no listener of their own. */
  readonly port: number | undefined;
  readonly hosts: readonly HostScope[];
}

export interface CompiledSidecar extends ObjectIdentity {
  /** Of the workloads; none = all of the namespace. */
  readonly labels: Readonly<Record<string, string>>;
  readonly egress: readonly EgressListener[];
  /** Undefined: the mesh's. */
  readonly outbound: OutboundMode | undefined;
  readonly egressProxy: PendingTarget | undefined;
}

/** What becomes of traffic to what the registry does not have. */
export type OutboundMode = 'allow-any' | 'registry-only';

const EVERYTHING: readonly EgressListener[] = [
  { port: undefined, hosts: [{ namespace: '*', host: '*', excluded: false }] },
];

export function compileSidecar(
  object: SidecarObject,
  options: { readonly domain: string },
): Compiled<CompiledSidecar> {
  const identity = identityOf(object);
  const findings = new Findings('Sidecar', identity);
  const spec = (readShape(object.spec ?? {}, SIDECAR, 'spec', findings) ?? {}) as SidecarSpec;
  if (!findings.failed) checkSidecar(spec, findings);
  if (findings.failed) return { value: undefined, findings: findings.list };
  findings.ineffective(
    'spec',
    'ambient workloads have no sidecar: nothing acts on it but tulle why --mode sidecar',
    { level: 'info', hint: 'use a waypoint and AuthorizationPolicy to limit what is reached' },
  );
  const value = compileSpec(spec, identity, options.domain);
  return { value, findings: findings.list };
}

function compileSpec(spec: SidecarSpec, identity: ObjectIdentity, domain: string): CompiledSidecar {
  const { namespace } = identity;
  const policy = spec.outboundTrafficPolicy;
  const proxy = policy?.egressProxy;
  const egress = (spec.egress ?? []).flatMap((listener) => {
    const hosts = (listener?.hosts ?? []).map((text) => hostScope(text, namespace));
    return listener === null ? [] : [{ port: listener.port?.number || undefined, hosts }];
  });
  const full = proxy && { ...proxy, host: resolveHost(proxy.host ?? '', { namespace, domain }) };
  return {
    ...identity,
    labels: spec.workloadSelector?.labels ?? {},
    egress: egress.length > 0 ? egress : EVERYTHING,
    // Protobuf's zero value is REGISTRY_ONLY: a policy without a mode is strict.
    outbound: policy && (policy.mode === 'ALLOW_ANY' ? 'allow-any' : 'registry-only'),
    egressProxy: full && targetOf(full, 'spec.outboundTrafficPolicy.egressProxy'),
  };
}

/** `namespace/host`; `.` is the Sidecar's namespace. A `~` before it leaves out: `~/host` of every namespace, `~/*` all. */
function hostScope(text: string, own: string): HostScope {
  const slash = text.indexOf('/');
  const scope = text.slice(0, slash);
  const host = text.slice(slash + 1).toLowerCase();
  const excluded = scope.startsWith('~');
  const namespace = excluded ? scope.slice(1) || '*' : scope;
  return { namespace: namespace === '.' ? own : namespace, host, excluded };
}

export interface SidecarScopeInput {
  readonly client: {
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly sidecars: Iterable<CompiledSidecar>;
  readonly rootNamespace: string;
  /** meshConfig.outboundTrafficPolicy; undefined = ALLOW_ANY. */
  readonly meshOutbound?: OutboundMode;
}

export interface SidecarScope {
  /** The Sidecar in force; undefined: none, everything is seen. */
  readonly provenance: Provenance | undefined;
  readonly outbound: OutboundMode;
  /** Takes what the registry does not have, where `outbound` allows it. */
  readonly egressProxy: PendingTarget | undefined;
  /** Whether the workload's proxy knows a service, on a port of it. */
  seesService(service: { namespace: string; hostname: string }, port: number): ScopeVerdict;
  /** Whether it knows a VirtualService, by its hosts. */
  seesVirtualService(
    object: { namespace: string; hosts: readonly string[] },
    port: number,
  ): ScopeVerdict;
}

export interface ScopeVerdict {
  readonly visible: boolean;
  readonly reason: string;
}

export function sidecarScope(input: SidecarScopeInput): SidecarScope {
  const sidecar = chooseSidecar(input);
  const listeners = sidecar?.egress ?? EVERYTHING;
  const where = sidecar ? `Sidecar ${sidecar.namespace}/${sidecar.name}` : 'no Sidecar';
  const judge = (port: number, fits: (scope: HostScope) => boolean): ScopeVerdict => {
    const listener =
      listeners.find((each) => each.port === port) ??
      listeners.find((each) => each.port === undefined);
    if (listener === undefined)
      return { visible: false, reason: `${where} has no egress listener for port ${port}` };
    const excluding = listener.hosts.find((scope) => scope.excluded && fits(scope));
    if (excluding) return { visible: false, reason: `${where} leaves out ${written(excluding)}` };
    const including = listener.hosts.find((scope) => !scope.excluded && fits(scope));
    if (including === undefined)
      return { visible: false, reason: `no egress host of ${where} covers it` };
    return {
      visible: true,
      reason: sidecar ? `${where} has egress host ${written(including)}` : 'no Sidecar limits it',
    };
  };
  return {
    provenance: sidecar && {
      kind: 'Sidecar',
      namespace: sidecar.namespace,
      name: sidecar.name,
    },
    outbound: sidecar?.outbound ?? input.meshOutbound ?? 'allow-any',
    egressProxy: sidecar?.egressProxy,
    seesService: ({ namespace, hostname }, port) =>
      judge(port, (scope) => covers(scope, namespace) && coversHost(scope.host, hostname)),
    seesVirtualService: ({ namespace, hosts }, port) =>
      judge(
        port,
        (scope) => covers(scope, namespace) && hosts.some((host) => fitsHost(scope, host)),
      ),
  };
}

/** As Istio: a wildcard of either side fits where it is imported, but only what is covered whole is left out. */
function fitsHost(scope: HostScope, host: string): boolean {
  if (scope.excluded) return coversHost(scope.host, host);
  return narrowerHost(scope.host, host) !== undefined;
}

function covers(scope: HostScope, namespace: string): boolean {
  return scope.namespace === '*' || scope.namespace === namespace;
}

function written({ namespace, host, excluded }: HostScope): string {
  return `${excluded ? '~' : ''}${namespace}/${host}`;
}

/** The oldest that selects the workload, else the namespace's, else the root namespace's. */
function chooseSidecar(input: SidecarScopeInput): CompiledSidecar | undefined {
  const { client, rootNamespace } = input;
  const sorted = [...input.sidecars].sort(byAge);
  const own = sorted.filter(({ namespace }) => namespace === client.namespace);
  const isGeneral = ({ labels }: CompiledSidecar) => Object.keys(labels).length === 0;
  const selecting = own.find(
    (each) =>
      !isGeneral(each) &&
      Object.entries(each.labels).every(([key, value]) => client.labels[key] === value),
  );
  return (
    selecting ??
    own.find(isGeneral) ??
    sorted.find((each) => each.namespace === rootNamespace && isGeneral(each))
  );
}
