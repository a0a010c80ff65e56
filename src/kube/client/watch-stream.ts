/**
 * Reads a watch response: one JSON event a line, cut anywhere by the network. A line that is no event ends the
 * stream with KUBE_UNAVAILABLE.
 */
import { MeshError } from '#base/errors.ts';
import { KUBE_ERRORS } from '../errors.ts';
import { WATCH_LINE_CHARS_MAX } from '../limits.ts';
import type { KubeObject, WatchEvent } from './kube-client.ts';

export async function readWatchStream<T extends KubeObject>(
  response: Response,
  onEvent: (event: WatchEvent<T>) => void,
): Promise<void> {
  if (response.body === null) return;
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw broken('the watch was cut', error);
    });
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    let start = 0;
    for (let end = rest.indexOf('\n'); end !== -1; end = rest.indexOf('\n', start)) {
      const line = rest.slice(start, end);
      start = end + 1;
      if (line.trim() !== '') onEvent(parseEvent<T>(line));
    }
    rest = rest.slice(start);
    if (rest.length > WATCH_LINE_CHARS_MAX) throw broken('a watch event is too long');
  }
}

function parseEvent<T extends KubeObject>(line: string): WatchEvent<T> {
  let event: WatchEvent<T>;
  try {
    event = JSON.parse(line) as WatchEvent<T>;
  } catch (error) {
    throw broken('a watch event is not JSON', error);
  }
  if (typeof event?.type !== 'string' || typeof event.object !== 'object')
    throw broken('a watch event has no type or object');
  return event;
}

function broken(message: string, cause?: unknown): MeshError {
  const hint = KUBE_ERRORS.KUBE_UNAVAILABLE;
  return new MeshError('KUBE_UNAVAILABLE', message, {
    side: 'upstream',
    hint,
    retry: 'safe',
    cause,
  });
}
