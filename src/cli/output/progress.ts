/** Says on stderr what is waited for when it takes more than a second; nothing otherwise. */
import { systemClock } from '#base/clock.ts';

const QUIET_MS = 1000;

export async function withProgress<T>(what: string, work: Promise<T>): Promise<T> {
  const { stderr } = process;
  const erase = stderr.isTTY ? '\r\u001b[K' : '';
  let shown = false;
  const timer = systemClock.after(QUIET_MS, () => {
    shown = true;
    stderr.write(stderr.isTTY ? `${what}…` : `${what}…\n`);
  });
  try {
    return await work;
  } finally {
    timer.cancel();
    if (shown) stderr.write(erase);
  }
}
