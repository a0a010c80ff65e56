/**
 * Asks the node's mesh agent to capture a pod before its processes start, as the CNI plugin does on Kubernetes.
 * A pod that the mesh does not claim is started without asking, so that a broken agent does not stop everything.
 */
import type { Clock } from '#base/clock.ts';
import { sleep } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Namespace, Pod } from '#kube/client/kinds.ts';
import { CNI_RETRY_MS, CNI_TIMEOUT_MS } from '../limits.ts';

const MODE = 'istio.io/dataplane-mode';
export const SYSTEM_NAMESPACE = 'istio-system';

/** facts: cni/pkg/util/enablement_selector.go. */
export function wantsCapture(pod: Pod, namespace: Namespace | undefined): boolean {
  if (pod.spec.hostNetwork === true || pod.metadata.namespace === SYSTEM_NAMESPACE) return false;
  const own = pod.metadata.labels?.[MODE];
  if (own !== undefined) return own === 'ambient';
  return namespace?.metadata.labels?.[MODE] === 'ambient';
}

export function agentSocket(node: string): string {
  return `/run/tulle/${node}/cni.sock`;
}

/** Resolves when the agent has answered 200; `onWait` hears each time why not yet. */
export async function capturePod(
  deps: { clock: Clock; isWanted: () => boolean; onWait: (reason: string) => void },
  pod: Pod,
): Promise<void> {
  const { namespace, name, uid = '' } = pod.metadata;
  const body = JSON.stringify({
    podNamespace: namespace,
    podName: name,
    podUid: uid,
    netns: `/run/netns/${uid}`,
  });
  while (deps.isWanted()) {
    const reason = await ask(agentSocket(pod.spec.nodeName ?? ''), body);
    if (reason === undefined) return;
    deps.onWait(reason);
    await sleep(deps.clock, CNI_RETRY_MS);
  }
}

async function ask(unix: string, body: string): Promise<string | undefined> {
  try {
    const answer = await fetch('http://node/cmdadd', {
      method: 'POST',
      unix,
      body,
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(CNI_TIMEOUT_MS),
    });
    const text = await answer.text();
    return answer.status === 200
      ? undefined
      : `the node agent answered ${answer.status}: ${text.trim()}`;
  } catch (error) {
    return `the node agent does not answer: ${messageOf(error)}`;
  }
}
