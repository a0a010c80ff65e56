/**
 * Whether a node agent that is told to end will have a successor. An upgrade, a crash or a reboot leaves the plugin and the
 * rules in place, so that nothing starts or talks uncaptured meanwhile. Only when the DaemonSet itself is gone the node
 * returns to what it was, as istio-cni does it (cni/pkg/nodeagent/server.go ShouldStopCleanup).
 */
import { type Clock, sleep } from '#base/clock.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { withinTime } from '#kube/client/within-time.ts';
import { END_LOOKUP_MS, END_LOOKUPS } from '../limits.ts';

export interface EndVerdict {
  /** The node leaves the mesh for good. */
  readonly forGood: boolean;
  readonly reason: string;
}

/** Pods of a DaemonSet have its name and five characters. */
export function daemonSetOf(podName: string): string {
  return podName.replace(/-[a-z0-9]{5}$/, '');
}

export async function judgeEnd(
  { client, clock }: { client: KubeClient; clock: Clock },
  { namespace, podName }: { namespace: string; podName: string },
): Promise<EndVerdict> {
  const name = daemonSetOf(podName);
  const of = `DaemonSet ${namespace}/${name}`;
  let failure = '';
  for (let attempt = 0; attempt < END_LOOKUPS; attempt += 1) {
    if (attempt > 0) await sleep(clock, END_LOOKUP_MS / 2);
    try {
      const asked = client.get(RESOURCES.daemonSets, { namespace, name });
      const { metadata } = await withinTime(clock, END_LOOKUP_MS, asked);
      return metadata.deletionTimestamp === undefined
        ? { forGood: false, reason: `${of} is there: another agent will follow` }
        : { forGood: true, reason: `${of} is being deleted` };
    } catch (error) {
      if (isMeshError(error, 'KUBE_NOT_FOUND')) return { forGood: true, reason: `${of} is gone` };
      // The token dies with its service account.
      if (isMeshError(error, 'KUBE_UNAUTHORIZED')) {
        return { forGood: true, reason: 'our service account is gone' };
      }
      failure = messageOf(error);
    }
  }
  // No right to look is no proof of anything: rules that somebody narrowed must not open the node.
  return { forGood: false, reason: `cannot tell whether ${of} is gone: ${failure}` };
}
