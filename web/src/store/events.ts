/**
 * Server-sent events with what EventSource leaves out: it comes back after an answer that was an error, later each time, and says
 * what state it is in, so that a page can tell "quiet" from "cut off".
 */
export type EventsState = 'connecting' | 'open' | 'lost';

export interface EventsOptions {
  /** By event name; called with the parsed data. */
  readonly on: Readonly<Record<string, (value: never) => void>>;
  readonly onState?: (state: EventsState) => void;
}

const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 30_000;

/** Returns what ends it. */
export function openEvents(address: string, options: EventsOptions): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let retryMs = FIRST_RETRY_MS;
  const open = () => {
    options.onState?.('connecting');
    const opened = new EventSource(address);
    source = opened;
    opened.onopen = () => {
      retryMs = FIRST_RETRY_MS;
      options.onState?.('open');
    };
    opened.onerror = () => {
      options.onState?.('lost');
      // While it is CONNECTING the browser tries by itself.
      if (opened.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, retryMs);
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
    };
    for (const [name, take] of Object.entries(options.on)) {
      opened.addEventListener(name, (event) =>
        take(JSON.parse((event as MessageEvent<string>).data) as never),
      );
    }
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
