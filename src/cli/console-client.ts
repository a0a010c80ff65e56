/**
 * Asks the control plane's API (port 20001, docs/openapi.json): at $TULLE_CONSOLE, of the running lab, or of a control plane pod of the cluster that
 * the command talks to, through the API server's port forwarding: whoever may forward a port to it may ask. A token of the kubeconfig goes along, and
 * then the answer is about the namespaces whose pods its user may list.
 */
import type { Command } from 'commander';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { ErrorAnswer } from '#console/api/mesh.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type Cluster, clusterFor } from './cluster.ts';
import { CLI_ERRORS } from './errors.ts';
import { UsageError } from './output/report.ts';
import { openPodPort, type PodPortTarget } from './pod-port.ts';
import { readRunningLab } from './running-lab.ts';

const TIMEOUT_MS = 10_000;
export const CONSOLE_PORT = 20001;
/** As Istio labels its control plane. */
const CONTROL_SELECTOR = 'app=istiod';
/** Where the mesh is when nobody said otherwise. */
const MESH_NAMESPACE = 'istio-system';

/** `body` is sent as JSON by POST. */
export async function askConsole<T>(command: Command, path: string, body?: unknown): Promise<T> {
  using console = await reachConsole(command);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const init: RequestInit =
    body === undefined
      ? { signal }
      : {
          signal,
          method: 'POST',
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        };
  const response = await console.ask(path, init);
  try {
    return (await response.json()) as T;
  } catch (error) {
    throw unanswered(
      `the control plane at ${console.name} broke off its answer to ${path}`,
      messageOf(error),
    );
  }
}

export interface ConsoleEvent {
  readonly event: string;
  readonly data: unknown;
}

/** Server-sent events as they come; ends when the stream or the reader does. */
export async function* consoleEvents(
  command: Command,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<ConsoleEvent> {
  using console = await reachConsole(command);
  const response = await console.ask(path, { signal });
  if (response.body === null) return;
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const each of events) {
        const event = parseEvent(each);
        if (event !== undefined) yield event;
      }
    }
  } catch (error) {
    if (!signal.aborted)
      throw unanswered(`the control plane at ${console.name} broke off ${path}`, messageOf(error));
  }
}

/** Undefined: a comment that keeps the connection open. */
export function parseEvent(text: string): ConsoleEvent | undefined {
  const [, event, data] = /^event: (\S+)\ndata: (.*)$/s.exec(text.trim()) ?? [];
  return event === undefined ? undefined : { event, data: JSON.parse(data) };
}

interface ReachedConsole extends Disposable {
  readonly name: string;
  /** Resolves with a 2xx answer. */
  ask(path: string, init: RequestInit): Promise<Response>;
}

async function reachConsole(command: Command): Promise<ReachedConsole> {
  const base = consoleUrl(command);
  if (base !== undefined) {
    const send = async (path: string, init: RequestInit) => {
      try {
        return await fetch(base + path, init);
      } catch (error) {
        throw unanswered(`the control plane at ${base} did not answer ${path}`, messageOf(error));
      }
    };
    return { name: base, ask: checked(send), [Symbol.dispose]: () => undefined };
  }
  const cluster = clusterFor(command);
  const target = await controlPod(cluster);
  const port = openPodPort(cluster, target);
  const token = cluster.connection.token?.();
  const authorization: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  const send = (path: string, init: RequestInit) =>
    port.fetch(path, {
      ...init,
      headers: { ...(init.headers as Record<string, string>), ...authorization },
    });
  return {
    name: `pod ${target.namespace}/${target.name}`,
    ask: checked(send),
    [Symbol.dispose]: () => port[Symbol.dispose](),
  };
}

function checked(send: ReachedConsole['ask']): ReachedConsole['ask'] {
  return async (path, init) => {
    const response = await send(path, init);
    if (response.ok) return response;
    throw refused(path, response.status, await response.text());
  };
}

/** What was asked wrongly is told by the flag that said it: members of a query are called as flags are, but for these. */
const FLAGS: Readonly<Record<string, string>> = {
  namespaces: 'namespace',
  workloads: 'workload',
  services: 'service',
  methods: 'method',
  pathPrefix: 'path',
  perSecond: 'per-second',
};

/** `why` answers requests that it cannot judge with 400 and its own words. */
export function refused(path: string, status: number, text: string): MeshError | UsageError {
  let answer: Partial<ErrorAnswer> = {};
  try {
    answer = JSON.parse(text) as Partial<ErrorAnswer>;
  } catch (error) {
    answer = { error: `${text.slice(0, 200)} (${messageOf(error)})` };
  }
  const { error = '', field, hint } = answer;
  if (status === 400) {
    const flag = field === undefined ? '' : `--${FLAGS[field] ?? field}: `;
    const said = error.startsWith(`${field}: `) ? error.slice(`${field}: `.length) : error;
    return new UsageError(`${flag}${said}${hint === undefined ? '' : `\n  try: ${hint}`}`);
  }
  const message = `${path.split('?', 1)[0]}: ${answer.error ?? text.slice(0, 500)} (${status})`;
  return new MeshError('CLI_CONSOLE_REFUSED', message, {
    side: 'upstream',
    hint: answer.hint ?? CLI_ERRORS.CLI_CONSOLE_REFUSED,
  });
}

/** Undefined: not to be reached without the API server. */
export function consoleUrl(command: Command): string | undefined {
  if (process.env.TULLE_CONSOLE) return process.env.TULLE_CONSOLE.replace(/\/$/, '');
  const lab = readRunningLab();
  const { kubeconfig = process.env.KUBECONFIG || undefined } = command.optsWithGlobals<{
    kubeconfig?: string;
  }>();
  const isLab = kubeconfig === undefined || kubeconfig === lab?.kubeconfig;
  return isLab ? lab?.consoleUrl : undefined;
}

/** One that is ready. */
export async function controlPod({ client }: Pick<Cluster, 'client'>): Promise<PodPortTarget> {
  const items = await controlPods(client);
  const ready = items.find(({ status }) =>
    status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  );
  if (ready === undefined) {
    const found =
      items.length === 0 ? 'no pod is labelled' : `none of ${items.length} pods is ready that are`;
    throw unanswered(`the cluster runs no control plane: ${found} ${CONTROL_SELECTOR}`);
  }
  const { namespace = '', name } = ready.metadata;
  return { namespace, name, port: CONSOLE_PORT };
}

/** Who may not list the pods of all namespaces may still use those of the mesh. */
async function controlPods(client: KubeClient): Promise<Pod[]> {
  const selection = { labelSelector: CONTROL_SELECTOR };
  try {
    return (await client.list<Pod>(RESOURCES.pods, selection)).items;
  } catch (error) {
    if (!isMeshError(error, 'KUBE_FORBIDDEN')) throw error;
    const own = { ...selection, namespace: MESH_NAMESPACE };
    return (await client.list<Pod>(RESOURCES.pods, own)).items;
  }
}

function unanswered(message: string, cause?: string): MeshError {
  const hint = CLI_ERRORS.CLI_NO_CONSOLE;
  return new MeshError('CLI_NO_CONSOLE', message, { side: 'upstream', hint, cause });
}
