/** One run of the suite's program: its output goes to a log, its verdicts come back. */
import { createWriteStream } from 'node:fs';
import type { KubeCluster } from '#test/kube/cluster.ts';
import { type Suite, suiteCommand } from './suite.ts';

export type TestResult = 'PASS' | 'FAIL' | 'SKIP';

export interface SuiteOutcome {
  code: number;
  /** By their short names. */
  tests: Map<string, TestResult>;
  /** What the log says about those that failed, without what they waited for. */
  complaints: string[];
}

export async function runSuite(
  cluster: KubeCluster,
  { suite, flags, log: path }: { suite: Suite; flags: readonly string[]; log: string },
): Promise<SuiteOutcome> {
  const log = createWriteStream(path);
  const child = Bun.spawn(suiteCommand(cluster, suite, flags), {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const tests = new Map<string, TestResult>();
  const complaints: string[] = [];
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const line of linesOf(stream)) {
      log.write(`${line}\n`);
      const test = /^ {4}--- (FAIL|SKIP|PASS): TestConformance\/(\S+)/.exec(line);
      if (test !== null) tests.set(test[2], test[1] as TestResult);
      if (/^\s*(Error:|Messages:|Test:|--- FAIL|panic:)/.test(line)) complaints.push(line.trim());
    }
  };
  await Promise.all([read(child.stdout), read(child.stderr)]);
  log.end();
  return { code: await child.exited, tests, complaints };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    yield* lines;
  }
  if (text !== '') yield text;
}
