/**
 * The `baggage` field of a tunnel: who the sending workload is, for the receiver's telemetry. Keys and order as
 * ztunnel writes them (src/baggage.rs): comma-joined `key=value`, no escapes, empty values left out.
 */
import type { Workload } from '#model/workload/workload.ts';

export interface Baggage {
  readonly clusterId: string;
  readonly namespace: string;
  readonly workloadType: Workload['workloadType'] | '';
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly region: string;
  readonly zone: string;
}

const WORKLOAD_TYPES = ['deployment', 'cronjob', 'pod', 'job'] as const;
const EMPTY: Baggage = {
  clusterId: '',
  namespace: '',
  workloadType: '',
  workloadName: '',
  canonicalName: '',
  canonicalRevision: '',
  region: '',
  zone: '',
};

/** Workloads are immutable, and every connection of one sends the same. */
const encoded = new WeakMap<Workload, string>();

export function encodeBaggage(workload: Workload): string {
  let text = encoded.get(workload);
  if (text === undefined) {
    text = write(workload);
    encoded.set(workload, text);
  }
  return text;
}

function write(workload: Workload): string {
  const pairs: [string, string][] = [
    ['k8s.cluster.name', workload.clusterId],
    ['k8s.namespace.name', workload.namespace],
    [`k8s.${workload.workloadType}.name`, workload.workloadName],
    ['service.name', workload.canonicalName],
    ['service.version', workload.canonicalRevision],
    ['cloud.region', workload.locality.region],
    ['cloud.availability_zone', workload.locality.zone],
  ];
  return pairs
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Unknown keys are skipped; absent ones are empty strings. */
export function parseBaggage(text: string): Baggage {
  const found: { -readonly [Key in keyof Baggage]: Baggage[Key] } = { ...EMPTY };
  for (const pair of text.split(',')) {
    const equals = pair.indexOf('=');
    if (equals <= 0) continue;
    const key = pair.slice(0, equals).trim();
    const value = pair.slice(equals + 1).trim();
    if (key === 'k8s.cluster.name') found.clusterId = value;
    else if (key === 'k8s.namespace.name') found.namespace = value;
    else if (key === 'service.name') found.canonicalName = value;
    else if (key === 'service.version') found.canonicalRevision = value;
    else if (key === 'cloud.region') found.region = value;
    else if (key === 'cloud.availability_zone') found.zone = value;
    else {
      const type = WORKLOAD_TYPES.find((each) => key === `k8s.${each}.name`);
      if (type === undefined) continue;
      found.workloadType = type;
      found.workloadName = value;
    }
  }
  return found;
}
