/**
 * The server's half of delta xDS for one type on one stream: pure state, no I/O. Who drives it feeds requests in
 * and sends what `respond` returns. One response is in flight at a time; what changes meanwhile is merged into
 * the next. Invariant: `#known` is what the client holds once it has read everything sent.
 *
 *   idle ── request or change ──► due ── respond() ──► in flight ── ACK | NACK ──► idle (or due)
 */
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  type Resource,
} from '#wire/protobuf/discovery.ts';
import { ON_DEMAND_NAMES_MAX } from '../limits.ts';
import { Holdings, type SharedNames } from './holdings.ts';

/** What the node of this stream may see of the type, at this moment. */
export interface ResourceView {
  names(): Iterable<string>;
  /** As a client is sent it that asks for everything: without aliases. Its version changes with the content. */
  get(name: string): Resource | undefined;
  /** As a client is sent it that asks by name. */
  withAliases(name: string): Resource | undefined;
  /** Names that answer an on-demand key (a name, or an alias `network/ip`). */
  resolve(key: string): readonly string[];
  /** What an on-demand client is sent unasked: the workloads of its own node. */
  implied(name: string): boolean;
}

export interface DeltaServerStatus {
  readonly typeUrl: string;
  readonly nonceSent: string | undefined;
  readonly nonceAcked: string | undefined;
  /** Message of the last answer when it was a NACK. */
  readonly nack: string | undefined;
  readonly resources: number;
}

export type RequestEffect = 'subscribed' | 'acked' | 'nacked' | 'stale' | 'refused';

export class DeltaServer {
  readonly typeUrl: string;
  readonly #known: Holdings;
  /** On-demand keys, as asked for. */
  readonly #asked = new Set<string>();
  /** Keys asked for since the last response: each is answered, if only by "removed". */
  readonly #pendingKeys = new Set<string>();
  readonly #dirty = new Set<string>();
  #wildcard = false;
  #first = true;
  /** Everything has to be compared, not only `#dirty`. */
  #full = false;
  /** Answer even when there is nothing to say: a client waits to be synced. */
  #mustAnswer = false;
  #inFlight: string | undefined;
  #nonceSent: string | undefined;
  #nonceAcked: string | undefined;
  #nack: string | undefined;

  /** `names`: shared by all streams of the type. */
  constructor(typeUrl: string, names: SharedNames) {
    this.typeUrl = typeUrl;
    this.#known = new Holdings(names);
  }

  /** The stream is over. */
  close(): void {
    this.#known.clear();
  }

  onRequest(request: DeltaDiscoveryRequest): RequestEffect {
    const subscribed = this.#subscribe(request);
    if (subscribed === 'refused') return 'refused';
    const nonce = request.response_nonce;
    if (nonce === '') return 'subscribed';
    // An answer to an older response says nothing about the newest one; subscriptions in it count all the same.
    if (nonce !== this.#inFlight) return 'stale';
    this.#inFlight = undefined;
    if (request.error_detail === undefined) {
      this.#nonceAcked = nonce;
      this.#nack = undefined;
      return 'acked';
    }
    this.#nack = request.error_detail.message;
    return 'nacked';
  }

  /** Names whose content or visibility changed. */
  onChange(names: Iterable<string>): void {
    for (const name of names) this.#dirty.add(name);
  }

  /** Forget what was derived from the view: compare everything at the next response. */
  invalidate(): void {
    this.#full = true;
  }

  /** Nothing was answered yet: the first answer may be everything there is. */
  get isUnanswered(): boolean {
    return this.#nonceSent === undefined;
  }

  /** What was sent last was answered. */
  get isSettled(): boolean {
    return this.#inFlight === undefined;
  }

  get due(): boolean {
    if (this.#first || this.#inFlight !== undefined) return false;
    return this.#mustAnswer || this.#full || this.#dirty.size > 0;
  }

  /**
   * Before the first answer: the client holds something that the view shows otherwise or lacks, or it does not say in which
   * version it holds it.
   */
  contradicts(view: ResourceView): boolean {
    if (!this.isUnanswered) return false;
    return this.#known.names().some((name) => view.get(name)?.version !== this.#known.get(name));
  }

  /** The next response, or undefined when there is nothing to say (or nothing may be said yet). */
  respond(view: ResourceView, nonce: string): DeltaDiscoveryResponse | undefined {
    if (!this.due) return undefined;
    const response = DeltaDiscoveryResponse.create({ type_url: this.typeUrl, nonce });
    // Whoever asks again for what it was sent wants to see it again, by whatever key.
    for (const name of resolved(view, this.#pendingKeys)) this.#known.delete(name);
    const candidates = this.#candidates(view);
    for (const name of candidates) this.#consider(name, view, response);
    this.#reportMissing(view, response);
    const empty = response.resources.length === 0 && response.removed_resources.length === 0;
    const silent = empty && !this.#mustAnswer;
    this.#full = false;
    this.#mustAnswer = false;
    this.#dirty.clear();
    this.#pendingKeys.clear();
    if (silent) return undefined;
    this.#inFlight = nonce;
    this.#nonceSent = nonce;
    return response;
  }

  status(): DeltaServerStatus {
    return {
      typeUrl: this.typeUrl,
      nonceSent: this.#nonceSent,
      nonceAcked: this.#nonceAcked,
      nack: this.#nack,
      resources: this.#known.size,
    };
  }

  #subscribe(request: DeltaDiscoveryRequest): 'ok' | 'refused' {
    const { resource_names_subscribe: add, resource_names_unsubscribe: drop } = request;
    const first = this.#first;
    if (this.#asked.size + add.length > ON_DEMAND_NAMES_MAX) return 'refused';
    if (first) {
      this.#first = false;
      this.#full = true;
      this.#mustAnswer = true;
      // An empty list in the first request means everything (xDS: legacy wildcard).
      this.#wildcard = add.length === 0;
    }
    for (const key of add) {
      this.#mustAnswer = true;
      if (key === '*') {
        if (!this.#wildcard) this.#full = true;
        this.#wildcard = true;
      } else {
        this.#asked.add(key);
        this.#pendingKeys.add(key);
      }
    }
    for (const key of drop) {
      if (key === '*') this.#wildcard = false;
      else this.#asked.delete(key);
      if (!this.#wildcard && key !== '*') this.#known.delete(key);
    }
    return first ? this.#retain(request.initial_resource_versions) : 'ok';
  }

  /** What a returning client holds. On demand it is subscribed to that again, without saying so (as istiod does). */
  #retain(versions: ReadonlyMap<string, string>): 'ok' | 'refused' {
    if (!this.#wildcard && versions.size > ON_DEMAND_NAMES_MAX) return 'refused';
    for (const [name, version] of versions) {
      if (this.#wildcard) {
        this.#known.set(name, version);
        continue;
      }
      this.#asked.add(name);
      // Without a version it was asked for on the stream before, and the answer did not arrive.
      if (version === '') this.#pendingKeys.add(name);
      else this.#known.set(name, version);
    }
    return 'ok';
  }

  #candidates(view: ResourceView): Iterable<string> {
    if (!this.#full && this.#wildcard) return union(this.#dirty, resolved(view, this.#pendingKeys));
    if (this.#wildcard) return union(this.#known.names(), view.names());
    // On demand: what was asked for, and what came with it (the client is subscribed to that silently).
    // A change may bring a new answer to an old key: all of them are looked up again.
    const names = resolved(view, this.#asked);
    const changed = this.#full ? union(view.names(), this.#known.names()) : this.#dirty;
    const followed = [...changed].filter(
      (name) => this.#known.get(name) !== undefined || view.implied(name),
    );
    return union(names, followed);
  }

  #consider(name: string, view: ResourceView, response: DeltaDiscoveryResponse): void {
    const resource = view.get(name);
    if (resource === undefined) {
      if (this.#known.delete(name)) response.removed_resources.push(name);
      return;
    }
    if (this.#known.get(name) === resource.version) return;
    this.#known.set(name, resource.version);
    response.resources.push((this.#wildcard ? undefined : view.withAliases(name)) ?? resource);
  }

  #reportMissing(view: ResourceView, response: DeltaDiscoveryResponse): void {
    const removed = new Set(response.removed_resources);
    for (const key of this.#pendingKeys) {
      if (view.resolve(key).length === 0 && !removed.has(key)) {
        response.removed_resources.push(key);
      }
    }
  }
}

function* resolved(view: ResourceView, keys: Iterable<string>): Iterable<string> {
  for (const key of keys) yield* view.resolve(key);
}

function union(left: Iterable<string>, right: Iterable<string>): Set<string> {
  const all = new Set(left);
  for (const name of right) all.add(name);
  return all;
}
