/**
 * The memory-mesh case: a lab with a control plane, so everything that a node proxy does in a mesh is loaded and runs.
 * All pods are on one node, each with a service account, hence a certificate, of its own; none has traffic.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { eventually, startLab, type TestLab } from '#test/support/lab.ts';
import type { CaseOptions } from './cases.ts';
import { emptyRow } from './measure.ts';
import { usageOf } from './process-usage.ts';
import type { BenchRow } from './report.ts';
import type { Subject } from './subjects/subject.ts';

const NAME = 'memory-mesh';
const NAMESPACE = 'many';
const NODE = 'node1';
const NODES = 2;
const CAPTURE_TIMEOUT_MS = 120_000;
/** Code is given back a second time after four times as long; capturing takes a part of it. */
const CODE_AGAIN = 3;

export async function runMeshMemory(subject: Subject, options: CaseOptions): Promise<BenchRow[]> {
  if (subject.capture !== 'own') return [];
  const { pods, settleMs } = options;
  const lab = await startLab(['--nodes', String(NODES)]);
  try {
    const rows: BenchRow[] = [];
    const settled = async (load: string, words: string) => {
      await sleep(systemClock, settleMs);
      rows.push(sample(subject, load, lab.processes(words)));
    };
    await sleep(systemClock, options.codeSettleMs);
    await settled('node proxy, no pods', 'role node');
    // Two steps: what the first pods make the process load and compile is not what a pod adds.
    const half = Math.floor(pods / 2);
    await capture(lab, 0, half);
    await settled(`node proxy, ${half} pods just captured`, 'role node');
    await capture(lab, half, pods);
    await settled(`node proxy, ${pods} pods just captured`, 'role node');
    await sleep(systemClock, CODE_AGAIN * options.codeSettleMs);
    await settled(`node proxy, ${pods} pods`, 'role node');
    await succeed(lab.tulle('waypoint', 'apply', '-n', NAMESPACE));
    await eventually('the waypoint', async () => lab.processes('role waypoint')[0]);
    await settled('waypoint', 'role waypoint');
    const [, before, after, node, waypoint] = rows;
    return [...rows, addedPod(before, after, pods - half), meshOf(node, waypoint)];
  } finally {
    await lab.down();
  }
}

async function capture(lab: TestLab, from: number, to: number): Promise<void> {
  const file = join(lab.home, 'pods.json');
  writeFileSync(file, manifestOf(from, to));
  await succeed(lab.tulle('apply', '-f', file));
  const all = async () => ((await capturedPods(lab)) === to ? true : undefined);
  await eventually(`${to} captured pods`, all, CAPTURE_TIMEOUT_MS);
}

/** The heaviest of the processes. */
function sample(subject: Subject, load: string, pids: readonly number[]): BenchRow {
  const [heaviest] = pids.map((pid) => usageOf([pid])).toSorted((a, b) => b.rssMiB - a.rssMiB);
  const row = emptyRow({ case: NAME, subject, pids }, 0, load);
  return { ...row, rssMiB: heaviest.rssMiB, privateMiB: heaviest.privateMiB };
}

function addedPod(before: BenchRow, after: BenchRow, pods: number): BenchRow {
  // All that a pod adds is private; the rest comes and goes with what runs at the moment.
  const added = ((after.privateMiB ?? 0) - (before.privateMiB ?? 0)) / pods;
  return { ...before, load: 'each added pod', rssMiB: added, privateMiB: added };
}

/** Every node reckoned with all the pods. */
function meshOf(node: BenchRow, waypoint: BenchRow): BenchRow {
  const sum = (name: 'rssMiB' | 'privateMiB') => NODES * (node[name] ?? 0) + (waypoint[name] ?? 0);
  return {
    ...node,
    load: 'mesh of 100 pods',
    rssMiB: sum('rssMiB'),
    privateMiB: sum('privateMiB'),
  };
}

async function capturedPods(lab: TestLab): Promise<number> {
  const { stdout } = await succeed(lab.tulle('get', 'pods', '-n', NAMESPACE, '-o', 'json'));
  return stdout.split('"ambient.istio.io/redirection": "enabled"').length - 1;
}

async function succeed<T extends { status: number; stderr: string }>(running: Promise<T>) {
  const result = await running;
  if (result.status === 0) return result;
  throw new MeshError('BENCH_COMMAND_FAILED', result.stderr.trim(), {
    side: 'self',
    hint: 'apt-get install kubernetes-client iproute2 nftables util-linux',
  });
}

function manifestOf(from: number, to: number): string {
  const items = Array.from({ length: to - from }, (_, index) => {
    const metadata = { namespace: NAMESPACE, name: `pod-${from + index}` };
    return [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata,
        spec: {
          nodeName: NODE,
          serviceAccountName: metadata.name,
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'app', image: 'host', command: ['sleep', '3600'] }],
        },
      },
    ];
  }).flat();
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: NAMESPACE, labels: { 'istio.io/dataplane-mode': 'ambient' } },
  };
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [namespace, ...items] });
}
