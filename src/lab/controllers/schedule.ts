/** Which node a pod goes to: pure. Spreads the pods of one owner first, then the load. */
import type { Node, Pod } from '#kube/client/kinds.ts';
import { controllerOf, isActive } from './replica-plan.ts';

export type Placement = { node: string } | { reason: string };

export function schedule(pod: Pod, nodes: readonly Node[], pods: readonly Pod[]): Placement {
  const refusals = new Map<string, number>();
  const refuse = (reason: string) => refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
  const owner = controllerOf(pod)?.uid;
  let best: { node: string; score: [number, number] } | undefined;
  for (const node of nodes.toSorted((left, right) =>
    left.metadata.name < right.metadata.name ? -1 : 1,
  )) {
    const problem = refusalOf(pod, node);
    if (problem !== undefined) {
      refuse(problem);
      continue;
    }
    const here = pods.filter(
      (other) => other.spec.nodeName === node.metadata.name && isActive(other),
    );
    const capacity = Number(node.status?.allocatable?.pods ?? Number.POSITIVE_INFINITY);
    if (here.length >= capacity) {
      refuse('too many pods');
      continue;
    }
    const siblings =
      owner === undefined ? 0 : here.filter((other) => controllerOf(other)?.uid === owner).length;
    const score: [number, number] = [siblings, here.length];
    if (
      best === undefined ||
      score[0] < best.score[0] ||
      (score[0] === best.score[0] && score[1] < best.score[1])
    )
      best = { node: node.metadata.name, score };
  }
  if (best !== undefined) return { node: best.node };
  const reasons = [...refusals].map(([reason, count]) => `${count} ${reason}`).join(', ');
  return { reason: `0/${nodes.length} nodes are available: ${reasons || 'there are none'}.` };
}

function refusalOf(pod: Pod, node: Node): string | undefined {
  if (node.spec?.unschedulable === true) return 'node(s) were unschedulable';
  const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready');
  if (ready?.status !== 'True') return 'node(s) were not ready';
  const labels = node.metadata.labels ?? {};
  const mismatch = Object.entries(pod.spec.nodeSelector ?? {}).some(
    ([key, value]) => labels[key] !== value,
  );
  return mismatch ? "node(s) didn't match Pod's node affinity/selector" : undefined;
}
