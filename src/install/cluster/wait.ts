/** Waits until the Deployments and DaemonSets of an installation run, telling what changes and what is in the way. */
import { type Clock, sleep } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import type { Deployment } from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { READY_POLL_MS } from '../limits.ts';
import { find } from './apply.ts';
import {
  type DaemonSet,
  daemonSetProgress,
  deploymentProgress,
  type Progress,
  podsOf,
  troubleOf,
} from './readiness.ts';
import type { Steps } from './steps.ts';

interface WaitDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly steps: Steps;
}

type Workload = KubeObject & { spec: { selector: { matchLabels: Record<string, string> } } };

/** Looking for trouble lists pods: not at every poll. */
const TROUBLE_POLLS = 4;

export async function waitUntilReady(
  deps: WaitDeps,
  objects: readonly KubeObject[],
  timeoutMs: number,
): Promise<void> {
  const deadline = deps.clock.now() + timeoutMs;
  const workloads = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet');
  await Promise.all(workloads.map((each) => waitFor(deps, each as Workload, deadline)));
}

async function waitFor(deps: WaitDeps, workload: Workload, deadline: number): Promise<void> {
  const { client, clock, steps } = deps;
  const { name, namespace = '' } = workload.metadata;
  let said = '';
  const sayOnce = (text: string) => {
    if (text !== said) steps.say(text);
    said = text;
  };
  for (let poll = 1; ; poll++) {
    const { ready, wanted, done } = await progressOf(client, workload);
    const state = `${name}: ${ready} of ${wanted} ready`;
    if (done) return sayOnce(state);
    const late = clock.now() > deadline;
    if (late || poll % TROUBLE_POLLS === 0) {
      const trouble = troubleOf(
        await podsOf(client, namespace, workload.spec.selector.matchLabels),
      );
      if (late) throw notReady(state, trouble);
      sayOnce([state, ...trouble.slice(0, 1)].join('; '));
    }
    await sleep(clock, READY_POLL_MS);
  }
}

async function progressOf(client: KubeClient, workload: Workload): Promise<Progress> {
  const found = await find(client, workload);
  if (found === undefined) return { ready: 0, wanted: 1, done: false };
  return workload.kind === 'Deployment'
    ? deploymentProgress(found as Deployment)
    : daemonSetProgress(found as DaemonSet);
}

function notReady(state: string, trouble: readonly string[]): MeshError {
  return new MeshError('INSTALL_NOT_READY', `${state}:\n  ${trouble.join('\n  ')}`, {
    side: 'upstream',
    hint: INSTALL_ERRORS.INSTALL_NOT_READY,
  });
}
