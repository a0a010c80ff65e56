/**
 * The chained plugin: holds each new pod until the node agent has captured it. It changes nothing itself, keeps nothing and
 * passes on what the plugins before it made.
 *
 * Fail closed: a pod that may be of the mesh does not start while nobody can say. Only what needs no agent goes on without
 * one: other things than pods, and pods of the namespaces that the configuration excludes.
 */
import { messageOf } from '#base/errors.ts';
import { badConfiguration, CNI_PLUGIN, type PluginConfig, pluginConfigOf } from './config.ts';
import {
  CNI_CODE,
  CNI_VERSIONS,
  CniError,
  type CniFailure,
  type CniPod,
  type Invocation,
  invocationOf,
} from './protocol.ts';

/** What the agent answered. */
export interface AgentAnswer {
  readonly status: number;
  /** Why not; empty for 200. */
  readonly error: string;
  readonly hint: string;
}

export interface AgentQuestion {
  readonly socket: string;
  readonly path: '/cmdadd' | '/cmdcheck';
  readonly pod: CniPod;
  readonly netns: string;
}

/** Rejects when nobody answers. */
export type AskAgent = (question: AgentQuestion) => Promise<AgentAnswer>;

export interface CniOutcome {
  readonly exitStatus: number;
  readonly stdout: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export async function runPlugin(
  { env, stdin }: { env: Environment; stdin: string },
  ask: AskAgent,
): Promise<CniOutcome> {
  try {
    return { exitStatus: 0, stdout: await answer(invocationOf(env), stdin, ask) };
  } catch (error) {
    const failure = failureOf(error);
    const stdout = JSON.stringify({ cniVersion: versionIn(stdin), ...failure });
    return { exitStatus: 1, stdout: `${stdout}\n` };
  }
}

async function answer(invocation: Invocation, stdin: string, ask: AskAgent): Promise<string> {
  switch (invocation.command) {
    case 'VERSION':
      return line({ cniVersion: versionIn(stdin), supportedVersions: CNI_VERSIONS });
    case 'ADD': {
      const config = pluginConfigOf(stdin);
      const result = previousResult(config);
      await hold(config, invocation, { ask, path: '/cmdadd' });
      return line({ ...result, cniVersion: config.cniVersion });
    }
    case 'CHECK': {
      const config = pluginConfigOf(stdin);
      previousResult(config);
      await hold(config, invocation, { ask, path: '/cmdcheck' });
      return '';
    }
    case 'STATUS':
      // A node whose plugins are not ready gets no pods at all and loses those it has after a while: an agent that is away
      // for a moment is no reason. ADD says it, of the pods that it concerns.
      pluginConfigOf(stdin);
      return '';
    default:
      // DEL and GC: nothing is kept here. The agent sees in the API that a pod is gone.
      return '';
  }
}

async function hold(
  config: PluginConfig,
  { pod, netns }: Invocation,
  { ask, path }: { ask: AskAgent; path: AgentQuestion['path'] },
): Promise<void> {
  if (pod === undefined || config.excludeNamespaces.includes(pod.namespace)) return;
  const name = `${pod.namespace}/${pod.name}`;
  const socket = config.agentSocket;
  let said: AgentAnswer;
  try {
    said = await ask({ socket, path, pod, netns });
  } catch (error) {
    throw new CniError({
      code: CNI_CODE.tryAgainLater,
      msg: `${CNI_PLUGIN}: ${name} must not start uncaptured, and the mesh's agent on this node does not answer`,
      details: `${socket}: ${messageOf(error)}; the kubelet tries again. Is the agent running here? kubectl get pods -A -l app=ztunnel -o wide`,
    });
  }
  if (said.status === 200) return;
  throw new CniError({
    code: CNI_CODE.tryAgainLater,
    msg: `${CNI_PLUGIN}: ${name} is not captured: ${said.error}`,
    details: said.hint || 'the log of the agent on this node: kubectl logs -A -l app=ztunnel',
  });
}

function previousResult({ prevResult }: PluginConfig): Record<string, unknown> {
  if (prevResult !== undefined) return prevResult;
  throw badConfiguration('no prevResult: it must come after the plugin that makes the network');
}

function failureOf(error: unknown): CniFailure {
  if (error instanceof CniError) return error.failure;
  return { code: CNI_CODE.ioFailure, msg: `${CNI_PLUGIN}: ${messageOf(error)}`, details: '' };
}

/** Answers carry the caller's version, whatever else is wrong with what it sent. */
function versionIn(stdin: string): string {
  try {
    const { cniVersion } = JSON.parse(stdin) as { cniVersion?: unknown };
    if (typeof cniVersion === 'string') return cniVersion;
  } catch {
    // Then it has said none.
  }
  return CNI_VERSIONS.at(-1) ?? '';
}

const line = (value: object) => `${JSON.stringify(value)}\n`;
