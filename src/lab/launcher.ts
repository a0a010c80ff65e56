/**
 * `tulle lab up|down|status` as functions; the CLI parses flags and prints errors. `labUp` runs the lab in this
 * process until a signal ends it, or hands it to a process of its own and returns when it is ready.
 */
import { existsSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { loadKubeconfig } from '#kube/client/kubeconfig.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { RestClient } from '#kube/client/rest-client.ts';
import { LAB_ERRORS } from './errors.ts';
import { type LabEvent, type ReadyEvent, readEvents } from './events.ts';
import { STOP_SIGNALS, stopOnSignals } from './host.ts';
import type { BalancedPort } from './launcher/balancers.ts';
import { LabHost, type LabOptions, restoredError } from './launcher/host.ts';
import { checkMachine, thisMachine } from './launcher/preflight.ts';
import { processStart } from './launcher/process-identity.ts';
import {
  isAlive,
  type LabRecord,
  prepareDirectory,
  readRecord,
  statePaths,
  sweep,
} from './launcher/state.ts';
import { NODES_MAX, START_TIMEOUT_MS, STOP_TIMEOUT_MS } from './limits.ts';
import { programCommand } from './program.ts';

export interface LabUpOptions {
  demo?: boolean;
  /** False: a plain cluster without the mesh's parts. */
  mesh?: boolean;
  files?: string[];
  nodes?: number;
  detach?: boolean;
  /** 20001 by default; 0 = any free one. */
  consolePort?: number;
  /** 0 = any free one. */
  apiPort?: number;
  program?: string;
}

export interface Terminal {
  progress(text: string): void;
  print(text: string): void;
}

const processTerminal: Terminal = {
  progress: (text) => void process.stderr.write(text),
  print: (text) => void process.stdout.write(text),
};

/** Returns when the lab is ready (detached) or has ended (foreground). Throws MeshError when it cannot start. */
export async function labUp(
  options: LabUpOptions,
  terminal: Terminal = processTerminal,
): Promise<void> {
  const paths = statePaths();
  const whole: LabOptions = {
    demo: options.demo ?? false,
    mesh: options.mesh ?? true,
    files: (options.files ?? []).map((file) => absolutePath(file)),
    nodes: options.nodes ?? 2,
    consolePort: options.consolePort ?? 20001,
    apiPort: options.apiPort ?? 0,
    program: options.program ?? './tulle',
  };
  if (whole.nodes > NODES_MAX) {
    const message = `--nodes ${whole.nodes}: a lab has at most ${NODES_MAX} nodes`;
    throw new MeshError('LAB_START_FAILED', message, {
      side: 'self',
      hint: `--nodes ${NODES_MAX}`,
    });
  }
  checkMachine(thisMachine());
  prepareDirectory(paths);
  const show = (event: LabEvent) => {
    if (event.event === 'step') terminal.progress(`${seconds(event.elapsedMs)}  ${event.text}\n`);
  };
  if (options.detach === true) {
    terminal.print(readyText(await startDetached(whole, show), whole));
    return;
  }
  const host = new LabHost({ clock: systemClock, paths, onEvent: show }, whole);
  stopOnSignals(host);
  const ready = await host.start();
  terminal.print(`${readyText(ready, whole)}\nCtrl-C stops the lab.\n`);
  const reason = await host.closed;
  if (reason !== undefined) throw reason;
  terminal.progress('The lab is down; nothing is left of it.\n');
}

function absolutePath(file: string): string {
  return file.startsWith('/') ? file : `${process.cwd()}/${file}`;
}

async function startDetached(
  options: LabOptions,
  show: (event: LabEvent) => void,
): Promise<ReadyEvent> {
  const child = Bun.spawn([...programCommand(), 'role', 'lab-host', JSON.stringify(options)], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
    detached: true,
    env: process.env,
  });
  const outcome = Promise.withResolvers<ReadyEvent>();
  const onEvent = (event: LabEvent) => {
    if (event.event === 'ready') outcome.resolve(event);
    else if (event.event === 'failed')
      outcome.reject(restoredError(event.code, event.message, event.hint));
    else show(event);
  };
  const ended = (detail: string) => {
    const message = `the lab's launcher ended unexpectedly${detail}`;
    outcome.reject(
      new MeshError('LAB_START_FAILED', message, {
        side: 'self',
        hint: `log: ${statePaths().log}`,
      }),
    );
  };
  const text: string[] = [];
  const reading = new AbortController();
  const onText = (line: string) => void text.push(line);
  void readEvents(child.stdout, { onEvent, onText, signal: reading.signal }).then(
    () => ended(text.length === 0 ? '' : `: ${text.slice(-3).join('; ')}`),
    (error: unknown) => ended(`: ${messageOf(error)}`),
  );
  const timer = systemClock.after(START_TIMEOUT_MS + STOP_TIMEOUT_MS, () => {
    child.kill();
    ended(' without an answer');
  });
  // It is in a session of its own, where Ctrl-C here does not reach it. What it answers ends this process.
  const stop = () => void child.kill('SIGTERM');
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  try {
    return await outcome.promise;
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, stop);
    timer.cancel();
    // The child stays; nothing of it may hold this process.
    reading.abort();
    child.unref();
  }
}

/** True when a lab was running. Sweeps what a killed one left. */
export async function labDown(): Promise<boolean> {
  const paths = statePaths();
  const record = readRecord(paths);
  if (record === undefined) return false;
  const running = isAlive(record);
  if (running) {
    process.kill(record.pid, 'SIGTERM');
    await processesGone([{ pid: record.pid, start: record.start }]);
  }
  sweep(paths, record);
  if (record.inner !== undefined) await processesGone([record.inner]);
  return running;
}

async function processesGone(processes: { pid: number; start: string }[]): Promise<void> {
  const deadline = systemClock.now() + STOP_TIMEOUT_MS;
  for (const { pid, start } of processes) {
    while (processStart(pid) === start) {
      if (systemClock.now() > deadline) {
        const message = `process ${pid} of the lab did not end in ${STOP_TIMEOUT_MS / 1000} s`;
        throw new MeshError('LAB_STOP_FAILED', message, {
          side: 'self',
          hint: LAB_ERRORS.LAB_STOP_FAILED,
        });
      }
      await new Promise<void>((resolve) => systemClock.after(20, resolve));
    }
  }
}

export interface LabPart {
  namespace: string;
  name: string;
  node: string;
  phase: string;
  ready: boolean;
  restarts: number;
  /** Why it is not ready. */
  reason?: string;
}

export interface LabStatus {
  state: 'stopped' | 'starting' | 'running';
  /** Everything in it is ready. */
  ready: boolean;
  stateDirectory: string;
  pid?: number;
  startedAt?: string;
  nodes?: number;
  consoleUrl?: string;
  apiServer?: string;
  kubeconfig?: string;
  /** Services of type LoadBalancer, and where this machine reaches them. */
  balancers?: BalancedPort[];
  parts: LabPart[];
}

/** Path of the running lab's kubeconfig, for the commands that talk to it. */
export function labKubeconfig(): string | undefined {
  const record = readRecord(statePaths());
  // Also while it starts: one that does not come up is what people want to look into.
  return record !== undefined && isAlive(record) && existsSync(record.kubeconfig)
    ? record.kubeconfig
    : undefined;
}

/** `http://127.0.0.1:PORT` of the running lab's console and API. */
export function labConsoleUrl(): string | undefined {
  const record = readRecord(statePaths());
  return record !== undefined && isAlive(record)
    ? `http://127.0.0.1:${record.consolePort}`
    : undefined;
}

export async function labStatus(): Promise<LabStatus> {
  const paths = statePaths();
  const record = readRecord(paths);
  if (record === undefined || !isAlive(record))
    return { state: 'stopped', ready: false, stateDirectory: paths.directory, parts: [] };
  const base = { ...describe(record), stateDirectory: paths.directory };
  if (record.phase === 'starting') return { ...base, state: 'starting', ready: false, parts: [] };
  const client = new RestClient(
    { fetch: (url, init) => fetch(url, init) },
    loadKubeconfig(record.kubeconfig),
  );
  const { items } = await client.list<Pod>(RESOURCES.pods);
  const parts = items.map(partOf);
  return { ...base, state: 'running', ready: parts.every((part) => part.ready), parts };
}

function describe(record: LabRecord) {
  return {
    pid: record.pid,
    startedAt: record.startedAt,
    nodes: record.nodes,
    consoleUrl: `http://127.0.0.1:${record.consolePort}`,
    apiServer: `https://127.0.0.1:${record.apiPort}`,
    kubeconfig: record.kubeconfig,
    balancers: record.balancers ?? [],
  };
}

export function partOf(pod: Pod): LabPart {
  const { status = {} } = pod;
  const condition = status.conditions?.find((entry) => entry.type === 'Ready');
  const waiting = status.containerStatuses?.find((entry) => entry.state?.waiting !== undefined)
    ?.state?.waiting;
  const done = status.phase === 'Succeeded';
  const reason =
    waiting === undefined ? condition?.message : `${waiting.reason}: ${waiting.message ?? ''}`;
  const ready = done || condition?.status === 'True';
  return {
    namespace: pod.metadata.namespace ?? '',
    name: pod.metadata.name,
    node: pod.spec.nodeName ?? '',
    phase: status.phase ?? 'Pending',
    ready,
    restarts: (status.containerStatuses ?? []).reduce((sum, entry) => sum + entry.restartCount, 0),
    ...(ready || reason === undefined ? {} : { reason }),
  };
}

function seconds(elapsedMs: number): string {
  return `${(elapsedMs / 1000).toFixed(1)} s`.padStart(7);
}

function readyText(ready: ReadyEvent, options: LabOptions): string {
  const lines = [
    `The lab is ready (${options.nodes} nodes, ${(ready.elapsedMs / 1000).toFixed(1)} s).`,
    '',
    `  console     ${ready.consoleUrl}`,
    `  kubeconfig  ${ready.kubeconfig}`,
    `  API         ${ready.apiServer}`,
    '',
    ...ready.done.map((sentence) => `- ${sentence}`),
    ...(ready.done.length > 0 ? [''] : []),
    'Next:',
    `  export KUBECONFIG=${ready.kubeconfig}`,
    ...ready.next.flatMap(({ command, shows }) => [`  # ${shows}`, `  ${command}`]),
  ];
  return `${lines.join('\n')}\n`;
}
