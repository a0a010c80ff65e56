/**
 * Which objects of configuration say something about a workload or a service, in the order in which they take effect, each with its effect in one
 * line: policies as they are judged (mutual TLS, tokens, denials, permissions), the rest as a request meets it (route, destination, limits, telemetry). Pure.
 */
import type { Finding } from '../api/config.ts';
import type { AppliedConfig } from '../api/lists.ts';
import type { ConfigView, MeshView, ServiceView, WorkloadView } from '../mesh-view.ts';
import { effectOf } from './effects.ts';
import { namesService, resourceOf } from './names.ts';

/** What objects are matched against. */
export interface Subject {
  readonly namespace: string;
  /** Undefined: of a service; objects that select by labels are not about it. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly services: readonly ServiceView[];
  /** `namespace/name` of the Gateways in front of it, and its own when it is a proxy itself. */
  readonly gateways: ReadonlySet<string>;
}

const POLICY_ORDER = ['PeerAuthentication', 'RequestAuthentication', 'AuthorizationPolicy'];
const ACTION_ORDER = ['CUSTOM', 'DENY', 'ALLOW', 'AUDIT'];
const CONFIG_ORDER = [
  'VirtualService',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'LocalRateLimit',
  'LoadShedding',
  'DestinationRule',
  'BackendTLSPolicy',
  'ServiceEntry',
  'Telemetry',
];

export function subjectOfWorkload(workload: WorkloadView, mesh: MeshView): Subject {
  const services = workload.services.flatMap((key) => mesh.service(key) ?? []);
  const gateways = new Set(services.map(({ waypoint }) => waypoint).filter((key) => key !== ''));
  if (workload.waypoint !== '') gateways.add(workload.waypoint);
  if (workload.role !== 'workload') gateways.add(workload.key);
  return { namespace: workload.namespace, labels: workload.labels, services, gateways };
}

export function subjectOfService(service: ServiceView): Subject {
  const gateways = new Set(service.waypoint === '' ? [] : [service.waypoint]);
  return { namespace: service.namespace, labels: undefined, services: [service], gateways };
}

export interface Applied {
  readonly policies: readonly AppliedConfig[];
  readonly config: readonly AppliedConfig[];
}

export function appliedTo(
  subject: Subject,
  from: {
    readonly objects: Iterable<ConfigView>;
    readonly findings: readonly Finding[];
    readonly rootNamespace: string;
  },
): Applied {
  const findings = new Map<string, number>();
  for (const { resource } of from.findings)
    findings.set(resource, (findings.get(resource) ?? 0) + 1);
  const about = [...from.objects].filter((object) => isAbout(object, subject, from.rootNamespace));
  const rows = (order: readonly string[]) =>
    about
      .filter(({ kind }) => order.includes(kind))
      .sort(
        (left, right) =>
          rank(left, order) - rank(right, order) || (resourceOf(left) < resourceOf(right) ? -1 : 1),
      )
      .map((object) => ({
        resource: resourceOf(object),
        effect: effectOf(object),
        findings: findings.get(resourceOf(object)) ?? 0,
      }));
  return { policies: rows(POLICY_ORDER), config: rows(CONFIG_ORDER) };
}

function rank(object: ConfigView, order: readonly string[]): number {
  const action = (object.object.spec as { action?: string } | undefined)?.action ?? 'ALLOW';
  return order.indexOf(object.kind) * 10 + Math.max(0, ACTION_ORDER.indexOf(action));
}

interface AnySpec {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targetRef?: TargetRef;
  readonly targetRefs?: readonly TargetRef[];
  readonly parentRefs?: readonly (TargetRef & { readonly namespace?: string })[];
  readonly hosts?: readonly string[];
  readonly host?: string;
}

interface TargetRef {
  readonly kind?: string;
  readonly name?: string;
}

function isAbout(object: ConfigView, subject: Subject, rootNamespace: string): boolean {
  const spec = (object.object.spec ?? {}) as AnySpec;
  const { namespace, kind } = object;
  switch (kind) {
    case 'PeerAuthentication':
      return selects(spec, object, subject, rootNamespace);
    case 'RequestAuthentication':
    case 'AuthorizationPolicy':
    case 'Telemetry':
    case 'LocalRateLimit':
    case 'LoadShedding':
    case 'BackendTLSPolicy': {
      const targets = [...(spec.targetRefs ?? []), ...(spec.targetRef ? [spec.targetRef] : [])];
      if (targets.length > 0)
        return targets.some((target) => isTarget({ ...target, namespace }, subject));
      return kind !== 'BackendTLSPolicy' && selects(spec, object, subject, rootNamespace);
    }
    case 'HTTPRoute':
    case 'GRPCRoute':
    case 'TCPRoute':
    case 'TLSRoute':
      return (spec.parentRefs ?? []).some((parent) =>
        isTarget(
          {
            kind: parent.kind ?? 'Gateway',
            name: parent.name,
            namespace: parent.namespace ?? namespace,
          },
          subject,
        ),
      );
    case 'VirtualService':
      return (spec.hosts ?? []).some((host) =>
        subject.services.some((service) => namesService(host, namespace, service)),
      );
    case 'DestinationRule':
      return subject.services.some((service) => namesService(spec.host ?? '', namespace, service));
    case 'ServiceEntry':
      return subject.services.some(
        ({ kind: of, host }) => of === 'ServiceEntry' && (spec.hosts ?? []).includes(host),
      );
    default:
      return false;
  }
}

/** By labels in its own namespace; without labels all of its namespace, or of the mesh. */
function selects(
  spec: AnySpec,
  { namespace }: ConfigView,
  subject: Subject,
  rootNamespace: string,
): boolean {
  const isRoot = namespace === rootNamespace;
  if (!isRoot && namespace !== subject.namespace) return false;
  const wanted = Object.entries(spec.selector?.matchLabels ?? {});
  if (wanted.length === 0) return true;
  return (
    subject.labels !== undefined &&
    wanted.every(([name, value]) => subject.labels?.[name] === value)
  );
}

function isTarget(target: TargetRef & { readonly namespace: string }, subject: Subject): boolean {
  const { kind, name, namespace } = target;
  if (kind === 'Gateway') return subject.gateways.has(`${namespace}/${name}`);
  if (kind === 'GatewayClass') return subject.gateways.size > 0;
  return subject.services.some(
    (service) =>
      service.namespace === namespace &&
      service.kind === kind &&
      (service.name === name || service.host === name),
  );
}
