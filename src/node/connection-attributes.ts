/** What expressions may ask about a connection at a node proxy: it has no requests. One, reused for each. */
import { formatPrincipal } from '#model/identity/spiffe.ts';
import {
  type AttributeName,
  type Attributes,
  flagBits,
} from '#model/telemetry/expression/attributes.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { ConnectionFacts } from './telemetry.ts';

/** What is known at its end; at its begin nothing. */
export interface ConnectionOutcome {
  readonly durationMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly flags: string;
  readonly reason: string | undefined;
}

export class ConnectionAttributes implements Attributes {
  #facts: ConnectionFacts | undefined = undefined;
  #outcome: ConnectionOutcome | undefined = undefined;

  about(facts: ConnectionFacts, outcome?: ConnectionOutcome): this {
    this.#facts = facts;
    this.#outcome = outcome;
    return this;
  }

  header(): undefined {
    return undefined;
  }

  value(name: AttributeName): string | number | boolean | undefined {
    const facts = this.#facts;
    if (facts === undefined) return undefined;
    const outcome = this.#outcome;
    switch (name) {
      case 'request.duration':
        return outcome?.durationMs;
      case 'request.size':
      case 'request.total_size':
        return outcome?.receivedBytes;
      case 'response.size':
      case 'response.total_size':
        return outcome?.sentBytes;
      case 'response.flags':
        return outcome && flagBits(outcome.flags);
      case 'connection.termination_details':
        return outcome?.reason;
      case 'connection.mtls':
        return facts.mutualTls;
      case 'connection.uri_san_peer_certificate':
        return facts.direction === 'inbound' ? facts.sourceIdentity : facts.destinationIdentity;
      case 'source.address':
        return facts.source.address;
      case 'source.port':
        return facts.source.port;
      case 'source.principal':
        return facts.sourceIdentity;
      case 'destination.address':
      case 'upstream.address':
        return facts.destination.address;
      case 'destination.port':
      case 'upstream.port':
        return facts.destination.port;
      case 'destination.principal':
        return facts.destinationIdentity ?? principalOf(facts.destinationWorkload);
      case 'destination.service':
        return facts.service;
      default:
        return workloadValue(name, facts);
    }
  }
}

function principalOf(workload: Workload | undefined): string | undefined {
  return workload && formatPrincipal(workload);
}

function workloadValue(name: AttributeName, facts: ConnectionFacts): string | undefined {
  const isSource = name.startsWith('source.');
  if (!isSource && !name.startsWith('destination.')) return undefined;
  const workload = isSource ? facts.sourceWorkload : facts.destinationWorkload;
  switch (name.slice(name.indexOf('.') + 1)) {
    case 'workload':
      return workload?.workloadName;
    case 'namespace':
      return workload?.namespace;
    case 'app':
      return workload?.canonicalName;
    case 'version':
      return workload?.canonicalRevision;
    case 'cluster':
      return workload?.clusterId;
    default:
      return undefined;
  }
}
