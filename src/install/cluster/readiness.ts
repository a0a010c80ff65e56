/** Whether Deployments and DaemonSets run what was applied, and if not, what their pods say about it. */
import type { Deployment, Pod } from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';

export interface DaemonSet extends KubeObject {
  spec?: { selector?: { matchLabels?: Record<string, string> } };
  status?: {
    observedGeneration?: number;
    desiredNumberScheduled?: number;
    updatedNumberScheduled?: number;
    numberReady?: number;
  };
}

export interface Progress {
  readonly ready: number;
  readonly wanted: number;
  readonly done: boolean;
}

export function deploymentProgress({ metadata, spec, status = {} }: Deployment): Progress {
  const wanted = spec.replicas ?? 1;
  const seen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  const updated = seen ? (status.updatedReplicas ?? 0) : 0;
  const ready = Math.min(updated, status.readyReplicas ?? 0);
  // Pods of the version before are gone: the service answers from the new ones alone.
  return { ready, wanted, done: ready >= wanted && (status.replicas ?? 0) <= wanted };
}

export function daemonSetProgress({ metadata, status = {} }: DaemonSet): Progress {
  const wanted = status.desiredNumberScheduled ?? 0;
  const seen = (status.observedGeneration ?? 0) >= (metadata.generation ?? 0);
  const updated = seen ? (status.updatedNumberScheduled ?? 0) : 0;
  const ready = Math.min(updated, status.numberReady ?? 0);
  return { ready, wanted, done: seen && ready >= wanted };
}

/** The pods that a Deployment or DaemonSet selects. */
export async function podsOf(
  client: KubeClient,
  namespace: string,
  matchLabels: Readonly<Record<string, string>>,
): Promise<Pod[]> {
  const labelSelector = Object.entries(matchLabels)
    .map(([name, value]) => `${name}=${value}`)
    .join();
  return (await client.list<Pod>(RESOURCES.pods, { namespace, labelSelector })).items;
}

/** One line for each of them that is not ready: what it waits for or why it ended. */
export function troubleOf(items: readonly Pod[]): string[] {
  if (items.length === 0) return ['no pod of it has been made'];
  return items.flatMap((pod) => {
    const trouble = podTrouble(pod);
    return trouble === undefined ? [] : [`pod ${pod.metadata.name}: ${trouble}`];
  });
}

export function podTrouble({ status, spec }: Pod): string | undefined {
  const conditions = status?.conditions ?? [];
  const condition = (type: string) => conditions.find((each) => each.type === type);
  if (condition('Ready')?.status === 'True') return undefined;
  const scheduled = condition('PodScheduled');
  if (scheduled?.status === 'False') return scheduled.message ?? scheduled.reason;
  for (const { state, lastState, name } of status?.containerStatuses ?? []) {
    const ended = lastState?.terminated;
    const last = ended && ` (ended with ${ended.reason ?? ''} ${ended.exitCode})`;
    if (state?.waiting !== undefined) {
      const { reason, message } = state.waiting;
      return `${name} ${reason}${message === undefined ? '' : `: ${message}`}${last ?? ''}`;
    }
    if (state?.running !== undefined) return `${name} runs, but is not ready${last ?? ''}`;
  }
  return spec.nodeName === undefined ? 'not scheduled' : `waits on node ${spec.nodeName}`;
}
