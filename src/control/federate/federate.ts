/**
 * `/federate` on 15014: the metrics of the control plane and of every proxy in one answer, for a Prometheus that is told of one address
 * only. Proxies are asked while the answer is written, a few ahead; an answer is passed on as it comes, so what is held at once is
 * bounded whatever the mesh is. Who is silent, too slow or too large is told in `tulle_federated_proxy_up`.
 */
import type { Clock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { EXPOSITION_CONTENT_TYPE } from '#telemetry/metrics/exposition.ts';
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
import {
  FEDERATE_AHEAD,
  FEDERATE_DEADLINE_MS,
  FEDERATE_DEADLINE_MS_MAX,
  FEDERATE_LINE_CHARS_MAX,
  FEDERATE_PROXY_BYTES_MAX,
  FEDERATE_PROXY_TIMEOUT_MS,
  FEDERATE_RESERVE_MS,
  FEDERATIONS_MAX,
} from '../limits.ts';
import { Relabel } from './relabel.ts';

export interface FederatedProxy {
  /** `namespace/name` of the pod. */
  readonly key: string;
  readonly kind: 'node' | 'waypoint' | 'gateway';
  readonly node: string;
  readonly ip: string;
}

export interface FederateDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetch: (
    url: string,
    init: { signal: AbortSignal; headers: Record<string, string> },
  ) => Promise<Response>;
  readonly proxies: () => readonly FederatedProxy[];
  /** `namespace/name` of our own pod. */
  readonly self: string;
}

const METRICS_PORT = 15020;
const TYPE = EXPOSITION_CONTENT_TYPE.text;

export class Federation {
  readonly #deps: FederateDeps;
  #running = 0;

  constructor(deps: FederateDeps) {
    this.#deps = deps;
  }

  answer(request: Request, own: MetricRegistry): Response {
    if (this.#running >= FEDERATIONS_MAX) {
      const text = `${FEDERATIONS_MAX} scrapes of the whole mesh run already: try again later, or scrape less often\n`;
      return new Response(text, { status: 503, headers: { 'retry-after': '5' } });
    }
    this.#running += 1;
    const abort = new AbortController();
    const pieces = this.#pieces(own, { abort, deadlineMs: deadlineOf(request) });
    const encoder = new TextEncoder();
    const over = () => {
      if (abort.signal.aborted) return;
      abort.abort(new Error('the scrape is over'));
      this.#running -= 1;
    };
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { value, done } = await pieces.next();
        if (!done) {
          controller.enqueue(encoder.encode(value));
          return;
        }
        over();
        controller.close();
      },
      cancel() {
        over();
      },
    });
    return new Response(body, { headers: { 'content-type': TYPE } });
  }

  async *#pieces(
    own: MetricRegistry,
    { abort, deadlineMs }: { abort: AbortController; deadlineMs: number },
  ): AsyncGenerator<string> {
    const { clock, proxies, self } = this.#deps;
    const endsAt = clock.now() + deadlineMs;
    const told = new Set<string>();
    const mine = new Relabel(labelsOf({ key: self, kind: 'control', node: '', ip: '' }), told);
    yield* relabelled(own.expose(), mine);
    const all = proxies();
    const asked: Promise<Response | undefined>[] = [];
    const answered = new Map<FederatedProxy, boolean>();
    let dropped = mine.dropped;
    for (const [at, proxy] of all.entries()) {
      while (asked.length < Math.min(all.length, at + FEDERATE_AHEAD))
        asked.push(this.#ask(all[asked.length], { signal: abort.signal, endsAt }));
      const response = await asked[at];
      const relabel = new Relabel(labelsOf(proxy), told);
      let isWhole = false;
      if (response !== undefined) isWhole = yield* passed(response, relabel);
      dropped += relabel.dropped;
      answered.set(proxy, isWhole);
    }
    yield summary(answered, dropped);
  }

  /** Undefined: it is silent, or refuses. */
  async #ask(
    { key, ip }: FederatedProxy,
    { signal, endsAt }: { signal: AbortSignal; endsAt: number },
  ): Promise<Response | undefined> {
    const { clock, fetch, log } = this.#deps;
    const leftMs = Math.min(endsAt - clock.now(), FEDERATE_PROXY_TIMEOUT_MS);
    if (leftMs <= 0) return undefined;
    const own = new AbortController();
    const end = () => own.abort(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    // It also ends an answer that drips.
    clock.after(leftMs, () => own.abort(new Error(`no whole answer within ${leftMs} ms`)));
    try {
      const response = await fetch(`http://${formatHostPort(ip, METRICS_PORT)}/metrics`, {
        signal: own.signal,
        headers: { accept: TYPE },
      });
      return response.ok ? response : undefined;
    } catch (error) {
      // `tulle status` says why as well.
      log.debug('a proxy was not scraped', { proxy: key, reason: messageOf(error) });
      return undefined;
    }
  }
}

/** Passes an answer on, line by line; false when it broke off, or was too much. */
async function* passed(response: Response, relabel: Relabel): AsyncGenerator<string, boolean> {
  const decoder = new TextDecoder();
  let rest = '';
  let bytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > FEDERATE_PROXY_BYTES_MAX) return false;
      const text = rest + decoder.decode(chunk, { stream: true });
      const end = text.lastIndexOf('\n');
      rest = text.slice(end + 1);
      if (rest.length > FEDERATE_LINE_CHARS_MAX) return false;
      if (end !== -1) yield* relabelled(text.slice(0, end), relabel);
    }
  } catch {
    // Broken off by it or by us: what came stands, and it is told that it is not whole.
    return false;
  }
  yield* relabelled(rest, relabel);
  return true;
}

function* relabelled(text: string, relabel: Relabel): Iterable<string> {
  let piece = '';
  for (const line of text.split('\n')) piece += relabel.line(line);
  if (piece !== '') yield piece;
}

function labelsOf(
  of: Omit<FederatedProxy, 'kind'> & { readonly kind: FederatedProxy['kind'] | 'control' },
): Record<string, string> {
  const { key, kind, node, ip } = of;
  const slash = key.indexOf('/');
  return {
    namespace: key.slice(0, slash),
    pod: key.slice(slash + 1),
    proxy: kind,
    ...(node !== '' && { node }),
    ...(ip !== '' && { instance: formatHostPort(ip, METRICS_PORT) }),
  };
}

function summary(answered: ReadonlyMap<FederatedProxy, boolean>, dropped: number): string {
  const told = new Set<string>();
  let text =
    '# HELP tulle_federated_proxy_up Whether the proxy answered this scrape, whole and in time.\n# TYPE tulle_federated_proxy_up gauge\n';
  for (const [proxy, isUp] of answered)
    text += new Relabel(labelsOf(proxy), told).line(`tulle_federated_proxy_up ${isUp ? 1 : 0}`);
  return `${text}# HELP tulle_federated_lines_dropped Lines of this scrape that were no samples.\n# TYPE tulle_federated_lines_dropped gauge\ntulle_federated_lines_dropped ${dropped}\n`;
}

/** Prometheus says how long it waits. */
function deadlineOf(request: Request): number {
  const seconds = Number(request.headers.get('x-prometheus-scrape-timeout-seconds'));
  if (!(seconds > 0)) return FEDERATE_DEADLINE_MS;
  return Math.min(Math.max(seconds * 1000 - FEDERATE_RESERVE_MS, 0), FEDERATE_DEADLINE_MS_MAX);
}
