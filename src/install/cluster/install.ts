/** `tulle install` and `tulle upgrade`: looks, rehearses, applies in order, waits. Can be run again at any point. */
import { type Clock, sleep } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { VERSION } from '#base/version.ts';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import type { Condition } from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import type { CrdAction } from '../crds/install-crds.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { ESTABLISHED_TIMEOUT_MS, READY_POLL_MS } from '../limits.ts';
import { applyObject, find } from './apply.ts';
import { inBatches } from './batches.ts';
import { takeLock } from './lock.ts';
import { prune } from './prune.ts';
import { recordObject } from './record.ts';
import { nameOf } from './refs.ts';
import { rehearse } from './rehearse.ts';
import type { InstallReport, ObjectReport } from './report.ts';
import { type Asked, settle } from './settle.ts';
import type { Steps } from './steps.ts';
import { waitUntilReady } from './wait.ts';

export interface InstallDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly steps: Steps;
  /** Who we are, for another installation that finds ours under way. */
  readonly holder: string;
  readonly crds: readonly CustomResourceDefinition[];
}

export interface InstallOptions extends Asked {
  readonly dryRun: boolean;
  /** Take over fields and objects of others. */
  readonly force: boolean;
  /** Undefined: do not wait until it is ready. */
  readonly readyTimeoutMs: number | undefined;
}

export async function install(deps: InstallDeps, options: InstallOptions): Promise<InstallReport> {
  const { client, steps, clock, holder } = deps;
  const settled = await settle(client, options, deps.crds);
  const { values, record, kubernetes, platform, objects } = settled;
  steps.say(
    `Kubernetes ${kubernetes}${platform === undefined ? '' : ` on ${platform}`}, rights are there`,
  );
  for (const warning of settled.warnings) steps.say(`warning: ${warning}`);
  refuseCrds(settled.crds);
  const rehearsed = await rehearse(client, [...definitionsIn(settled.crds), ...objects], options);
  steps.say(`${count(rehearsed.length, 'object')} checked by the server`);
  const report = (done: readonly ObjectReport[], ready: boolean): InstallReport => ({
    version: VERSION,
    ...(record !== undefined && { previousVersion: record.version }),
    kubernetes,
    ...(platform !== undefined && { platform }),
    namespace: values.namespace,
    revision: values.revision,
    dryRun: options.dryRun,
    ready,
    objects: [...done, ...leftIn(settled.crds)],
    warnings: settled.warnings,
    elapsedMs: steps.elapsedMs,
  });
  if (options.dryRun) return report(rehearsed, false);
  const done: ObjectReport[] = [];
  const apply = async (object: KubeObject) => {
    const { outcome, changes } = await applyObject(client, object, { ...options, dryRun: false });
    done.push({ object: nameOf(object), outcome, changes });
  };
  const [namespace, ...others] = objects;
  await apply(namespace);
  const lock = await takeLock(
    { client, clock, holder, onWait: (other) => steps.say(`${other} has the lock; is it alive?`) },
    values.namespace,
  );
  try {
    await applyDefinitions(deps, settled.crds, apply);
    for (const object of others) await apply(object);
    await apply(recordObject(values, settled.chosen, objects));
    done.push(...(await prune(client, record, objects)));
    steps.say(summaryOf(done));
    if (options.readyTimeoutMs === undefined) return report(done, false);
    await waitUntilReady(deps, objects, options.readyTimeoutMs);
    return report(done, true);
  } finally {
    await lock.release();
  }
}

function refuseCrds(actions: readonly CrdAction[]): void {
  const refused = actions.filter((action) => action.do === 'refuse');
  if (refused.length === 0) return;
  const lines = refused.map(({ name, why, remedy }) => `\n  ${name}: ${why}; ${remedy}`);
  throw new MeshError('INSTALL_CRDS', `definitions of the cluster do not fit:${lines.join('')}`, {
    side: 'config',
    hint: INSTALL_ERRORS.INSTALL_CRDS,
  });
}

function definitionsIn(actions: readonly CrdAction[]): CustomResourceDefinition[] {
  return actions.flatMap((action) => ('crd' in action ? [action.crd] : []));
}

function leftIn(actions: readonly CrdAction[]): ObjectReport[] {
  return actions.flatMap((action) =>
    action.do === 'leave'
      ? [{ object: `CustomResourceDefinition ${action.name}`, outcome: 'left', why: action.why }]
      : [],
  );
}

interface Definition extends KubeObject {
  status?: { conditions?: Condition[] };
}

async function applyDefinitions(
  { client, clock, steps }: InstallDeps,
  actions: readonly CrdAction[],
  apply: (object: KubeObject) => Promise<void>,
): Promise<void> {
  const definitions = definitionsIn(actions);
  if (definitions.length === 0) return;
  await inBatches(definitions, apply);
  const deadline = clock.now() + ESTABLISHED_TIMEOUT_MS;
  await inBatches(definitions, async (definition) => {
    for (;;) {
      const found = await find<Definition>(client, definition);
      const condition = found?.status?.conditions?.find(({ type }) => type === 'Established');
      if (condition?.status === 'True') return;
      if (clock.now() > deadline) throw notEstablished(definition, condition);
      await sleep(clock, READY_POLL_MS);
    }
  });
  steps.say(`${count(definitions.length, 'definition')} of custom resources served`);
}

function notEstablished({ metadata }: KubeObject, condition: Condition | undefined): MeshError {
  const why = condition?.message ?? 'the server has not said why';
  return new MeshError('INSTALL_CRDS', `${metadata.name} is not served: ${why}`, {
    side: 'upstream',
    hint: INSTALL_ERRORS.INSTALL_CRDS,
  });
}

export function summaryOf(reports: readonly ObjectReport[]): string {
  const outcomes = ['created', 'changed', 'unchanged', 'deleted'] as const;
  const parts = outcomes.flatMap((outcome) => {
    const number = reports.filter((each) => each.outcome === outcome).length;
    return number === 0 ? [] : [`${number} ${outcome}`];
  });
  return `${count(reports.length, 'object')}: ${parts.join(', ')}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
