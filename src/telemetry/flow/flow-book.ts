/**
 * The edges that a proxy sees, each with its tally. Once a second `take` walks those that had something and makes the frame of that second;
 * nothing else is done for edges, however many there are. Bounded: beyond FLOW_EDGES_MAX they are summed on one edge a reporter and
 * protocol, between unknown ends.
 */
import type { FlowEdge, FlowPeer, FlowSample } from './flow-frame.ts';
import { type EdgeFacts, FlowTally } from './flow-tally.ts';
import { EDGE_FORGOTTEN_SECONDS, FLOW_EDGES_MAX } from './limits.ts';

export class FlowBook {
  touched: FlowTally[] = [];
  readonly #edgesMax: number;
  readonly #tallies = new Map<string, FlowTally>();
  /** By id. */
  readonly #said: (FlowTally | undefined)[] = [];
  readonly #freeIds: number[] = [];
  readonly #beforeTake: (() => void)[] = [];

  constructor(options: { edgesMax?: number } = {}) {
    this.#edgesMax = options.edgesMax ?? FLOW_EDGES_MAX;
  }

  /** Called before each frame: the place to add what live connections moved since. */
  onTake(callback: () => void): void {
    this.#beforeTake.push(callback);
  }

  /** The handle of an edge, the same for all who count on it. */
  tally(facts: EdgeFacts): FlowTally {
    const key = keyOf(facts);
    const known = this.#tallies.get(key);
    if (known !== undefined) return known;
    if (this.#tallies.size >= this.#edgesMax) return this.#overflow(facts);
    return this.#make(key, facts);
  }

  /** What was counted since the last call, as the frame's samples. `second` only grows. */
  take(second: number): FlowSample[] {
    for (const before of this.#beforeTake) before();
    const { touched } = this;
    this.touched = [];
    const numbered: FlowTally[] = [];
    for (const tally of touched) {
      tally.usedSecond = second;
      if (tally.id !== -1 || this.#number(tally)) numbered.push(tally);
      else this.#overflow(tally.facts).add(tally.take(-1));
    }
    // Sums of what is above the bound, where they had nothing before.
    for (const tally of this.touched.splice(0)) {
      tally.usedSecond = second;
      if (tally.id !== -1 || this.#number(tally)) numbered.push(tally);
    }
    return numbered.map((tally) => tally.take(tally.id));
  }

  /** Up to `max` edges with something since a second that the stream has not been told of. They count as told. */
  untold(stream: number, since: number, max = Number.POSITIVE_INFINITY): FlowEdge[] {
    const edges: FlowEdge[] = [];
    for (const tally of this.#said) {
      if (edges.length >= max) break;
      if (tally === undefined || tally.saidOn === stream || tally.usedSecond <= since) continue;
      tally.saidOn = stream;
      edges.push({ id: tally.id, ...tally.facts });
    }
    return edges;
  }

  /** Forgets edges that were idle for long; whoever still holds one may count on it again. */
  sweep(second: number): void {
    for (const [key, tally] of this.#tallies) {
      if (tally.usedSecond > second - EDGE_FORGOTTEN_SECONDS) continue;
      // One that was made a moment ago and has nothing yet waits a round.
      if (tally.usedSecond === -1) {
        tally.usedSecond = second - EDGE_FORGOTTEN_SECONDS + 1;
        continue;
      }
      this.#tallies.delete(key);
      if (tally.id === -1) continue;
      this.#said[tally.id] = undefined;
      this.#freeIds.push(tally.id);
      tally.id = -1;
      tally.saidOn = 0;
    }
  }

  get size(): number {
    return this.#tallies.size;
  }

  #make(key: string, facts: EdgeFacts): FlowTally {
    const tally = new FlowTally(key, facts, this);
    this.#tallies.set(key, tally);
    return tally;
  }

  #number(tally: FlowTally): boolean {
    const id = this.#freeIds.pop() ?? this.#said.length;
    // Each reporter and protocol may have its sum besides.
    if (id >= this.#edgesMax + OVERFLOWS_MAX) return false;
    tally.id = id;
    this.#said[id] = tally;
    if (!this.#tallies.has(tally.key)) this.#tallies.set(tally.key, tally);
    return true;
  }

  #overflow({ reporter, protocol }: EdgeFacts): FlowTally {
    const facts: EdgeFacts = {
      reporter,
      protocol,
      source: NOBODY,
      destination: NOBODY,
      service: { host: '', namespace: '', name: '' },
      isMutualTls: false,
    };
    const key = `${OVERFLOW}${keyOf(facts)}`;
    return this.#tallies.get(key) ?? this.#make(key, facts);
  }
}

/** Reporters times protocols. */
const OVERFLOWS_MAX = 12;
const OVERFLOW = '\u0001';

export const NOBODY: FlowPeer = {
  kind: 'unknown',
  namespace: '',
  workload: '',
  app: '',
  version: '',
  principal: '',
  cluster: '',
};

function keyOf({
  reporter,
  protocol,
  source,
  destination,
  service,
  isMutualTls,
}: EdgeFacts): string {
  return [
    reporter,
    protocol,
    isMutualTls,
    service.host,
    service.namespace,
    ...Object.values(source),
    ...Object.values(destination),
  ].join('\u0000');
}
