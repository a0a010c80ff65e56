/** What `tulle lab up|down|status` do: the lab's functions, with their answers as text or JSON. */
import { type LabStatus, labDown, labStatus, labUp } from '#lab/launcher.ts';
import { AnswerIsNo } from '../../output/report.ts';
import { formatTable, paletteFor } from '../../output/table.ts';

export interface UpOptions {
  demo?: boolean;
  filename: string[];
  nodes: number;
  detach?: boolean;
  consolePort: number;
  apiPort: number;
}

export async function up(options: UpOptions): Promise<void> {
  const { filename, ...rest } = options;
  await labUp({ ...rest, files: filename });
}

export async function down(): Promise<void> {
  const wasRunning = await labDown();
  process.stdout.write(
    wasRunning ? 'The lab is down; nothing is left of it.\n' : 'No lab was running.\n',
  );
}

/** Exit 1 unless the lab runs and everything in it is ready. */
export async function status(options: { output: string }): Promise<void> {
  const answer = await labStatus();
  process.stdout.write(
    options.output === 'json' ? `${JSON.stringify(answer, null, 2)}\n` : formatLabStatus(answer),
  );
  if (!answer.ready) throw new AnswerIsNo('');
}

function formatLabStatus(answer: LabStatus): string {
  if (answer.state === 'stopped') return 'No lab is running. Start one: tulle lab up --demo\n';
  const paint = paletteFor(process.stdout, process.env);
  const head = [
    `state       ${answer.state}${answer.ready ? ', everything ready' : ''}`,
    `console     ${answer.consoleUrl ?? '-'}`,
    `API         ${answer.apiServer ?? '-'}`,
    `kubeconfig  ${answer.kubeconfig ?? '-'}`,
    ...(answer.balancers ?? []).map(
      ({ service, port, address, hostPort }) =>
        `balancer    ${address}:${hostPort} is port ${port} of Service ${service}`,
    ),
  ];
  const rows = answer.parts.map((part) => [
    part.namespace,
    part.name,
    part.node || '-',
    part.ready ? paint('green', 'ready') : paint('red', part.phase.toLowerCase()),
    String(part.restarts),
    part.reason ?? '',
  ]);
  return `${head.join('\n')}\n\n${formatTable(['NAMESPACE', 'POD', 'NODE', 'STATE', 'RESTARTS', 'REASON'], rows)}`;
}
