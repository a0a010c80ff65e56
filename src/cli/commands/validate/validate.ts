/** `tulle validate`: reads manifests, judges each by itself and prints what is wrong with it. */
import { readManifests } from '#kube/manifests.ts';
import { AnswerIsNo, UsageError } from '../../output/report.ts';
import { paletteFor } from '../../output/table.ts';
import { LEVELS, type Level, validateManifests } from '../../validate/validate.ts';
import { validationText } from './text.ts';

export interface ValidateCommandOptions {
  filename?: string[];
  namespace?: string;
  failureThreshold: string;
  output: string;
}

export function validateCommand(options: ValidateCommandOptions): void {
  const { filename, namespace, failureThreshold, output } = options;
  if (filename === undefined)
    throw new UsageError('say what to validate: -f FILE, -f FOLDER, or -f - for standard input');
  const threshold = LEVELS.indexOf(failureThreshold as Level);
  if (threshold < 0)
    throw new UsageError(`--failure-threshold ${failureThreshold}: error, warning or info`);
  const documents = validateManifests(readManifests(filename), { namespace });
  process.stdout.write(
    output === 'json'
      ? `${JSON.stringify(documents, null, 2)}\n`
      : validationText(documents, paletteFor(process.stdout, process.env)),
  );
  const fails = documents.some(({ findings }) =>
    findings.some(({ level }) => LEVELS.indexOf(level) <= threshold),
  );
  if (fails) throw new AnswerIsNo('');
}
