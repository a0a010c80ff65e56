/** Asks the node agent over its unix socket. */
import { type Clock, sleep } from '#base/clock.ts';
import type { AgentAnswer, AgentQuestion } from './plugin.ts';

/** A capture takes milliseconds; an agent that is asked for hundreds at once works them off one by one. */
export const AGENT_TIMEOUT_MS = 20_000;
/** As long as an agent that starts again is away at most when nothing is wrong; the kubelet waits longer between its tries. */
export const AGENT_WAIT_MS = 3_000;
const AGENT_RETRY_MS = 50;

export async function askAgent(clock: Clock, question: AgentQuestion): Promise<AgentAnswer> {
  const until = clock.now() + AGENT_WAIT_MS;
  for (;;) {
    try {
      return await askOnce(question);
    } catch (error) {
      if (!isAbsence(error) || clock.now() >= until) throw error;
      await sleep(clock, AGENT_RETRY_MS);
    }
  }
}

async function askOnce({ socket, path, pod, netns }: AgentQuestion): Promise<AgentAnswer> {
  const response = await fetch(`http://agent${path}`, {
    method: 'POST',
    unix: socket,
    keepalive: false,
    signal: AbortSignal.timeout(AGENT_TIMEOUT_MS),
    body: JSON.stringify({
      podNamespace: pod.namespace,
      podName: pod.name,
      podUid: pod.uid,
      netns,
    }),
  });
  const text = await response.text();
  if (response.status === 200) return { status: 200, error: '', hint: '' };
  return { status: response.status, ...reasonIn(text) };
}

function reasonIn(text: string): { error: string; hint: string } {
  try {
    const { error, hint } = JSON.parse(text) as { error?: unknown; hint?: unknown };
    if (typeof error === 'string') return { error, hint: typeof hint === 'string' ? hint : '' };
  } catch {
    // Not from our agent, or cut off: its own words then.
  }
  return { error: text.trim(), hint: '' };
}

/** Nobody has taken the question: it may be asked again. */
function isAbsence(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  return ['ENOENT', 'ECONNREFUSED', 'FailedToOpenSocket', 'ConnectionRefused'].includes(
    String(code),
  );
}
