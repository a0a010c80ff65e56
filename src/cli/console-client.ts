/** Asks the control plane's JSON API (port 20001): of the running lab, or at $TULLE_CONSOLE. */
import { MeshError, messageOf } from '#base/errors.ts';
import { CLI_ERRORS } from './errors.ts';
import { readRunningLab } from './running-lab.ts';

const TIMEOUT_MS = 5000;

export async function askConsole<T>(path: string): Promise<T> {
  const base = process.env.TULLE_CONSOLE || readRunningLab()?.consoleUrl;
  if (base === undefined) {
    throw new MeshError('CLI_NO_CONSOLE', 'no lab is running and TULLE_CONSOLE is not set', {
      side: 'config',
      hint: 'tulle lab up --demo',
    });
  }
  try {
    const response = await fetch(base + path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  } catch (error) {
    throw new MeshError('CLI_NO_CONSOLE', `the control plane at ${base} did not answer ${path}`, {
      side: 'upstream',
      hint: CLI_ERRORS.CLI_NO_CONSOLE,
      cause: messageOf(error),
    });
  }
}
