/**
 * Whoever makes nodes may register them with a taint (`kubelet --register-with-taints=tulle.dev/not-ready=:NoSchedule`), so
 * that nothing is scheduled before the mesh is there. The agent takes it away once it is ready; it never puts it there.
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Node } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { UNTAINT_PERIOD_MS } from '../limits.ts';

export const STARTUP_TAINT = 'tulle.dev/not-ready';

export interface UntaintDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  isReady(): boolean;
}

/** Ends by itself when the taint is gone. */
export function startUntaint(deps: UntaintDeps, nodeName: string): Disposer {
  const { clock, log } = deps;
  let asking = false;
  let failure = '';
  const timer = clock.every(UNTAINT_PERIOD_MS, () => {
    if (asking || !deps.isReady()) return;
    asking = true;
    untaint(deps, nodeName).then(
      () => timer.cancel(),
      (error: unknown) => {
        asking = false;
        const message = messageOf(error);
        if (message === failure) return;
        failure = message;
        log.warn('cannot look whether the node has the startup taint', {
          taint: STARTUP_TAINT,
          error: message,
          hint: 'the agent may get and patch nodes? kubectl describe clusterrole ztunnel',
        });
      },
    );
  });
  return () => timer.cancel();
}

async function untaint({ client, log }: UntaintDeps, name: string): Promise<void> {
  const { metadata, spec } = await client.get<Node>(RESOURCES.nodes, { name });
  const taints = spec?.taints ?? [];
  const others = taints.filter(({ key }) => key !== STARTUP_TAINT);
  if (others.length === taints.length) return;
  // With the version: somebody may be changing other taints.
  const { resourceVersion } = metadata;
  const body = { metadata: { resourceVersion }, spec: { taints: others } };
  await client.patch(RESOURCES.nodes, { name }, { type: 'merge', body });
  log.info('startup taint removed', { node: name, taint: STARTUP_TAINT });
}
