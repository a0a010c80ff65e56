/**
 * Tulle's HBONE pair: one node proxy process for each of two nodes, capture and telemetry on, and an ALLOW policy in
 * force: only the client's identity may reach the server's namespace.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Authorization, AuthorizationMatch } from '#model/authorization/authorization.ts';
import { NO_MATCH } from '#model/authorization/authorization.ts';
import { namespaceScope } from '#model/telemetry/scopes.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import { CLIENT, podNames, SERVER, type StarPod } from '../topology.ts';
import { type BenchContext, type Certificates, type PairOptions, startProcess } from './subject.ts';

/** The launcher, as a user starts it. */
const TULLE = join(import.meta.dir, '../../../tulle');
const NAMESPACE = 'bench';
/** Capturing a pod takes some 50 ms when the machine is busy. */
const START_TIMEOUT_MS = 60_000;

/** The idle connections of the memory case are one pod's: more than its share of a process with 20,000 descriptors. */
const POD_LIMITS = ['inbound-connections', 'outbound-connections', 'streams'].flatMap((name) => [
  `--pod-${name}-max`,
  '12000',
]);

export interface Pod {
  name: string;
  addresses: string[];
  certificates: Certificates;
}

export async function startTullePair(
  context: BenchContext,
  { pods, telemetry }: PairOptions & { telemetry?: ScopedTelemetry },
): Promise<number[]> {
  const further = [CLIENT, SERVER].flatMap(({ name }) => podNames(name, pods - 1));
  const names = [CLIENT.name, SERVER.name, ...further];
  const certificates = await context.certificates(names);
  const all = names.map((name, index) => ({
    name,
    addresses: [addressOf(name, index)],
    certificates: certificates[index],
  }));
  const [client] = certificates;
  const mesh = {
    workloads: all.map(({ name, addresses }) => workloadOf(name, addresses)),
    authorizations: [allowOnly(client.principal)],
    ...(telemetry && { telemetry: [{ ...telemetry, scope: namespaceScope(NAMESPACE) }] }),
  };
  const ofNode = (name: string) => all.filter((pod) => pod.name.startsWith(name));
  // The server first: the client's first dial must find it.
  const serverPid = await startNode(context, {
    name: SERVER.name,
    mesh,
    pods: ofNode(SERVER.name),
  });
  const clientPid = await startNode(context, {
    name: CLIENT.name,
    mesh,
    pods: ofNode(CLIENT.name),
  });
  return [clientPid, serverPid];
}

/** One node proxy for all of these pods, no policy. */
export async function startStarNode(
  context: BenchContext,
  pods: readonly StarPod[],
): Promise<number> {
  const certificates = await context.certificates(pods.map(({ name }) => name));
  const workloads = pods.map(({ name, address }) => workloadOf(name, [address]));
  return startNode(context, {
    name: 'star',
    mesh: { workloads },
    pods: pods.map(({ name, address }, index) => ({
      name,
      addresses: [address],
      certificates: certificates[index],
    })),
  });
}

/** Further pods carry no traffic: any address that no other has. */
function addressOf(name: string, index: number): string {
  const known = [CLIENT, SERVER].find((pod) => pod.name === name);
  return known?.address ?? `198.18.${1 + (index >> 8)}.${index & 255}`;
}

export const workloadOf = (name: string, addresses: string[]) => ({
  namespace: NAMESPACE,
  name,
  serviceAccount: name,
  addresses,
  protocol: 'hbone',
});

export function allowOnly(principal: string): Authorization {
  const match: AuthorizationMatch = {
    ...NO_MATCH,
    principals: [{ kind: 'exact', value: principal.replace(/^spiffe:\/\//, '') }],
  };
  return {
    namespace: NAMESPACE,
    name: 'only-the-client',
    scope: 'namespace',
    action: 'allow',
    rules: [{ clauses: [[match]] }],
    dryRun: false,
  };
}

export async function startNode(
  context: BenchContext,
  options: { name: string; mesh: object; pods: readonly Pod[] },
): Promise<number> {
  const { name, mesh, pods } = options;
  const file = join(context.directory, `tulle-${name}.json`);
  const entries = pods.map((pod) => ({
    namespace: NAMESPACE,
    name: pod.name,
    serviceAccount: pod.name,
    netns: `/run/netns/${pod.name}`,
    capture: true,
    certificateFile: pod.certificates.chainFile,
    keyFile: pod.certificates.keyFile,
    rootFile: pod.certificates.rootFile,
  }));
  writeFileSync(file, JSON.stringify({ ...mesh, pods: entries }));
  const free = ['--admin-port', '0', '--metrics-port', '0', '--readiness-port', '0'];
  const child = await startProcess(context, {
    name: `tulle-${name}`,
    command: [TULLE, 'role', 'node', '--static', file, ...free, ...POD_LIMITS],
    // The last pod's listener is the last thing that opens.
    namespace: pods[pods.length - 1].name,
    port: 15008,
    timeoutMs: START_TIMEOUT_MS,
  });
  return child.pid;
}
