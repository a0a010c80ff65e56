/** Tulle's HBONE pair: one node proxy process for each of the two pods, capture, policy and telemetry on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLIENT, SERVER } from '../topology.ts';
import { type BenchContext, type Certificates, startProcess } from './subject.ts';

const ENTRY = join(import.meta.dir, '../../../src/cli/main.ts');

interface Pod {
  name: string;
  address: string;
  certificates: Certificates;
}

export async function startTullePair(context: BenchContext): Promise<number[]> {
  const { client, server } = await context.certificates();
  const pods = [
    { ...CLIENT, certificates: client },
    { ...SERVER, certificates: server },
  ];
  const workloads = pods.map(({ name, address }) => ({
    namespace: 'bench',
    name,
    serviceAccount: name,
    addresses: [address],
    protocol: 'hbone',
  }));
  const start = (pod: Pod, port: number) => startNode(context, { workloads, pod, port });
  // The server first: the client's first dial must find it.
  const serverPid = await start(pods[1], 15008);
  return [await start(pods[0], 15008), serverPid];
}

function startNode(
  context: BenchContext,
  options: { workloads: object[]; pod: Pod; port: number },
): Promise<number> {
  const { workloads, pod, port } = options;
  const { name, certificates } = pod;
  const file = join(context.directory, `tulle-${name}.json`);
  const entry = {
    namespace: 'bench',
    name,
    serviceAccount: name,
    netns: `/run/netns/${name}`,
    capture: true,
    certificateFile: certificates.chainFile,
    keyFile: certificates.keyFile,
    rootFile: certificates.rootFile,
  };
  writeFileSync(file, JSON.stringify({ workloads, pods: [entry] }));
  const free = ['--admin-port', '0', '--metrics-port', '0', '--readiness-port', '0'];
  return startProcess(context, {
    name: `tulle-${name}`,
    command: [process.execPath, ENTRY, 'role', 'node', '--static', file, ...free],
    namespace: name,
    port,
  });
}
