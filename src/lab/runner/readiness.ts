/** Waits until what the lab started is ready, and says what is missing when it takes too long: pure but for the wait. */
import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import type { Deployment, Pod } from '#kube/client/kinds.ts';
import type { Cluster } from '../controllers/cluster.ts';
import { isActive, isReady } from '../controllers/replica-plan.ts';
import { LAB_ERRORS } from '../errors.ts';

export interface Expected {
  /** Deployments and pods that have to exist, `namespace/name`. */
  deployments: readonly string[];
  pods: readonly string[];
}

/** Names with why each is not ready yet; empty = all ready. */
export function notReady(
  expected: Expected,
  deployments: readonly Deployment[],
  pods: readonly Pod[],
): string[] {
  const problems: string[] = [];
  const key = (object: Deployment | Pod) => `${object.metadata.namespace}/${object.metadata.name}`;
  for (const name of expected.deployments) {
    const deployment = deployments.find((entry) => key(entry) === name);
    if (deployment === undefined) problems.push(`deployment ${name} does not exist`);
    else {
      const wanted = deployment.spec.replicas ?? 1;
      const available = deployment.status?.availableReplicas ?? 0;
      if (available < wanted)
        problems.push(`deployment ${name}: ${available} of ${wanted} ready${reasonOf(name, pods)}`);
    }
  }
  for (const name of expected.pods) {
    const pod = pods.find((entry) => key(entry) === name);
    if (pod === undefined) problems.push(`pod ${name} does not exist`);
    else if (!isReady(pod)) problems.push(`pod ${name} is not ready${reasonOf(name, pods)}`);
  }
  return problems;
}

/** The first waiting reason among the pods whose name starts so. */
function reasonOf(name: string, pods: readonly Pod[]): string {
  for (const pod of pods) {
    if (!`${pod.metadata.namespace}/${pod.metadata.name}`.startsWith(name) || !isActive(pod))
      continue;
    for (const { state } of pod.status?.containerStatuses ?? [])
      if (state?.waiting !== undefined)
        return ` (${state.waiting.reason}${state.waiting.message ? `: ${state.waiting.message}` : ''})`;
  }
  return '';
}

export function waitReady(
  cluster: Cluster,
  expected: Expected,
  { clock, timeoutMs }: { clock: Clock; timeoutMs: number },
): Promise<void> {
  const { deployments, pods } = cluster;
  const missing = () => notReady(expected, deployments.list(), pods.list());
  if (missing().length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const check = () => {
      if (missing().length > 0) return;
      finish();
      resolve();
    };
    const handler = { onAdd: check, onUpdate: check, onDelete: check };
    const disposers = [deployments.subscribe(handler), pods.subscribe(handler)];
    const timer = clock.after(timeoutMs, () => {
      finish();
      const message = `not ready after ${timeoutMs / 1000} s: ${missing().join('; ')}`;
      reject(
        new MeshError('LAB_START_FAILED', message, {
          side: 'self',
          hint: LAB_ERRORS.LAB_START_FAILED,
        }),
      );
    });
    const finish = () => {
      timer.cancel();
      for (const dispose of disposers) dispose();
    };
  });
}
