/** An end to waiting for an API server that takes connections and says nothing. */
import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { KUBE_ERRORS } from '../errors.ts';

/** As the promise, or KUBE_UNAVAILABLE after `limitMs`; the request itself may go on. */
export async function withinTime<T>(
  clock: Clock,
  limitMs: number,
  promise: Promise<T>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = clock.after(limitMs, () => {
    const message = `no answer from the API server within ${limitMs} ms`;
    const hint = KUBE_ERRORS.KUBE_UNAVAILABLE;
    reject(new MeshError('KUBE_UNAVAILABLE', message, { side: 'upstream', hint }));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.cancel();
  }
}
