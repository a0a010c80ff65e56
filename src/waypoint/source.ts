/**
 * Who is calling: from what TLS proved, what discovery knows about the address, and else the baggage. Sources are shared by identity and
 * address, so that their metric edges outlive a tunnel. A pod may call before it is known here: its tunnels get another source once it is.
 */
import { parseIdentity } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { LATEST, type PeerLabels, UNKNOWN } from '#telemetry/metrics/istio.ts';
import { peerLabels } from '#telemetry/metrics/peer-labels.ts';
import { SOURCES_MAX } from './limits.ts';

export interface SourceFacts {
  readonly address: string;
  /** Proven by TLS; undefined on plaintext. */
  readonly principal: string | undefined;
  /** As the tunnel's `baggage` says, where discovery does not know the address (yet). */
  readonly described?: Workload;
  /** This proxy itself, where it is a gateway: towards the mesh it is the source, whoever sent it the request (as Istio reports). */
  readonly gateway?: () => ReportedPeer;
}

interface ReportedPeer {
  readonly workload: Workload | undefined;
  readonly principal: string | undefined;
}

export class Source {
  readonly address: string;
  readonly principal: string | undefined;
  readonly facts: SourceFacts;
  labels: PeerLabels;
  /** Discovery knows its workload: what is said of it is final. */
  readonly isKnown: boolean;
  /** Revision of discovery that did not know it. */
  unknownAt = -1;
  readonly reporter: 'waypoint' | 'source';
  /** Shared with other tunnels: what is counted for it is found again, and forgotten once it is idle. */
  isKept = false;
  /** Owned by the recorder. */
  readonly edges = new Map<object | string, unknown>();

  constructor(facts: SourceFacts, reported: ReportedPeer) {
    this.facts = facts;
    this.isKnown = reported.workload !== undefined && reported.workload !== facts.described;
    this.address = facts.address;
    this.principal = facts.principal;
    this.reporter = facts.gateway === undefined ? 'waypoint' : 'source';
    // As Istio: a revision that nobody knows is the latest, at the end that the proxy itself is not.
    const labels = sourceLabels(reported);
    const isUnknown = labels.canonicalRevision === UNKNOWN && facts.gateway === undefined;
    this.labels = isUnknown ? { ...labels, canonicalRevision: LATEST } : labels;
  }
}

/** Whose address it is, as discovery says. */
export interface KnownWorkloads {
  workloadAt(address: string): Workload | undefined;
  /** Grows when another answer is possible. */
  readonly revision: number;
}

const NOBODY: KnownWorkloads = { workloadAt: () => undefined, revision: 0 };

export class SourceRegistry {
  readonly #sources = new Map<string, Source>();
  readonly #known: KnownWorkloads;

  constructor(known: KnownWorkloads = NOBODY) {
    this.#known = known;
  }

  get all(): Iterable<Source> {
    return this.#sources.values();
  }

  resolve(facts: SourceFacts): Source {
    return this.#shared(facts, this.#reported(facts));
  }

  /** The source itself, or what it is by now when its workload was not known before. */
  current(source: Source): Source {
    const { revision } = this.#known;
    if (source.isKnown || source.unknownAt === revision) return source;
    const reported = this.#reported(source.facts);
    const { workload } = reported;
    const isStill = workload === undefined || workload === source.facts.described;
    if (!isStill) return this.#shared(source.facts, reported);
    source.unknownAt = revision;
    return source;
  }

  #reported(facts: SourceFacts): ReportedPeer {
    const { address, principal, described, gateway } = facts;
    return gateway?.() ?? { principal, workload: this.#known.workloadAt(address) ?? described };
  }

  #shared(facts: SourceFacts, reported: ReportedPeer): Source {
    const key = `${facts.principal ?? ''} ${facts.address} ${reported.workload?.uid ?? ''}`;
    let source = this.#sources.get(key);
    if (source === undefined) {
      source = new Source(facts, reported);
      // Above the bound sources are not shared: their metrics still count, only memory is not kept.
      if (this.#sources.size < SOURCES_MAX) {
        source.isKept = true;
        this.#sources.set(key, source);
      }
    }
    return source;
  }

  /** Drops sources without edges; a tunnel that still holds one simply stops sharing it. */
  sweep(): void {
    for (const [key, source] of this.#sources) {
      if (source.edges.size > 0) continue;
      this.#sources.delete(key);
      source.isKept = false;
    }
  }
}

function sourceLabels(facts: ReportedPeer): PeerLabels {
  const labels = peerLabels(facts.workload, { principal: facts.principal });
  if (facts.workload !== undefined || facts.principal === undefined) return labels;
  const identity = parseIdentity(facts.principal);
  return { ...labels, workloadNamespace: identity?.namespace ?? UNKNOWN };
}
