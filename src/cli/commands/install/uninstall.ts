/** `tulle uninstall`: says what goes, asks, and takes it away. */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { systemClock } from '#base/clock.ts';
import { startSteps } from '#install/cluster/steps.ts';
import {
  planUninstall,
  uninstall as removeFrom,
  type UninstallPlan,
} from '#install/cluster/uninstall.ts';
import { defaultValues } from '#install/values/values.ts';
import { clusterFor } from '../../cluster.ts';
import { AnswerIsNo, UsageError } from '../../output/report.ts';
import { durationOf, holderName } from './install.ts';

export interface UninstallFlags {
  readonly namespace?: string;
  readonly revision?: string;
  readonly purge?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly timeout: string;
  readonly output: string;
}

export async function uninstall(flags: UninstallFlags, command: Command): Promise<void> {
  const timeoutMs = durationOf(flags.timeout);
  const { client } = clusterFor(command);
  const { namespace = defaultValues().namespace, revision = defaultValues().revision } = flags;
  const plan = await planUninstall(client, { namespace, revision, purge: flags.purge === true });
  const json = flags.output === 'json';
  if (!json || flags.yes !== true) process.stderr.write(summaryOf(plan));
  if (flags.dryRun === true) return;
  if (flags.yes !== true && !(await confirm())) throw new AnswerIsNo('nothing was removed');
  const steps = startSteps(systemClock, (line) => process.stderr.write(line));
  const deps = { client, clock: systemClock, steps, holder: holderName() };
  const removed = await removeFrom(deps, plan, timeoutMs);
  process.stdout.write(
    json
      ? `${JSON.stringify({ namespace, revision, removed, elapsedMs: steps.elapsedMs }, null, 2)}\n`
      : `Tulle is removed: ${removed.length} objects.\n`,
  );
}

function summaryOf({ namespace, revision, staying, inventory, purge }: UninstallPlan): string {
  const { captured, proxies, definitions } = inventory;
  if (staying.length > 0) {
    return `The control plane of revision ${revision} will be removed; ${staying.join(', ')} and the node proxies stay.\n`;
  }
  const workloads = proxies.filter(({ kind }) => kind === 'Deployment');
  const names = workloads.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  return [
    `Tulle will be removed from namespace ${namespace}:`,
    `  ${captured.length} pods leave the mesh: they keep running, their traffic is plain again`,
    ...(names.length > 0 ? [`  waypoints and gateways end: ${names.join(', ')}`] : []),
    '  the root of all certificates goes: a new installation makes a new one',
    purge
      ? `  --purge: ${definitions.length} definitions of custom resources go, and with them EVERY object of their kinds in EVERY namespace`
      : '  definitions of custom resources and your objects of them stay (--purge removes both)',
    '',
  ].join('\n');
}

async function confirm(): Promise<boolean> {
  if (!process.stdin.isTTY) throw new UsageError('there is nobody to ask: say --yes');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question('Go on? [y/N] ')).trim());
  } finally {
    terminal.close();
  }
}
