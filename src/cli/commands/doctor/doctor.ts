/** `tulle doctor`: what of this machine and cluster keeps the lab and Tulle from running, each with what to do. */
import type { Command } from 'commander';
import { isMeshError, messageOf } from '#base/errors.ts';
import { type Cluster, clusterFor } from '../../cluster.ts';
import { judgeCluster } from '../../doctor/cluster.ts';
import { clusterFacts } from '../../doctor/cluster-facts.ts';
import { type Diagnosis, diagnosis, wrong } from '../../doctor/finding.ts';
import { judgeMachine } from '../../doctor/machine.ts';
import { machineFacts } from '../../doctor/machine-facts.ts';
import { AnswerIsNo } from '../../output/report.ts';
import { paletteFor } from '../../output/table.ts';
import { doctorText } from './text.ts';

export interface DoctorAnswer {
  readonly machine?: Diagnosis;
  readonly cluster?: Diagnosis & { readonly server: string };
}

export async function doctor(
  what: 'machine' | 'cluster' | undefined,
  { output }: { output: string },
  command: Command,
): Promise<void> {
  const answer: DoctorAnswer = {
    ...(what !== 'cluster' && { machine: judgeMachine(await machineFacts()) }),
    ...(what !== 'machine' && (await ofCluster(command, what === 'cluster'))),
  };
  process.stdout.write(
    output === 'json'
      ? `${JSON.stringify(answer, null, 2)}\n`
      : doctorText(answer, paletteFor(process.stdout, process.env)),
  );
  const cannot = [answer.machine, answer.cluster].some((each) => each?.canRun === false);
  if (cannot) throw new AnswerIsNo('');
}

async function ofCluster(
  command: Command,
  isWanted: boolean,
): Promise<Pick<DoctorAnswer, 'cluster'>> {
  let cluster: Cluster;
  try {
    cluster = clusterFor(command);
  } catch (error) {
    // Nobody said that there is one.
    if (!isWanted && isMeshError(error, 'CLI_NO_CLUSTER')) return {};
    throw error;
  }
  const { server } = cluster.connection;
  return { cluster: { server, ...(await judged(cluster)) } };
}

async function judged({ client }: Cluster): Promise<Diagnosis> {
  try {
    return judgeCluster(await clusterFacts(client));
  } catch (error) {
    if (!isMeshError(error)) throw error;
    const remedy = error.hint === '' ? 'kubectl cluster-info' : error.hint;
    return diagnosis([wrong('server', 'error', { message: messageOf(error), remedy })]);
  }
}
