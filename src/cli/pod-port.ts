/**
 * A port of a pod, also one that listens on loopback there, as a local unix socket or port: through `pods/portforward` of the API
 * server in the WebSocket form that every kubelet speaks (v4.channel.k8s.io: channel 0 bytes, channel 1 errors, each
 * beginning with the port's number). Whoever may port-forward to the pod may use it, nothing else is needed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket, SocketHandler } from 'bun';
import { MeshError, messageOf } from '#base/errors.ts';
import { Outbox } from '#net/pipe/outbox.ts';
import type { Cluster } from './cluster.ts';
import { CLI_ERRORS } from './errors.ts';

const SUBPROTOCOL = 'v4.channel.k8s.io';
const CHANNEL = { data: 0, error: 1 } as const;
const PORT_BYTES = 2;

export interface PodPort extends Disposable {
  /** Over HTTP; whatever the pod answers. Rejects where it cannot be reached. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Over HTTP; a status that is not of the 200s is an error with what the pod said. */
  ask(path: string, init?: RequestInit): Promise<Response>;
}

export interface PodPortTarget {
  namespace: string;
  name: string;
  port: number;
}

interface Local {
  outbox: Outbox;
  remote: WebSocket;
  /** Nothing more comes from the pod. */
  ended: boolean;
}

export function openPodPort(cluster: Cluster, target: PodPortTarget): PodPort {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-port-'));
  const unix = join(directory, 'socket');
  const clean = () => rmSync(directory, { recursive: true, force: true });
  // Also when the reader of our output goes away.
  process.once('exit', clean);
  const state: Forwarding = { open: new Set(), failure: undefined };
  const listener = Bun.listen<Local>({ unix, socket: handlers(cluster, target, state) });
  const own = async (path: string, init?: RequestInit) => {
    state.failure = undefined;
    try {
      const headers = { ...(init?.headers as Record<string, string>), connection: 'close' };
      return await fetch(`http://localhost${path}`, { ...init, headers, unix });
    } catch (error) {
      throw unreachable(target, path, state.failure ?? messageOf(error));
    }
  };
  return {
    fetch: own,
    async ask(path, init) {
      const answer = await own(path, init);
      if (answer.ok) return answer;
      throw unreachable(target, path, `${answer.status} ${(await answer.text()).trim()}`);
    },
    [Symbol.dispose]() {
      for (const remote of state.open) remote.close();
      listener.stop(true);
      clean();
      process.removeListener('exit', clean);
    },
  };
}

export interface ForwardedPort extends Disposable {
  /** `pod namespace/name`. */
  readonly name: string;
  readonly port: number;
  /** Why the last connection did not come about. */
  readonly failure: string | undefined;
}

/** As a port of this machine. Throws CLI_PORT_TAKEN. */
export async function forwardPodPort(
  cluster: Cluster,
  target: PodPortTarget,
  at: { readonly hostname: string; readonly port: number },
): Promise<ForwardedPort> {
  const state: Forwarding = { open: new Set(), failure: undefined };
  const listener = listen(at, handlers(cluster, target, state));
  return {
    name: `pod ${target.namespace}/${target.name}`,
    port: listener.port,
    get failure() {
      return state.failure;
    },
    [Symbol.dispose]() {
      for (const remote of state.open) remote.close();
      listener.stop(true);
    },
  };
}

function listen(
  at: { readonly hostname: string; readonly port: number },
  socket: SocketHandler<Local>,
) {
  try {
    return Bun.listen<Local>({ ...at, socket });
  } catch (error) {
    throw new MeshError('CLI_PORT_TAKEN', `cannot listen on ${at.hostname}:${at.port}`, {
      side: 'self',
      hint: CLI_ERRORS.CLI_PORT_TAKEN,
      cause: error,
    });
  }
}

interface Forwarding {
  readonly open: Set<WebSocket>;
  failure: string | undefined;
}

function handlers(
  cluster: Cluster,
  target: PodPortTarget,
  state: Forwarding,
): SocketHandler<Local> {
  const fail = (why: string) => {
    state.failure ??= why;
  };
  return {
    open(local) {
      const remote = dial(cluster, target);
      state.open.add(remote);
      local.data = { remote, outbox: new Outbox(local), ended: false };
      bridge(local, remote, { fail, closed: () => state.open.delete(remote) });
    },
    data({ data: { remote } }, bytes) {
      const frame = Buffer.concat([Buffer.of(CHANNEL.data), bytes]);
      if (remote.readyState === WebSocket.OPEN) remote.send(frame);
      else remote.addEventListener('open', () => remote.send(frame), { once: true });
    },
    drain: flushed,
    close: ({ data }) => data.remote.close(),
    error: (local, error) => {
      fail(error.message);
      local.data.remote.close();
    },
  };
}

function dial({ connection }: Cluster, { namespace, name, port }: PodPortTarget): WebSocket {
  const { server, token, tls } = connection;
  const bearer = token?.();
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/portforward?ports=${port}`;
  const remote = new WebSocket(server.replace(/^http/, 'ws') + path, {
    protocols: [SUBPROTOCOL],
    headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
    tls,
  } as unknown as string[]);
  remote.binaryType = 'arraybuffer';
  return remote;
}

function bridge(
  local: Socket<Local>,
  remote: WebSocket,
  on: { fail(why: string): void; closed(): void },
): void {
  // The port's number comes first on each channel; it may come alone or with what follows.
  const skip = [PORT_BYTES, PORT_BYTES];
  remote.onmessage = ({ data }) => {
    const frame = new Uint8Array(data as ArrayBuffer);
    const channel = frame[0];
    const left = skip[channel] ?? 0;
    const payload = frame.subarray(1 + left);
    skip[channel] = Math.max(0, left - (frame.length - 1));
    if (payload.length === 0) return;
    if (channel === CHANNEL.data) local.data.outbox.push(payload);
    else if (channel === CHANNEL.error) on.fail(new TextDecoder().decode(payload).trim());
  };
  remote.onerror = (event) => {
    on.fail('message' in event ? String(event.message) : 'the API server refused the connection');
  };
  remote.onclose = () => {
    on.closed();
    local.data.ended = true;
    flushed(local);
  };
}

function flushed(local: Socket<Local>): void {
  const { outbox, ended } = local.data;
  if (outbox.flush() && ended) local.end();
}

function unreachable(
  { namespace, name, port }: PodPortTarget,
  path: string,
  why: string | undefined,
): MeshError {
  const message = `port ${port} of pod ${namespace}/${name} did not answer ${path}`;
  const hint = CLI_ERRORS.CLI_POD_PORT;
  return new MeshError('CLI_POD_PORT', message, { side: 'upstream', hint, cause: why });
}
