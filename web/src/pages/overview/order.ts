/** Overview: what is worst comes first. Pure. */
import type { HealthStatus } from '#console/api/health.ts';
import type { AttentionItem, NamespaceRow } from '#console/api/lists.ts';

const HARM: Readonly<Record<AttentionItem['severity'], number>> = {
  failing: 0,
  degraded: 1,
  notice: 2,
};
/** The mesh itself before what runs in it; what is denied before what is slow; findings last. */
const KINDS: readonly AttentionItem['kind'][] = [
  'control',
  'refused-policy',
  'proxy',
  'certificate',
  'service',
  'workload',
  'ejection',
  'finding',
];

/** By harm, then by what it is about; within that as they came. */
export function byHarm(items: readonly AttentionItem[]): AttentionItem[] {
  return items.toSorted(
    (a, b) => HARM[a.severity] - HARM[b.severity] || KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind),
  );
}

const BADNESS: Readonly<Record<HealthStatus, number>> = {
  failing: 0,
  degraded: 1,
  unknown: 2,
  healthy: 3,
  idle: 4,
};

/** In the mesh before outside; the worst, then the busiest, then by name. */
export function namespaceOrder(rows: readonly NamespaceRow[]): NamespaceRow[] {
  return rows.toSorted(
    (a, b) =>
      Number(b.isEnrolled) - Number(a.isEnrolled) ||
      BADNESS[a.health.status] - BADNESS[b.health.status] ||
      b.inbound.requestsPerSecond - a.inbound.requestsPerSecond ||
      a.name.localeCompare(b.name),
  );
}

/** Outside the mesh, and nothing to say of it: its name is enough. */
export function isQuiet({ isEnrolled, findings, health }: NamespaceRow): boolean {
  return !isEnrolled && findings === 0 && health.status === 'idle';
}

/** The sentence over the page. */
export function attentionSentence(items: readonly AttentionItem[]): string {
  const failing = items.filter((item) => item.severity === 'failing').length;
  const degraded = items.filter((item) => item.severity === 'degraded').length;
  const parts = [
    failing > 0 ? `${failing} failing` : '',
    degraded > 0 ? `${degraded} degraded` : '',
  ].filter((part) => part !== '');
  const notices = items.length - failing - degraded;
  if (notices > 0) parts.push(`${notices} to know`);
  return parts.length === 0 ? 'Nothing needs you' : parts.join(', ');
}
