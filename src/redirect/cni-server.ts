/**
 * The agent's end of the CNI plugin: `POST /cmdadd` on a unix socket, before the pod's first process starts. 200
 * means captured, or not eligible; any other status makes the plugin fail the pod, so nothing runs uncaptured. `POST /cmdcheck`
 * asks the same of a pod that was added before, and captures nothing.
 *
 * The socket is made under another name and renamed: a new generation of the agent takes the path over from a running
 * one, and nobody finds it missing. `POST /yield` asks the running one to give up what both cannot have.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { REDIRECT_ERRORS } from './errors.ts';
import { YIELD_TIMEOUT_MS } from './ports.ts';

export interface CniAdd {
  podNamespace: string;
  podName: string;
  /** As the kubelet knows it; empty where the runtime does not say. */
  podUid: string;
  /** Path of the pod's network namespace. */
  netns: string;
}

export interface CniAnswer {
  captured: boolean;
  reason: string;
}

export interface CniHandlers {
  onAdd(add: CniAdd): Promise<CniAnswer>;
  /** Rejects when the pod is not as `onAdd` left it. */
  onCheck(add: CniAdd): Promise<CniAnswer>;
  onYield(): void;
}

export interface CniServer {
  /** Leaves the path alone: it may be another's by now. */
  stop(): void;
}

export function startCniServer(
  socketPath: string,
  { log, random }: { log: Logger; random: Random },
  handlers: CniHandlers,
): CniServer {
  const routes: Record<string, (request: Request) => Promise<Response> | Response> = {
    '/cmdadd': (request) => answer(request, log, (add) => handlers.onAdd(add)),
    '/cmdcheck': (request) => answer(request, log, (add) => handlers.onCheck(add)),
    '/yield': () => {
      handlers.onYield();
      return Response.json({ yielded: true });
    },
  };
  try {
    mkdirSync(dirname(socketPath), { recursive: true });
    const ownPath = `${socketPath}.${Buffer.from(random.bytes(4)).toString('hex')}`;
    const server = Bun.serve({
      unix: ownPath,
      fetch(request) {
        const route = routes[new URL(request.url).pathname];
        if (request.method === 'POST' && route !== undefined) return route(request);
        const error = 'only POST /cmdadd, /cmdcheck and /yield are served';
        return Response.json({ error }, { status: 404 });
      },
    });
    renameSync(ownPath, socketPath);
    return { stop: () => void server.stop(true) };
  } catch (cause) {
    throw new MeshError('REDIRECT_CNI_SOCKET', `cannot serve ${socketPath}: ${messageOf(cause)}`, {
      side: 'self',
      hint: REDIRECT_ERRORS.REDIRECT_CNI_SOCKET,
      cause,
    });
  }
}

/** Undefined when it did; else why not: nobody serves the path, or one that does not know the question. */
export async function askToYield(socketPath: string): Promise<string | undefined> {
  try {
    const answer = await fetch('http://agent/yield', {
      method: 'POST',
      unix: socketPath,
      keepalive: false,
      signal: AbortSignal.timeout(YIELD_TIMEOUT_MS),
    });
    return answer.ok ? undefined : `status ${answer.status}`;
  } catch (error) {
    return messageOf(error);
  }
}

async function answer(
  request: Request,
  log: Logger,
  handle: (add: CniAdd) => Promise<CniAnswer>,
): Promise<Response> {
  const add = parseAdd(await request.json().catch(() => undefined));
  if (add === undefined) {
    const error = 'want {podNamespace, podName, podUid, netns}, all strings';
    return Response.json({ error }, { status: 400 });
  }
  const pod = `${add.podNamespace}/${add.podName}`;
  try {
    const said = await handle(add);
    log.debug('asked by the CNI plugin', { pod, netns: add.netns, ...said });
    return Response.json(said);
  } catch (error) {
    log.error('pod not captured', { pod, error: messageOf(error) });
    const hint = isMeshError(error) ? error.hint : undefined;
    return Response.json({ error: messageOf(error), hint }, { status: 500 });
  }
}

function parseAdd(body: unknown): CniAdd | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const text = (field: keyof CniAdd): string => {
    const value: unknown = Reflect.get(body, field);
    return typeof value === 'string' ? value : '';
  };
  const add = {
    podNamespace: text('podNamespace'),
    podName: text('podName'),
    podUid: text('podUid'),
    netns: text('netns'),
  };
  const { podUid: _mayBeEmpty, ...required } = add;
  return Object.values(required).every((value) => value !== '') ? add : undefined;
}
