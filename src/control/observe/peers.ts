/**
 * The other replicas of the control plane, of every revision: each knows the proxies that are connected to itself, so who tells of all
 * proxies asks the others; with it each says whether it leads. They are found as pods, and asked on their monitoring port.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Collection } from '#collections/collection.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { PEER_ANSWER_BYTES_MAX, PEER_POLL_MS, PEER_TIMEOUT_MS } from '../limits.ts';
import type { ProxySyncState } from '../push/proxy-stream.ts';

export interface PeersDeps {
  readonly clock: Clock;
  readonly fetch: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
  readonly pods: Collection<Pod>;
  readonly own: () => readonly ProxySyncState[];
}

export interface PeersOptions {
  readonly namespace: string;
  /** Our pod's name. */
  readonly self: string;
  /** Their monitoring port, which is ours. */
  readonly port: number;
}

export interface AllStreams {
  readonly streams: readonly ProxySyncState[];
  /** Names of replicas that did not answer: of their proxies nothing is known. */
  readonly silent: readonly string[];
}

/** Where `/streams` of the monitoring port answers. */
export const STREAMS_PATH = '/streams';
/** Of that answer: whether who answers leads, `true` or `false`. */
export const LEADS_HEADER = 'x-tulle-leads';

/** What a replica said of itself. */
export interface PeerWord {
  readonly streams: readonly ProxySyncState[];
  /** Undefined: it did not say, as older versions. */
  readonly leads: boolean | undefined;
}

/** Replicas that serve, or are about to stop serving: their proxies are still theirs. */
export function peersOf(
  pods: Iterable<Pod>,
  options: PeersOptions,
): { name: string; ip: string }[] {
  const peers: { name: string; ip: string }[] = [];
  for (const { metadata, status } of pods) {
    const isControl = metadata.namespace === options.namespace && metadata.labels?.app === 'istiod';
    const ip = status?.podIP;
    if (!isControl || metadata.name === options.self || ip === undefined) continue;
    const isReady = status?.conditions?.some(
      ({ type, status: is }) => type === 'Ready' && is === 'True',
    );
    if (isReady === true) peers.push({ name: metadata.name, ip });
  }
  return peers;
}

export class Peers {
  readonly #deps: PeersDeps;
  readonly #options: PeersOptions;
  #known: AllStreams & { readonly words: ReadonlyMap<string, PeerWord> } = {
    streams: [],
    silent: [],
    words: new Map(),
  };
  #timer: Timer | undefined;

  constructor(deps: PeersDeps, options: PeersOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** From now on `streams` knows what the others said a moment ago. */
  start(): void {
    this.#timer = this.#deps.clock.every(PEER_POLL_MS, () => void this.ask());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Who did not answer last, and what each of the others said, by the name of its pod. */
  told(): { readonly silent: readonly string[]; readonly words: ReadonlyMap<string, PeerWord> } {
    const { silent, words } = this.#known;
    return { silent, words };
  }

  /** Ours as they are, and those of the others as they were told last. */
  streams(): ProxySyncState[] {
    return merged(this.#deps.own(), this.#known.streams);
  }

  /** The others that serve now. */
  replicas(): { name: string; ip: string }[] {
    return peersOf(
      [...this.#deps.pods.entries()].map(([, pod]) => pod),
      this.#options,
    );
  }

  /** Asks all of them, each for a bounded time. */
  async ask(): Promise<AllStreams> {
    const { own } = this.#deps;
    const peers = this.replicas();
    const answers = await Promise.all(peers.map(({ ip }) => this.#askOne(ip)));
    const words = new Map<string, PeerWord>();
    const silent: string[] = [];
    for (const [at, { name }] of peers.entries()) {
      const word = answers[at];
      if (word === undefined) silent.push(name);
      else words.set(name, word);
    }
    const streams = [...words.values()].flatMap((word) => word.streams);
    this.#known = { streams, silent, words };
    return { streams: merged(own(), this.#known.streams), silent: this.#known.silent };
  }

  async #askOne(ip: string): Promise<PeerWord | undefined> {
    const url = `http://${formatHostPort(ip, this.#options.port)}${STREAMS_PATH}`;
    try {
      const signal = AbortSignal.timeout(PEER_TIMEOUT_MS);
      const response = await this.#deps.fetch(url, { signal });
      if (!response.ok) return undefined;
      const text = await response.text();
      if (text.length > PEER_ANSWER_BYTES_MAX) return undefined;
      const answer: unknown = JSON.parse(text);
      if (!Array.isArray(answer)) return undefined;
      const leads = response.headers.get(LEADS_HEADER);
      return {
        streams: answer as ProxySyncState[],
        leads: leads === null ? undefined : leads === 'true',
      };
    } catch {
      // It ends, begins, or runs another version: said as silent, by name.
      return undefined;
    }
  }
}

/** A proxy that moved from one replica to another may be known to both: the younger connection counts. */
function merged(
  own: readonly ProxySyncState[],
  others: readonly ProxySyncState[],
): ProxySyncState[] {
  if (others.length === 0) return [...own];
  const byId = new Map<string, ProxySyncState>();
  for (const state of [...others, ...own]) {
    const known = byId.get(state.id);
    if (known === undefined || known.connectedAt <= state.connectedAt) byId.set(state.id, state);
  }
  return [...byId.values()];
}
