/** The answer of `tulle doctor` for people. */
import type { Diagnosis, Finding } from '../../doctor/finding.ts';
import type { Colour, Palette } from '../../output/table.ts';
import type { DoctorAnswer } from './doctor.ts';

const COLOURS: Record<Finding['level'], Colour> = { ok: 'green', warning: 'yellow', error: 'red' };
const LEVEL_WIDTH = 'warning'.length;

export function doctorText({ machine, cluster }: DoctorAnswer, paint: Palette): string {
  return [
    ...(machine === undefined
      ? []
      : [
          part('this machine, for the lab', machine, paint),
          verdict(machine, 'the lab can run here', 'the lab cannot run here'),
        ]),
    ...(cluster === undefined
      ? []
      : [
          part(`the cluster at ${cluster.server}`, cluster, paint),
          verdict(cluster, 'Tulle can run on it', 'Tulle cannot run on it'),
        ]),
  ].join('');
}

function part(title: string, { findings }: Diagnosis, paint: Palette): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const indent = ' '.repeat(LEVEL_WIDTH + width + 6);
  const lines = findings.flatMap(({ check, level, message, remedy }) => [
    `  ${paint(COLOURS[level], level.padEnd(LEVEL_WIDTH))}  ${check.padEnd(width)}  ${message}`,
    ...(remedy === undefined ? [] : [`${indent}try: ${remedy}`]),
  ]);
  return `${paint('bold', title)}\n${lines.join('\n')}\n`;
}

function verdict({ canRun, findings }: Diagnosis, yes: string, no: string): string {
  const count = (level: Finding['level']) => findings.filter((each) => each.level === level).length;
  const [errors, warnings] = [count('error'), count('warning')];
  const counts = [
    ...(errors > 0 ? [`${errors} ${errors === 1 ? 'error' : 'errors'}`] : []),
    ...(warnings > 0 ? [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`] : []),
  ];
  return `${canRun ? yes : no}${counts.length === 0 ? '' : `: ${counts.join(', ')}`}\n\n`;
}
