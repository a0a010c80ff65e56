/** The selected node or edge in one sentence, for those who do not see the picture. Pure. */
import type { GraphAnswer } from '#console/api/graph.ts';
import { percent } from '../../ui/format.ts';
import { DIFFERENCE_WORDS } from '../scene/compare.ts';
import { labelOf, lockOf } from '../scene/edge-marks.ts';
import type { Difference } from '../scene/marks.ts';
import { trafficLine } from '../scene/node-marks.ts';

const LOCK_WORDS = { closed: 'mutual TLS', half: 'partly plaintext', open: 'plaintext' } as const;

export function announcementOf(
  { nodes, edges }: Pick<GraphAnswer, 'nodes' | 'edges'>,
  id: string | undefined,
  changes?: ReadonlyMap<string, Difference>,
): string {
  if (id === undefined) return '';
  const change = changes?.get(id);
  const since = change === undefined ? '' : ` Compared: ${DIFFERENCE_WORDS[change]}.`;
  const node = nodes.find((each) => each.id === id);
  if (node !== undefined) {
    const callers = edges.filter((edge) => edge.target === id).length;
    const called = edges.filter((edge) => edge.source === id).length;
    const place = node.namespace === '' ? '' : ` in ${node.namespace}`;
    return `${node.name}${place}, ${node.health.status}: ${node.health.reason}. ${trafficLine(node)}, ${percent(node.inbound.errorRate)} errors. Called by ${callers}, calls ${called}.${since}`;
  }
  const edge = edges.find((each) => each.id === id);
  if (edge === undefined) return '';
  const name = (end: string) => nodes.find((each) => each.id === end)?.name ?? end;
  const lock = lockOf(edge);
  const safety = lock === undefined ? '' : `, ${LOCK_WORDS[lock]}`;
  return `${name(edge.source)} to ${name(edge.target)}, ${edge.health.status}: ${labelOf(edge, 'rate') || 'idle'}, ${percent(edge.errorRate)} errors${safety}.${since}`;
}
