/**
 * Who is calling: made once per tunnel from what TLS proved, what discovery knows about the address, and the baggage. Sources are
 * shared by identity and address, so that their metric edges outlive a tunnel.
 */
import { parseIdentity } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { type PeerLabels, UNKNOWN } from '#telemetry/metrics/istio.ts';
import { peerLabels } from '#telemetry/metrics/peer-labels.ts';
import { SOURCES_MAX } from './limits.ts';

export interface SourceFacts {
  readonly address: string;
  /** Proven by TLS; undefined on plaintext. */
  readonly principal: string | undefined;
  /** From discovery, by address. */
  readonly workload: Workload | undefined;
}

export class Source {
  readonly address: string;
  readonly principal: string | undefined;
  labels: PeerLabels;
  /** Owned by the recorder. */
  readonly edges = new Map<object | string, unknown>();

  constructor(facts: SourceFacts) {
    this.address = facts.address;
    this.principal = facts.principal;
    this.labels = sourceLabels(facts);
  }
}

export class SourceRegistry {
  readonly #sources = new Map<string, Source>();

  get all(): Iterable<Source> {
    return this.#sources.values();
  }

  resolve(facts: SourceFacts): Source {
    const key = `${facts.principal ?? ''} ${facts.address} ${facts.workload?.uid ?? ''}`;
    let source = this.#sources.get(key);
    if (source === undefined) {
      source = new Source(facts);
      // Above the bound sources are not shared: their metrics still count, only memory is not kept.
      if (this.#sources.size < SOURCES_MAX) this.#sources.set(key, source);
    }
    return source;
  }

  /** Drops sources without edges; a tunnel that still holds one simply stops sharing it. */
  sweep(): void {
    for (const [key, source] of this.#sources) {
      if (source.edges.size === 0) this.#sources.delete(key);
    }
  }
}

function sourceLabels(facts: SourceFacts): PeerLabels {
  const labels = peerLabels(facts.workload, { principal: facts.principal });
  if (facts.workload !== undefined || facts.principal === undefined) return labels;
  const identity = parseIdentity(facts.principal);
  return { ...labels, workloadNamespace: identity?.namespace ?? UNKNOWN };
}
