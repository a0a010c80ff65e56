/**
 * One object, judged by itself with the functions that compile its kind: what is refused here would not be taken over from the API
 * either. What it says about other objects (a host that does not exist yet) is no reason to refuse it: they may come later.
 */
import { compileDestinationRule } from '#config/compile/destination-rule.ts';
import { type Finding, Findings } from '#config/compile/finding.ts';
import { compileIstioGateway } from '#config/compile/istio-gateway.ts';
import { type ConfigObject, identityOf } from '#config/compile/istio-kinds.ts';
import type { WorkloadEntrySpec } from '#config/compile/service-entry-kinds.ts';
import { compileSidecar } from '#config/compile/sidecar.ts';
import { judgeTelemetry } from '#config/compile/telemetry.ts';
import { compileLoadShedding, compileLocalRateLimit } from '#config/compile/tulle-kinds.ts';
import {
  checkAuthorizationPolicy,
  checkPeerAuthentication,
  checkRequestAuthentication,
} from '#config/compile/validate-security.ts';
import { checkWorkloadEntry, checkWorkloadGroup } from '#config/compile/validate-workload-entry.ts';
import { compileVirtualService } from '#config/compile/virtual-service.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { splitApiVersion } from '#kube/meta/api-version.ts';
import { checkedServiceEntry } from '../derive/service-entry.ts';

export interface JudgeOptions {
  /** Of the cluster: cluster.local. */
  readonly domain: string;
}

type Judge<T> = (object: T, options: JudgeOptions) => readonly Finding[];
type AnyJudge = Judge<ConfigObject<object>>;

/** By API group and kind. Versions of a group differ in their names only. */
const JUDGES: Readonly<Record<string, AnyJudge>> = {
  'networking.istio.io/VirtualService': asCompiled(compileVirtualService),
  'networking.istio.io/DestinationRule': asCompiled(compileDestinationRule),
  'networking.istio.io/ServiceEntry': asCompiled(checkedServiceEntry),
  'networking.istio.io/WorkloadEntry': asChecked(
    'WorkloadEntry',
    (spec: WorkloadEntrySpec, findings) =>
      checkWorkloadEntry(spec, 'spec', { findings, names: true }),
  ),
  'networking.istio.io/WorkloadGroup': asChecked('WorkloadGroup', checkWorkloadGroup),
  'networking.istio.io/Gateway': asCompiled(compileIstioGateway),
  'networking.istio.io/Sidecar': asCompiled(compileSidecar),
  'security.istio.io/AuthorizationPolicy': asChecked(
    'AuthorizationPolicy',
    checkAuthorizationPolicy,
  ),
  'security.istio.io/RequestAuthentication': asChecked(
    'RequestAuthentication',
    checkRequestAuthentication,
  ),
  'security.istio.io/PeerAuthentication': asChecked('PeerAuthentication', checkPeerAuthentication),
  'telemetry.istio.io/Telemetry': judgeTelemetry as AnyJudge,
  'tulle.dev/LocalRateLimit': asCompiled(compileLocalRateLimit),
  'tulle.dev/LoadShedding': asCompiled(compileLoadShedding),
};

/** The groups that a webhook is asked about. */
export const JUDGED_GROUPS: readonly string[] = [
  ...new Set(Object.keys(JUDGES).map((key) => key.split('/')[0])),
];

/** Undefined: nobody here knows the kind. */
export function judgeObject(
  object: KubeObject & { spec?: object },
  options: JudgeOptions,
): readonly Finding[] | undefined {
  const { group } = splitApiVersion(object.apiVersion);
  return JUDGES[`${group}/${object.kind}`]?.(object, options);
}

function asCompiled<T>(
  compile: (object: T, options: JudgeOptions) => { readonly findings: readonly Finding[] },
): AnyJudge {
  return (object, options) => compile(object as T, options).findings;
}

function asChecked<T>(kind: string, check: (spec: T, findings: Findings) => void): AnyJudge {
  return (object) => {
    const findings = new Findings(kind, identityOf(object));
    check((object.spec ?? {}) as T, findings);
    return findings.list;
  };
}
