/**
 * Who is calling: made once per tunnel from what TLS proved, what discovery knows about the address, and the baggage. Sources are
 * shared by identity and address, so that their metric edges outlive a tunnel.
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
  /** From discovery, by address. */
  readonly workload: Workload | undefined;
  /** This proxy itself, where it is a gateway: towards the mesh it is the source, whoever sent it the request (as Istio reports). */
  readonly gateway?: { readonly workload: Workload | undefined; readonly principal: string };
}

export class Source {
  readonly address: string;
  readonly principal: string | undefined;
  labels: PeerLabels;
  readonly reporter: 'waypoint' | 'source';
  /** Shared with other tunnels: what is counted for it is found again, and forgotten once it is idle. */
  isKept = false;
  /** Owned by the recorder. */
  readonly edges = new Map<object | string, unknown>();

  constructor(facts: SourceFacts) {
    this.address = facts.address;
    this.principal = facts.principal;
    this.reporter = facts.gateway === undefined ? 'waypoint' : 'source';
    // As Istio: a revision that nobody knows is the latest, at the end that the proxy itself is not.
    const labels = sourceLabels(facts.gateway ?? facts);
    const isUnknown = labels.canonicalRevision === UNKNOWN && facts.gateway === undefined;
    this.labels = isUnknown ? { ...labels, canonicalRevision: LATEST } : labels;
  }
}

export class SourceRegistry {
  readonly #sources = new Map<string, Source>();

  get all(): Iterable<Source> {
    return this.#sources.values();
  }

  resolve(facts: SourceFacts): Source {
    const reported = (facts.gateway ?? facts).workload;
    const key = `${facts.principal ?? ''} ${facts.address} ${reported?.uid ?? ''}`;
    let source = this.#sources.get(key);
    if (source === undefined) {
      source = new Source(facts);
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

function sourceLabels(facts: Pick<SourceFacts, 'principal' | 'workload'>): PeerLabels {
  const labels = peerLabels(facts.workload, { principal: facts.principal });
  if (facts.workload !== undefined || facts.principal === undefined) return labels;
  const identity = parseIdentity(facts.principal);
  return { ...labels, workloadNamespace: identity?.namespace ?? UNKNOWN };
}
