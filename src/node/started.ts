/**
 * `tulle role node-started`, a startup probe: whether the node proxy of this pod has the node's status ports. Two generations share a
 * node for a while, and those ports are theirs in turn; until the new one has them its readiness would be told by the old one.
 */
import { messageOf } from '#base/errors.ts';
import { READINESS_PORT } from './limits.ts';
import { STARTED_PATH } from './status/servers.ts';

const TIMEOUT_MS = 900;

/** Undefined: it has them. */
export async function whyNotStarted(port: number, podName: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${STARTED_PATH}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      keepalive: false,
    });
    const name = (await answer.text()).trim();
    return name === podName ? undefined : `port ${port} is still answered by ${name}`;
  } catch (error) {
    return `port ${port} is not answered yet: ${messageOf(error)}`;
  }
}

export async function runNodeStarted(): Promise<void> {
  const why = await whyNotStarted(READINESS_PORT, process.env.POD_NAME ?? '');
  if (why !== undefined) process.stderr.write(`${why}\n`);
  process.exit(why === undefined ? 0 : 1);
}
