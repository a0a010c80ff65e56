/**
 * pods/exec, pods/portforward: a WebSocket from the client joined to one at the node agent, frames passed on as they come. The agent's
 * socket is opened first: if it refuses, the client gets an HTTP answer and not a broken stream.
 */
import type { ServerWebSocket, WebSocketHandler } from 'bun';
import type { Clock } from '#base/clock.ts';
import { EXEC_QUEUE_BYTES_MAX, KUBELET_CONNECT_TIMEOUT_MS } from '../limits.ts';
import { StatusError } from '../rest/status-error.ts';
import type { KubeletTarget } from './kubelet.ts';

export interface ExecSession {
  agent: WebSocket;
  /** Frames of the agent that came before the client's socket was open. */
  early: (string | ArrayBuffer)[];
  client?: ServerWebSocket<ExecSession>;
  /** How the agent ended it before the client was there. */
  ended?: { code: number; reason: string };
}

/** Newest first; base64 forms are of another time. */
export const EXEC_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;

const NORMAL = 1000;
const ABNORMAL = 1006;
const INTERNAL = 1011;

/** Two channels a port: its bytes, and why they ended. kubectl speaks another one, SPDY, which is not here. */
export const PORT_FORWARD_PROTOCOLS = ['v4.channel.k8s.io'] as const;

export function pickProtocol(
  header: string | null,
  protocols: readonly string[],
): string | undefined {
  const offered = (header ?? '').split(',').map((item) => item.trim());
  return protocols.find((protocol) => offered.includes(protocol));
}

export function openExec(
  target: KubeletTarget,
  protocol: string,
  clock: Clock,
): Promise<ExecSession> {
  const url =
    target.unix === undefined
      ? `${target.origin.replace(/^http/, 'ws')}${target.path}`
      : `ws+unix://${target.unix}:${target.path}`;
  const agent = new WebSocket(url, [protocol]);
  agent.binaryType = 'arraybuffer';
  const session: ExecSession = { agent, early: [] };
  agent.onmessage = ({ data }) => passToClient(session, data as string | ArrayBuffer);
  agent.onclose = ({ code, reason }) => endClient(session, code, reason);
  return new Promise((resolve, reject) => {
    const refuse = (why: string) =>
      reject(new StatusError(500, 'InternalError', `error dialing backend: ${why}`));
    const timer = clock.after(KUBELET_CONNECT_TIMEOUT_MS, () => {
      refuse('timed out');
      agent.close();
    });
    agent.onopen = () => {
      timer.cancel();
      resolve(session);
    };
    agent.onerror = (event) => {
      timer.cancel();
      refuse('message' in event ? String(event.message) : 'connection failed');
    };
  });
}

export const execWebSocket: WebSocketHandler<ExecSession> = {
  idleTimeout: 0,
  sendPings: true,
  maxPayloadLength: EXEC_QUEUE_BYTES_MAX,
  backpressureLimit: EXEC_QUEUE_BYTES_MAX,
  closeOnBackpressureLimit: true,
  open(client) {
    const session = client.data;
    session.client = client;
    for (const frame of session.early) client.send(frame);
    session.early = [];
    if (session.ended !== undefined) client.close(session.ended.code, session.ended.reason);
  },
  message({ data: { agent } }, frame) {
    if (agent.readyState !== WebSocket.OPEN) return;
    if (agent.bufferedAmount > EXEC_QUEUE_BYTES_MAX) {
      agent.close(INTERNAL, 'the node agent does not keep up');
      return;
    }
    agent.send(frame);
  },
  close({ data: { agent } }, code, reason) {
    agent.close(closeCode(code), reason);
  },
};

function passToClient(session: ExecSession, frame: string | ArrayBuffer): void {
  if (session.client === undefined) session.early.push(frame);
  else session.client.send(frame);
}

function endClient(session: ExecSession, code: number, reason: string): void {
  if (session.client === undefined) session.ended = { code: closeCode(code), reason };
  else session.client.close(closeCode(code), reason);
}

/** 1005 and 1006 are never sent (RFC 6455 §7.4.1). */
function closeCode(code: number): number {
  if (code === ABNORMAL) return INTERNAL;
  return code >= NORMAL && code !== 1005 ? code : NORMAL;
}
