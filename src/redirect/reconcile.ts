/** Looks again and again whether the rules of every captured pod are in place, and puts them back. */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { applyRedirection, areProbesExempt, exemptProbes, isRedirected } from './apply.ts';
import type { RuleOptions } from './rules.ts';

export interface Redirected {
  readonly name: string;
  readonly namespacePath: string;
  readonly options: RuleOptions;
  /** Of the pod: the node's probes to them pass uncaptured. */
  readonly addresses: readonly string[];
}

/** One pod a period keeps the cost flat, however many pods there are. */
export const RECONCILE_PERIOD_MS = 1_000;

export interface ReconcileDeps {
  clock: Clock;
  log: Logger;
  /** The pods that should be redirected now. */
  wanted(): readonly Redirected[];
  check?: (pod: Redirected) => Promise<boolean>;
  apply?: (pod: Redirected) => Promise<void>;
}

export function startReconciler(deps: ReconcileDeps): Disposer {
  const { clock, log, check = isInPlace, apply = putInPlace } = deps;
  let cursor = 0;
  let busy = false;
  const repair = async (pod: Redirected) => {
    if (await check(pod)) return;
    await apply(pod);
    log.warn('redirection was missing and is in place again', { pod: pod.name });
  };
  const timer = clock.every(RECONCILE_PERIOD_MS, () => {
    const pods = deps.wanted();
    if (busy || pods.length === 0) return;
    cursor = (cursor + 1) % pods.length;
    const pod = pods[cursor];
    busy = true;
    repair(pod)
      .catch((error: unknown) =>
        log.error('cannot repair redirection', { pod: pod.name, error: messageOf(error) }),
      )
      .finally(() => {
        busy = false;
      });
  });
  return () => timer.cancel();
}

async function isInPlace({ namespacePath, addresses }: Redirected): Promise<boolean> {
  return (await isRedirected(namespacePath)) && (await areProbesExempt(addresses));
}

async function putInPlace({ namespacePath, options, addresses }: Redirected): Promise<void> {
  await applyRedirection(namespacePath, options);
  await exemptProbes(addresses, 'add');
}
