/**
 * One watch request: the initial state or the replay, then live changes, as JSON lines in a streamed response. Ends
 * by timeout, by the client, by overflow, or with an ERROR event 410 when its revision is too old.
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { isMeshError } from '#base/errors.ts';
import type { Random } from '#base/random.ts';
import type { ApiObject, JsonObject } from '#kube/meta/object.ts';
import { fromStored } from '../kinds/conversion.ts';
import { apiVersionOf, type ServedKind } from '../kinds/served-kind.ts';
import { WATCH_QUEUE_BYTES_MAX, WATCH_TIMEOUT_MIN_MS } from '../limits.ts';
import { expiredRevision, parseRevision } from '../rest/list-query.ts';
import type { Presenter } from '../rest/representation.ts';
import { badRequest } from '../rest/status-error.ts';
import type { Storage } from '../storage/storage.ts';
import type { WatchChange, WatchHub, WatchSelection } from './watch-hub.ts';

export interface WatchRequest {
  kind: ServedKind;
  selection: WatchSelection;
  query: URLSearchParams;
  presenter: Presenter;
  signal: AbortSignal;
}

export interface WatchDeps {
  storage: Storage;
  hub: WatchHub;
  clock: Clock;
  random: Random;
}

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';
const encoder = new TextEncoder();

export function watchResponse(request: WatchRequest, deps: WatchDeps): Response {
  const { query } = request;
  const revision = parseRevision(query.get('resourceVersion'));
  const sendInitial = query.get('sendInitialEvents') === 'true';
  const bookmarks = query.get('allowWatchBookmarks') === 'true';
  if (sendInitial && (query.get('resourceVersionMatch') !== 'NotOlderThan' || !bookmarks))
    throw badRequest(
      'sendInitialEvents requires resourceVersionMatch=NotOlderThan and allowWatchBookmarks=true',
    );
  const stream = new WatchStream(request, deps, bookmarks);
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => stream.start(controller, { revision, sendInitial }),
      cancel: () => stream.stop(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WATCH_QUEUE_BYTES_MAX }),
  );
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-cache, private' };
  return new Response(body, { headers });
}

class WatchStream {
  readonly #request: WatchRequest;
  readonly #deps: WatchDeps;
  readonly #bookmarks: boolean;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #unsubscribe: Disposer | undefined;
  #timer: Timer | undefined;
  #sent = 0;

  constructor(request: WatchRequest, deps: WatchDeps, bookmarks: boolean) {
    this.#request = request;
    this.#deps = deps;
    this.#bookmarks = bookmarks;
  }

  start(
    controller: ReadableStreamDefaultController<Uint8Array>,
    { revision, sendInitial }: { revision: number | undefined; sendInitial: boolean },
  ): void {
    this.#controller = controller;
    const { selection, signal } = this.#request;
    const { hub, clock } = this.#deps;
    try {
      const fromState = sendInitial || revision === undefined || revision === 0;
      if (fromState) this.#sendState(sendInitial);
      else for (const change of hub.replay(selection, revision)) this.#send(change);
    } catch (error) {
      if (!isMeshError(error, 'STORAGE_COMPACTED')) throw error;
      this.#sendExpired(revision ?? 0);
      return;
    }
    // Bun holds the response's head back until the first byte; white space between JSON values means nothing.
    if (this.#sent === 0) controller.enqueue(encoder.encode('\n'));
    this.#unsubscribe = hub.add({
      selection,
      bookmarks: this.#bookmarks,
      onChange: (change) => this.#send(change),
    });
    this.#timer = clock.after(this.#timeoutMs(), () => this.#finish());
    signal.addEventListener('abort', () => this.stop(), { once: true });
    if (signal.aborted) this.stop();
  }

  /** The client is gone: nothing more can be sent. */
  stop(): void {
    this.#unsubscribe?.();
    this.#timer?.cancel();
    this.#controller = undefined;
  }

  #finish(): void {
    const controller = this.#controller;
    this.stop();
    controller?.close();
  }

  #timeoutMs(): number {
    const asked = Number(this.#request.query.get('timeoutSeconds') ?? 0);
    if (asked > 0) return asked * 1000;
    return WATCH_TIMEOUT_MIN_MS * (1 + this.#deps.random.fraction());
  }

  #sendState(withEnd: boolean): void {
    const { table, namespace, accept } = this.#request.selection;
    const { items, revision } = this.#deps.storage.list({ table, namespace, accept });
    for (const object of items) this.#send({ type: 'ADDED', object });
    if (withEnd) this.#sendBookmark(revision, { annotations: { [INITIAL_EVENTS_END]: 'true' } });
  }

  #send(change: WatchChange): void {
    if (change.type === 'BOOKMARK') {
      this.#sendBookmark(change.revision, {});
      return;
    }
    const object = fromStored(this.#request.kind, change.object);
    this.#write(change.type, this.#request.presenter.event(object, this.#sent++ === 0));
  }

  #sendBookmark(revision: number, extra: JsonObject): void {
    const { kind, presenter } = this.#request;
    const bookmark = {
      kind: kind.kind,
      apiVersion: apiVersionOf(kind),
      metadata: { resourceVersion: String(revision), creationTimestamp: null, ...extra },
    };
    // A bookmark's object is of the asked kind; as a Table it has no row.
    const shown = presenter.event(bookmark as unknown as ApiObject, false);
    this.#write('BOOKMARK', shown.kind === 'Table' ? { ...shown, rows: [] } : shown);
  }

  #sendExpired(revision: number): void {
    const { status } = expiredRevision(revision, this.#deps.storage.compactedRevision);
    this.#write('ERROR', status as unknown as JsonObject);
    this.#finish();
  }

  #write(type: string, object: JsonObject): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    if ((controller.desiredSize ?? 1) <= 0) {
      this.#finish();
      return;
    }
    controller.enqueue(encoder.encode(`${JSON.stringify({ type, object })}\n`));
  }
}
