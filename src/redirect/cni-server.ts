/**
 * The agent's end of the CNI plugin: `POST /cmdadd` on a unix socket, before the pod's first process starts. 200
 * means captured, or not eligible; any other status makes the plugin fail the pod, so nothing runs uncaptured.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Disposer } from '#base/disposer.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { REDIRECT_ERRORS } from './errors.ts';

export interface CniAdd {
  podNamespace: string;
  podName: string;
  podUid: string;
  /** Path of the pod's network namespace. */
  netns: string;
}

export interface CniAnswer {
  captured: boolean;
  reason: string;
}

export function startCniServer(
  socketPath: string,
  log: Logger,
  onAdd: (add: CniAdd) => Promise<CniAnswer>,
): Disposer {
  const answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (request.method !== 'POST' || pathname !== '/cmdadd') {
      return Response.json({ error: 'only POST /cmdadd is served' }, { status: 404 });
    }
    const add = parseAdd(await request.json().catch(() => undefined));
    if (add === undefined) {
      const error = 'want {podNamespace, podName, podUid, netns}, all strings';
      return Response.json({ error }, { status: 400 });
    }
    try {
      return Response.json(await onAdd(add));
    } catch (error) {
      const pod = `${add.podNamespace}/${add.podName}`;
      log.error('pod not captured', { pod, error: messageOf(error) });
      const hint = isMeshError(error) ? error.hint : undefined;
      return Response.json({ error: messageOf(error), hint }, { status: 500 });
    }
  };
  try {
    mkdirSync(dirname(socketPath), { recursive: true });
    rmSync(socketPath, { force: true });
    const server = Bun.serve({ unix: socketPath, fetch: answer });
    return () => void server.stop(true);
  } catch (cause) {
    throw new MeshError('REDIRECT_CNI_SOCKET', `cannot serve ${socketPath}: ${messageOf(cause)}`, {
      side: 'self',
      hint: REDIRECT_ERRORS.REDIRECT_CNI_SOCKET,
      cause,
    });
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
  return Object.values(add).every((value) => value !== '') ? add : undefined;
}
