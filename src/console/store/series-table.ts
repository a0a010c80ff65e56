/**
 * Which kinds of traffic there are: who talks to whom, as which service, reported from which side, under mutual TLS or not. Each has a number, under which blocks
 * count it; many proxies that report the same share one. Bounded: beyond SERIES_MAX all that is new is one series, "everything else".
 */
import type { FlowEdge, FlowPeer } from '#telemetry/flow/flow-frame.ts';
import { OUTCOMES_MAX, PEER_TEXT_MAX, SERIES_MAX } from './limits.ts';

export interface Series {
  readonly id: number;
  readonly reporter: FlowEdge['reporter'];
  readonly protocol: FlowEdge['protocol'];
  readonly source: FlowPeer;
  readonly destination: FlowPeer;
  readonly service: FlowEdge['service'];
  readonly isMutualTls: boolean;
  /** `namespace/name` of the waypoint or gateway that reports it; empty for node proxies. */
  readonly via: string;
  /** Reported by a node proxy about a connection to or from a waypoint: the waypoint says the same of the requests in it. */
  readonly isHop: boolean;
  /** Series of the same two workloads share it: what one side says is not counted again when the other says it. */
  readonly pair: Pair;
  /** Shared by all that are about one destination. */
  readonly destinationLife: Life;
  /** The last second in which something failed; infinite for what was known before this process was. */
  lastFailed: number;
}

export interface Life {
  /** The first second in which it answered; infinite before. */
  firstAnswered: number;
}

export interface Pair {
  /** Series of it that the source's side reports. */
  readonly bySource: number[];
  /** The last second in which the source's side reported. */
  lastBySource: number;
}

/** Kept on disk: texts of peers and services once, series as numbers of them. */
export interface SeriesRow {
  readonly id: number;
  readonly body: string;
}

/** How long the source's side may be silent before the destination's word is taken for a pair. */
const SOURCE_SILENT_SECONDS = 60;
const EVERYTHING_ELSE = 'everything else';

const UNKNOWN_PEER: FlowPeer = {
  kind: 'unknown',
  namespace: '',
  workload: EVERYTHING_ELSE,
  app: '',
  version: '',
  principal: '',
  cluster: '',
};

type Told = Omit<Series, 'id' | 'pair' | 'isHop' | 'destinationLife' | 'lastFailed'>;

export class SeriesTable {
  /** By hash of the text: the texts of a large mesh are 10 MB. */
  readonly #byKey = new Map<bigint, Series>();
  readonly #byId: (Series | undefined)[] = [];
  readonly #peers = new Map<string, FlowPeer>();
  readonly #services = new Map<string, FlowEdge['service']>();
  readonly #pairs = new Map<string, Pair>();
  readonly #lives = new Map<string, Life>();
  readonly #free: number[] = [];
  readonly #max: number;
  #unsaved: SeriesRow[] = [];
  /** Grows when a number was given back, so that it may mean something else. */
  forgotten = 0;
  /** How many were refused a number of their own. */
  overflowed = 0;

  constructor(max: number = SERIES_MAX) {
    this.#max = max;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Numbers are below it. */
  get idsEnd(): number {
    return this.#byId.length;
  }

  get(id: number): Series | undefined {
    return this.#byId[id];
  }

  *all(): Generator<Series> {
    for (const series of this.#byId) if (series !== undefined) yield series;
  }

  intern(edge: FlowEdge, via: string): Series {
    const told = toldOf(edge, via);
    const body = textOf(told);
    const known = this.#byKey.get(hashOf(body));
    if (known !== undefined) return known;
    if (this.#byKey.size >= this.#max) return this.#overflow(edge.protocol);
    const id = this.#free.pop() ?? this.#byId.length;
    this.#unsaved.push({ id, body });
    return this.#add(id, body, told);
  }

  /** What a store kept; broken rows are passed over. */
  load(rows: Iterable<SeriesRow>): void {
    for (const { id, body } of rows) {
      const told = readTold(body);
      if (told === undefined || this.#byId[id] !== undefined || id >= this.#max * 2) continue;
      const series = this.#add(id, body, told);
      // It was there before we were; when it answered first nobody remembers.
      series.destinationLife.firstAnswered = Number.NEGATIVE_INFINITY;
      series.lastFailed = Number.POSITIVE_INFINITY;
    }
    for (let id = 0; id < this.#byId.length; id++)
      if (this.#byId[id] === undefined) this.#free.push(id);
  }

  /** Its number may be given to another: nothing that is kept speaks of it any more. */
  forget(id: number): void {
    const series = this.#byId[id];
    if (series === undefined) return;
    this.#byId[id] = undefined;
    this.#byKey.delete(hashOf(textOf(series)));
    const at = series.pair.bySource.indexOf(id);
    if (at >= 0) series.pair.bySource.splice(at, 1);
    this.#free.push(id);
    this.forgotten++;
  }

  /** Series that were added since the last call. */
  takeUnsaved(): readonly SeriesRow[] {
    const rows = this.#unsaved;
    this.#unsaved = [];
    return rows;
  }

  /** A store that begins anew is told all of them. */
  markUnsaved(): void {
    this.#unsaved = [...this.all()].map((series) => ({ id: series.id, body: textOf(series) }));
  }

  #overflow(protocol: FlowEdge['protocol']): Series {
    this.overflowed++;
    const told: Told = {
      reporter: 'source',
      protocol,
      source: UNKNOWN_PEER,
      destination: UNKNOWN_PEER,
      service: { host: '', namespace: '', name: '' },
      isMutualTls: false,
      via: '',
    };
    const body = textOf(told);
    const known = this.#byKey.get(hashOf(body));
    if (known !== undefined) return known;
    const id = this.#byId.length;
    this.#unsaved.push({ id, body });
    return this.#add(id, body, told);
  }

  #add(id: number, body: string, told: Told): Series {
    const series: Series = {
      ...told,
      source: shared(this.#peers, told.source),
      destination: shared(this.#peers, told.destination),
      service: shared(this.#services, told.service),
      id,
      isHop:
        (told.reporter === 'source' || told.reporter === 'destination') &&
        (told.source.kind === 'waypoint' || told.destination.kind === 'waypoint'),
      pair: this.#pairOf(told),
      destinationLife: this.#lifeOf(told),
      lastFailed: Number.NEGATIVE_INFINITY,
    };
    if (isBySource(told)) series.pair.bySource.push(id);
    this.#byKey.set(hashOf(body), series);
    this.#byId[id] = series;
    return series;
  }

  #lifeOf({ service, destination }: Told): Life {
    const key = service.host || nameOf(destination);
    let life = this.#lives.get(key);
    if (life === undefined) {
      life = { firstAnswered: Number.POSITIVE_INFINITY };
      this.#lives.set(key, life);
    }
    return life;
  }

  #pairOf({ source, destination }: Told): Pair {
    const key = `${nameOf(source)}>${nameOf(destination)}`;
    let pair = this.#pairs.get(key);
    if (pair === undefined) {
      pair = { bySource: [], lastBySource: Number.NEGATIVE_INFINITY };
      this.#pairs.set(key, pair);
    }
    return pair;
  }
}

/** The destination's word on what the source's side also tells of: not to be counted again. Waypoints' hops are neither. */
export function isTold(series: Series, second: number): boolean {
  if (series.reporter !== 'destination' || series.source.kind === 'unknown') return false;
  return series.pair.lastBySource >= second - SOURCE_SILENT_SECONDS;
}

/** Whatever failed of it did so before its destination had answered anybody, or in the same second: that one was just coming up. */
export function failedEarly({ lastFailed, destinationLife: { firstAnswered } }: Series): boolean {
  return lastFailed <= firstAnswered && firstAnswered < Number.POSITIVE_INFINITY;
}

export function isBySource({ reporter }: { reporter: FlowEdge['reporter'] }): boolean {
  return reporter === 'source' || reporter === 'gateway';
}

/** Codes, gRPC statuses and flags by number: `c404`, `g14`, `fUH`. */
export class OutcomeTable {
  readonly #ids = new Map<string, number>();
  readonly texts: string[] = [];
  #saved = 0;

  constructor(texts: readonly string[] = ['c0', 'c500', 'c503']) {
    for (const text of texts) this.id(text);
  }

  id(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    if (this.texts.length >= OUTCOMES_MAX) return 0;
    const id = this.texts.length;
    this.texts.push(text);
    this.#ids.set(text, id);
    return id;
  }

  /** In the order of their numbers. */
  load(texts: readonly string[]): void {
    this.#ids.clear();
    this.texts.length = 0;
    for (const text of texts) this.id(text);
    this.#saved = this.texts.length;
  }

  takeUnsaved(): { id: number; body: string }[] {
    const from = this.#saved;
    this.#saved = this.texts.length;
    return this.texts.slice(from).map((body, index) => ({ id: from + index, body }));
  }

  markUnsaved(): void {
    this.#saved = 0;
  }
}

function toldOf(edge: FlowEdge, via: string): Told {
  return {
    reporter: edge.reporter,
    protocol: edge.protocol,
    source: peerOf(edge.source),
    destination: peerOf(edge.destination),
    service: {
      host: cut(edge.service.host),
      namespace: cut(edge.service.namespace),
      name: cut(edge.service.name),
    },
    isMutualTls: edge.isMutualTls,
    via: cut(via),
  };
}

function peerOf(peer: FlowPeer): FlowPeer {
  const { kind, namespace, workload, app, version, principal, cluster } = peer;
  return {
    kind,
    namespace: cut(namespace),
    workload: cut(workload),
    app: cut(app),
    version: cut(version),
    principal: cut(principal),
    cluster: cut(cluster),
  };
}

type PeerTexts = [
  kind: FlowPeer['kind'],
  namespace: string,
  workload: string,
  app: string,
  version: string,
  principal: string,
  cluster: string,
];

/** As it stands on disk: values without names, in one order. */
function textOf({
  reporter,
  protocol,
  source,
  destination,
  service,
  isMutualTls,
  via,
}: Told): string {
  return JSON.stringify([
    reporter,
    protocol,
    peerTexts(source),
    peerTexts(destination),
    [service.host, service.namespace, service.name],
    isMutualTls,
    via,
  ]);
}

function peerTexts(peer: FlowPeer): PeerTexts {
  const { kind, namespace, workload, app, version, principal, cluster } = peer;
  return [kind, namespace, workload, app, version, principal, cluster];
}

function readTold(body: string): Told | undefined {
  try {
    const [reporter, protocol, source, destination, service, isMutualTls, via] = JSON.parse(
      body,
    ) as [
      Told['reporter'],
      Told['protocol'],
      PeerTexts,
      PeerTexts,
      [string, string, string],
      boolean,
      string,
    ];
    const [host, namespace, name] = service;
    return {
      reporter,
      protocol,
      source: readPeer(source),
      destination: readPeer(destination),
      service: { host, namespace, name },
      isMutualTls,
      via,
    };
  } catch (error) {
    // A row that is no JSON of ours is a broken row; the series is met again when its traffic is.
    return void error;
  }
}

function readPeer([
  kind,
  namespace,
  workload,
  app,
  version,
  principal,
  cluster,
]: PeerTexts): FlowPeer {
  return { kind, namespace, workload, app, version, principal, cluster };
}

function hashOf(text: string): bigint {
  return BigInt(Bun.hash(text));
}

function cut(text: string): string {
  return text.length > PEER_TEXT_MAX ? text.slice(0, PEER_TEXT_MAX) : text;
}

function nameOf({ kind, namespace, workload }: FlowPeer): string {
  return `${kind}/${namespace}/${workload}`;
}

function shared<T>(known: Map<string, T>, value: T): T {
  const key = JSON.stringify(value);
  const same = known.get(key);
  if (same !== undefined) return same;
  known.set(key, value);
  return value;
}
