/** OTLP over HTTP: one POST a batch. */
import type { Clock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { CollectorAddress } from '#model/telemetry/settings.ts';
import { httpOutcome } from './answer.ts';
import type { SendOutcome } from './export-queue.ts';
import { ANSWER_BYTES_MAX } from './limits.ts';

export interface HttpSenderOptions {
  readonly collector: CollectorAddress;
  readonly path: string;
  readonly timeoutMs: number;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly contentType: string;
}

export type Send = (request: Uint8Array) => Promise<SendOutcome>;

export function httpSender(clock: Clock, options: HttpSenderOptions): Send {
  const { collector, path, timeoutMs, contentType } = options;
  const place = formatHostPort(collector.host, collector.port);
  const url = `http://${place}${path.startsWith('/') ? '' : '/'}${path}`;
  const headers = new Headers(options.headers.map(({ name, value }) => [name, value]));
  headers.set('content-type', contentType);
  headers.set('user-agent', 'tulle');
  return async (request) => {
    const abort = new AbortController();
    const timer = clock.after(timeoutMs, () => abort.abort());
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers,
        body: new Uint8Array(request),
        redirect: 'manual',
        signal: abort.signal,
      });
      const body = await bodyOf(response);
      return httpOutcome({
        status: response.status,
        isJson: (response.headers.get('content-type') ?? '').includes('json'),
        body,
        retryAfter: response.headers.get('retry-after'),
        nowMs: clock.wallTime(),
      });
    } catch (error) {
      const what = abort.signal.aborted ? `no answer in ${timeoutMs} ms` : messageOf(error);
      return { kind: 'again', reason: `${place}: ${what}` };
    } finally {
      timer.cancel();
    }
  };
}

/** Its beginning; of the rest nobody wants to know. */
async function bodyOf(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) break;
  }
  return Buffer.concat(parts);
}
