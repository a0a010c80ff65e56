/**
 * `tulle role lab-host`: the launcher of a detached lab, in a session of its own. Writes its events to standard
 * output until the lab is ready (then its starter leaves), and ends the lab on SIGTERM, SIGINT and SIGHUP.
 */
import { systemClock } from '#base/clock.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import { encodeEvent, type LabEvent } from './events.ts';
import { LabHost, type LabOptions } from './launcher/host.ts';
import { statePaths } from './launcher/state.ts';

export async function runLabHost(argv: string[]): Promise<void> {
  const options = JSON.parse(argv[0] ?? '{}') as LabOptions;
  const emit = (event: LabEvent) => void process.stdout.write(encodeEvent(event));
  const host = new LabHost({ clock: systemClock, paths: statePaths(), onEvent: emit }, options);
  stopOnSignals(host);
  // Its starter was killed before it could tell anybody where the lab is: nobody wants one that they do not know of.
  process.stdout.on('error', () => void host.stop());
  try {
    await host.start();
  } catch (error) {
    const known = isMeshError(error) ? error : undefined;
    emit({
      event: 'failed',
      code: known?.code ?? 'LAB_START_FAILED',
      message: messageOf(error),
      hint: known?.hint ?? '',
    });
    process.exit(3);
  }
  const reason = await host.closed;
  if (reason !== undefined) process.stderr.write(`${reason.message}\n`);
  process.exit(reason === undefined ? 0 : 3);
}

export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The first signal takes the lab down. */
export function stopOnSignals(host: LabHost): void {
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => void host.stop());
  }
}
