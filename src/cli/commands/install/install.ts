/** `tulle install` and `tulle upgrade`: progress on stderr, the answer on stdout. */
import { hostname, userInfo } from 'node:os';
import type { Command } from 'commander';
import { systemClock } from '#base/clock.ts';
import { loadCrds } from '#crds/crd-cache.ts';
import { install as installOn, summaryOf } from '#install/cluster/install.ts';
import type { InstallReport, ObjectReport } from '#install/cluster/report.ts';
import { startSteps } from '#install/cluster/steps.ts';
import { clusterFor } from '../../cluster.ts';
import { UsageError } from '../../output/report.ts';
import { layersOf, type ValueFlags } from './values.ts';

export interface InstallFlags extends ValueFlags {
  readonly dryRun?: boolean;
  readonly forceConflicts?: boolean;
  readonly wait?: boolean;
  readonly timeout: string;
  readonly output: string;
}

export function install(flags: InstallFlags, command: Command): Promise<void> {
  return run(flags, command, false);
}

export function upgrade(flags: InstallFlags, command: Command): Promise<void> {
  return run(flags, command, true);
}

async function run(flags: InstallFlags, command: Command, keepChosen: boolean): Promise<void> {
  const timeoutMs = durationOf(flags.timeout);
  const layers = layersOf(flags);
  const report = await installOn(
    {
      client: clusterFor(command).client,
      clock: systemClock,
      steps: startSteps(systemClock, (line) => process.stderr.write(line)),
      holder: holderName(),
      crds: loadCrds(),
    },
    {
      layers,
      keepChosen,
      dryRun: flags.dryRun === true,
      force: flags.forceConflicts === true,
      readyTimeoutMs: flags.wait === false ? undefined : timeoutMs,
    },
  );
  process.stdout.write(
    flags.output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : textOf(report),
  );
}

/** Who installs, for another one that finds the lock taken. */
export function holderName(): string {
  return `${userInfo().username}@${hostname()} (process ${process.pid})`;
}

/** Milliseconds of `90s`, `5m`, `1h`. */
export function durationOf(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text) ?? [];
  if (number === undefined) throw new UsageError(`--timeout ${text}: want 90s, 5m or 1h`);
  return Number(number) * { s: 1000, m: 60_000, h: 3_600_000 }[unit as 's' | 'm' | 'h'];
}

function textOf(report: InstallReport): string {
  const { version, previousVersion, namespace, revision, dryRun, ready, objects } = report;
  const seconds = (report.elapsedMs / 1000).toFixed(1);
  const place = `in namespace ${namespace}${revision === 'default' ? '' : ` as revision ${revision}`}`;
  const changed = objects.filter(({ outcome }) => outcome !== 'unchanged' && outcome !== 'left');
  const details = previousVersion === undefined && !dryRun ? [] : changed.map(lineOf);
  const from =
    previousVersion === undefined || previousVersion === version ? '' : `${previousVersion} → `;
  const head = dryRun
    ? `Tulle ${from}${version} ${place} would be: ${summaryOf(objects)}. Nothing was changed.`
    : `Tulle ${from}${version} is ${ready ? 'ready' : 'applied'} ${place} after ${seconds} s.`;
  return `${[...details, head].join('\n')}\n${dryRun ? '' : NEXT}`;
}

function lineOf({ object, outcome, changes = [] }: ObjectReport): string {
  const shown = changes.slice(0, 6).join(', ');
  const more = changes.length > 6 ? ` and ${changes.length - 6} more` : '';
  return `  ${outcome.padEnd(8)} ${object}${shown === '' ? '' : `: ${shown}${more}`}`;
}

const NEXT = `
next:
  tulle enroll NAMESPACE                                capture its pods: mTLS and policy, without a restart
  tulle waypoint apply -n NAMESPACE --enroll-namespace  HTTP routing, retries and policy for its services
  tulle status                                          health of every part
`;
