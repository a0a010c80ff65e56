/**
 * BackendTLSPolicies: TLS that proxies originate to the ports of a service. Of several for one target the oldest is in
 * force; one for a port comes before one for the whole service. What cannot be honoured blocks the traffic
 * (validation.caCertificateRefs of the specification). Pure.
 */
import { NO_MATERIAL } from '#model/route/no-material.ts';
import type { UpstreamTls } from '#model/route/route-table.ts';
import type { Finding } from '../finding.ts';
import { Findings } from '../finding.ts';
import type { ObjectIdentity } from '../istio-kinds.ts';
import { identityOf } from '../istio-kinds.ts';
import type { Fault, StatusCondition } from './conditions.ts';
import { verdict } from './conditions.ts';
import type { BackendTlsPolicyObject } from './kinds.ts';
import { byAgeAndKey } from './listeners.ts';
import { ISTIO_GROUP } from './references.ts';
import type { DataObject } from './tls-material.ts';
import { materialName, rootsProblem } from './tls-material.ts';

export interface BackendTlsTarget {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly sectionName?: string;
}

export interface CompiledBackendTlsPolicy extends ObjectIdentity {
  readonly generation: number | undefined;
  readonly targets: readonly BackendTlsTarget[];
  readonly tls: UpstreamTls;
  readonly accepted?: Fault;
  readonly refs?: Fault;
  readonly note?: string;
  readonly findings: readonly Finding[];
}

export function compileBackendTlsPolicy(
  object: BackendTlsPolicyObject,
  configMap: (key: string) => DataObject | undefined,
): CompiledBackendTlsPolicy {
  const identity = identityOf(object);
  const { targetRefs = [], validation = {}, options = {} } = object.spec ?? {};
  const roots = compileRoots(validation, identity.namespace, configMap);
  const subjectAltNames = (validation.subjectAltNames ?? []).flatMap(
    ({ hostname, uri }) => hostname ?? uri ?? [],
  );
  const tls: UpstreamTls = {
    mode: 'simple',
    ...(validation.hostname && { sni: validation.hostname }),
    subjectAltNames,
    ...(roots.material !== undefined && { material: roots.material }),
    insecureSkipVerify: false,
  };
  const targets = targetRefs.map(({ group = '', ...rest }) => ({ group, ...rest }));
  const findings = new Findings('BackendTLSPolicy', identity);
  if (Object.keys(options).length > 0)
    findings.ineffective('spec.options', `no option is known: ${Object.keys(options).join(', ')}`);
  const { generation } = object.metadata;
  return { ...identity, generation, targets, tls, ...roots.told, findings: findings.list };
}

function compileRoots(
  validation: NonNullable<NonNullable<BackendTlsPolicyObject['spec']>['validation']>,
  namespace: string,
  configMap: (key: string) => DataObject | undefined,
): { material?: string; told: Pick<CompiledBackendTlsPolicy, 'accepted' | 'refs' | 'note'> } {
  const { wellKnownCACertificates: wellKnown, caCertificateRefs: refs = [] } = validation;
  if (wellKnown === 'System' && refs.length === 0) return { told: {} };
  if (wellKnown !== undefined || refs.length === 0) {
    const message =
      wellKnown === undefined
        ? 'it names no certificate authorities'
        : `wellKnownCACertificates ${wellKnown} is not System, or stands beside caCertificateRefs`;
    return { material: NO_MATERIAL, told: { accepted: { reason: 'Invalid', message } } };
  }
  const [{ group = '', kind, name }] = refs;
  const key = `${namespace}/${name}`;
  const invalid = (reason: string, message: string) => ({
    material: NO_MATERIAL,
    told: { refs: { reason, message }, accepted: { reason: 'NoValidCACertificate', message } },
  });
  if (group !== '' || kind !== 'ConfigMap')
    return invalid(
      'InvalidKind',
      `certificate authorities are read from ConfigMaps, not from ${group}/${kind}`,
    );
  const found = configMap(key);
  const problem = found === undefined ? 'does not exist' : rootsProblem(found, 'ConfigMap');
  if (problem !== undefined)
    return invalid('InvalidCACertificateRef', `ConfigMap ${key} ${problem}`);
  const note = refs.length > 1 ? 'only the first of caCertificateRefs is used' : undefined;
  return { material: materialName('ConfigMap', key), told: { ...(note && { note }) } };
}

/** A service with what policies may target of it: the object that it is of, and its ports' names. */
export interface TlsTargetService {
  readonly kind: 'Service' | 'ServiceEntry';
  readonly namespace: string;
  readonly name: string;
  readonly ports: readonly { readonly port: number; readonly name: string | undefined }[];
}

/** TLS by port; `policies` are those of the service's namespace, in any order. */
export function backendTls(
  service: TlsTargetService,
  policies: readonly CompiledBackendTlsPolicy[],
): ReadonlyMap<number, UpstreamTls> {
  const byPort = new Map<number, UpstreamTls>();
  const ordered = policies
    .filter((policy) => policy.namespace === service.namespace)
    .sort(byAgeAndKey);
  const targeted = (isWanted: (target: BackendTlsTarget) => boolean) =>
    ordered.find(({ targets }) =>
      targets.some((target) => isOf(target, service) && isWanted(target)),
    );
  const whole = targeted(({ sectionName }) => !sectionName);
  for (const { port, name } of service.ports) {
    const own =
      name === undefined ? undefined : targeted(({ sectionName }) => sectionName === name);
    const policy = own ?? whole;
    if (policy !== undefined) byPort.set(port, policy.tls);
  }
  return byPort;
}

function isOf(target: BackendTlsTarget, service: Pick<TlsTargetService, 'kind' | 'name'>): boolean {
  const group = service.kind === 'Service' ? '' : ISTIO_GROUP;
  return target.kind === service.kind && target.name === service.name && target.group === group;
}

/** `service` is what the target names; `others` are the policies of the namespace. */
export function targetConditions(
  policy: CompiledBackendTlsPolicy,
  target: BackendTlsTarget,
  from: {
    readonly service: TlsTargetService | undefined;
    readonly others: readonly CompiledBackendTlsPolicy[];
  },
): StatusCondition[] {
  const fault =
    targetFault(target, from.service) ?? conflictOf(policy, target, from.others) ?? policy.accepted;
  const note = policy.note === undefined ? '' : `; ${policy.note}`;
  const message = `Configuration is valid${note}`;
  return [
    verdict('Accepted', fault, { reason: 'Accepted', message }),
    verdict('ResolvedRefs', policy.refs, {
      reason: 'ResolvedRefs',
      message: 'Configuration is valid',
    }),
  ];
}

function targetFault(
  target: BackendTlsTarget,
  service: TlsTargetService | undefined,
): Fault | undefined {
  const { kind, name, sectionName } = target;
  if (service === undefined)
    return { reason: 'TargetNotFound', message: `${kind} ${name} does not exist` };
  if (!sectionName || service.ports.some((port) => port.name === sectionName)) return undefined;
  return { reason: 'TargetNotFound', message: `${kind} ${name} has no port named ${sectionName}` };
}

function conflictOf(
  policy: CompiledBackendTlsPolicy,
  target: BackendTlsTarget,
  others: readonly CompiledBackendTlsPolicy[],
): Fault | undefined {
  const isSame = (other: BackendTlsTarget) =>
    other.group === target.group &&
    other.kind === target.kind &&
    other.name === target.name &&
    (other.sectionName || '') === (target.sectionName || '');
  const older = others.find(
    (other) =>
      other.namespace === policy.namespace &&
      byAgeAndKey(other, policy) < 0 &&
      other.targets.some(isSame),
  );
  return (
    older && {
      reason: 'Conflicted',
      message: `BackendTLSPolicy ${older.namespace}/${older.name} is older and has the same target`,
    }
  );
}

export function backendTlsFindings(
  policy: CompiledBackendTlsPolicy,
  targets: readonly (readonly StatusCondition[])[],
): Finding[] {
  const findings = new Findings('BackendTLSPolicy', policy);
  const bad = new Map(
    targets
      .flat()
      .filter(({ status }) => status === 'False')
      .map((each) => [each.message, each]),
  );
  for (const { reason, message } of bad.values())
    findings.missing('spec', `${reason}: ${message}`, 'correct the policy, or what it names');
  return [...policy.findings, ...findings.list];
}
