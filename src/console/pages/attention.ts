/** What needs somebody now, the most harmful first: how many people feel it, then how soon it breaks. Pure. */
import type { Finding } from '../api/config.ts';
import type { EjectedEndpoint } from '../api/graph.ts';
import type { Health } from '../api/health.ts';
import type { AttentionItem, ServiceRow, WorkloadRow } from '../api/lists.ts';
import type { CertificateRow, ControlRow, ProxyRow } from '../api/mesh.ts';
import { namespaceOfResource } from './names.ts';

export interface AttentionInput {
  readonly workloads: readonly WorkloadRow[];
  readonly services: readonly ServiceRow[];
  readonly findings: readonly Finding[];
  readonly proxies: readonly ProxyRow[];
  readonly control: readonly ControlRow[];
  readonly certificates: readonly CertificateRow[];
  readonly ejected: readonly EjectedEndpoint[];
  readonly problems: readonly { readonly message: string; readonly since: string }[];
  readonly nowMs: number;
}

const SEVERITY = ['failing', 'degraded', 'notice'] as const;
/** Of two of one severity: what stops traffic, then what will stop it, then what is not as it was meant. */
const KINDS: readonly AttentionItem['kind'][] = [
  'control',
  'service',
  'workload',
  'proxy',
  'certificate',
  'refused-policy',
  'ejection',
  'finding',
];
/** More is not read; the rest stands on its page. */
export const ATTENTION_MAX = 100;

export function attention(input: AttentionInput): AttentionItem[] {
  const items = [
    ...controlItems(input),
    ...input.services.flatMap(serviceItem),
    ...input.workloads.flatMap(workloadItem),
    ...input.proxies.flatMap(proxyItem),
    ...input.certificates.flatMap((row) => certificateItem(row, input.nowMs)),
    ...input.findings.flatMap(findingItem),
    ...input.ejected.map(ejectionItem),
  ];
  return items
    .sort(byHarm)
    .slice(0, ATTENTION_MAX)
    .map(({ item }) => item);
}

/** `weight`: how much traffic it is about. */
interface Weighed {
  readonly item: AttentionItem;
  readonly weight: number;
}

function byHarm(left: Weighed, right: Weighed): number {
  return (
    SEVERITY.indexOf(left.item.severity) - SEVERITY.indexOf(right.item.severity) ||
    KINDS.indexOf(left.item.kind) - KINDS.indexOf(right.item.kind) ||
    right.weight - left.weight ||
    (left.item.title < right.item.title ? -1 : 1)
  );
}

function severityOf({ status }: Health): 'failing' | 'degraded' | undefined {
  return status === 'failing' || status === 'degraded' ? status : undefined;
}

function workloadItem({ namespace, name, health, inbound }: WorkloadRow): Weighed[] {
  const severity = severityOf(health);
  if (severity === undefined) return [];
  const item = {
    severity,
    kind: 'workload' as const,
    title: `${namespace}/${name}`,
    reason: health.reason,
    href: `/workloads/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`,
    command: `tulle tap -n ${namespace} --workload ${namespace}/${name} --failed`,
  };
  return [{ item, weight: inbound.requestsPerSecond + inbound.connectionsPerSecond }];
}

function serviceItem({ namespace, name, health, inbound }: ServiceRow): Weighed[] {
  const severity = severityOf(health);
  if (severity === undefined) return [];
  const item = {
    severity,
    kind: 'service' as const,
    title: `${namespace}/${name}`,
    reason: health.reason,
    href: `/services/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`,
    command: `kubectl -n ${namespace} describe service ${name}`,
  };
  return [{ item, weight: inbound.requestsPerSecond + inbound.connectionsPerSecond }];
}

function controlItems({ problems, control }: AttentionInput): Weighed[] {
  const items = problems.map(
    ({ message, since }): AttentionItem => ({
      severity: 'failing',
      kind: 'control',
      title: 'the control plane cannot follow the API',
      reason: `${message}, since ${since}`,
      href: '/mesh',
      command: 'tulle status',
    }),
  );
  const unready = control
    .filter(({ isReady }) => !isReady)
    .map(
      ({ pod }): AttentionItem => ({
        severity: 'degraded',
        kind: 'control',
        title: pod,
        reason: 'this replica of the control plane is not ready',
        href: '/mesh',
        command: `kubectl -n istio-system describe pod ${pod}`,
      }),
    );
  return [...items, ...unready].map((item) => ({ item, weight: 0 }));
}

function proxyItem({ sync, kind, namespace, name, detail, serves }: ProxyRow): Weighed[] {
  if (sync === 'synced' && detail === '') return [];
  const isBad = sync === 'refused' || sync === 'disconnected';
  // A push is under way for some milliseconds, again and again.
  if (sync === 'waiting' && detail === '') return [];
  const item = {
    severity: isBad ? ('failing' as const) : ('degraded' as const),
    kind: 'proxy' as const,
    title: `${kind === 'node' ? 'node proxy' : kind} ${namespace}/${name}`,
    reason: detail || sync,
    href: '/mesh',
    command: `tulle proxy config ${namespace}/${name}`,
  };
  return [{ item, weight: serves }];
}

function certificateItem(
  { principal, proxy, notAfter, state }: CertificateRow,
  nowMs: number,
): Weighed[] {
  if (state === 'valid') return [];
  const end = Date.parse(notAfter);
  const item = {
    severity: state === 'expired' ? ('failing' as const) : ('degraded' as const),
    kind: 'certificate' as const,
    title: principal,
    reason:
      state === 'expired'
        ? `its certificate at ${proxy} ended at ${notAfter}`
        : `its certificate at ${proxy} ends in ${spanText(end - nowMs)} and was not renewed`,
    href: '/security',
    command: `tulle proxy certs ${proxy}`,
  };
  return [{ item, weight: -end / 1e9 }];
}

function findingItem({ level, resource, path, message, hint }: Finding): Weighed[] {
  if (level === 'info') return [];
  const isPolicy = /^(AuthorizationPolicy|PeerAuthentication|RequestAuthentication) /.test(
    resource,
  );
  const isRefused = level === 'error' && isPolicy;
  const [kind, key] = resource.split(' ');
  const namespace = namespaceOfResource(resource) || '-';
  const item = {
    severity: level === 'error' ? ('degraded' as const) : ('notice' as const),
    kind: isRefused ? ('refused-policy' as const) : ('finding' as const),
    title: resource,
    reason: `${path === '' ? '' : `${path}: `}${message}${hint === '' ? '' : `; ${hint}`}`,
    href: `/config/${kind}/${namespace}/${key.slice(key.indexOf('/') + 1)}`,
    command: `kubectl ${namespace === '-' ? '' : `-n ${namespace} `}edit ${kind.toLowerCase()} ${key.slice(key.indexOf('/') + 1)}`,
  };
  return [{ item, weight: 0 }];
}

function ejectionItem({
  address,
  workload,
  service,
  reason,
  remainingMs,
  by,
}: EjectedEndpoint): Weighed {
  const back = remainingMs === undefined ? '' : `, back in ${spanText(remainingMs)}`;
  const [namespace, host = ''] = service.split('/');
  const item: AttentionItem = {
    severity: 'notice',
    kind: 'ejection',
    title: `${workload || address} of ${host}`,
    reason: `ejected by ${by}: ${reason}${back}`,
    href: `/services/${namespace}/${host.split('.', 1)[0]}`,
    command: 'tulle status',
  };
  return { item, weight: 0 };
}

export function spanText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}

/** The mesh in one sentence. */
export function meshHealth(
  input: Pick<AttentionInput, 'proxies' | 'control' | 'problems' | 'certificates'>,
): Health {
  const { proxies, control, problems, certificates } = input;
  const samples = proxies.length;
  const state = (status: Health['status'], reason: string): Health => ({ status, reason, samples });
  if (problems.length > 0) return state('failing', problems[0].message);
  const expired = certificates.filter((each) => each.state === 'expired').length;
  if (expired > 0) return state('failing', `${expired} certificates have ended`);
  const bad = proxies.filter(({ sync }) => sync === 'refused' || sync === 'disconnected');
  if (bad.length > 0)
    return state(
      'degraded',
      `${bad.length} of ${samples} proxies are not in sync: ${bad[0].name} ${bad[0].sync}`,
    );
  const unready = control.filter(({ isReady }) => !isReady);
  if (unready.length > 0) return state('degraded', `${unready[0].pod} is not ready`);
  if (samples === 0) return state('unknown', 'no proxy has connected yet');
  return state(
    'healthy',
    `${control.length === 1 ? 'one control plane' : `${control.length} replicas`} and ${samples} ${samples === 1 ? 'proxy' : 'proxies'} in sync`,
  );
}
