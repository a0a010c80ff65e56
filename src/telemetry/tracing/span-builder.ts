/** What every span of ours has in common: attributes with bounds, names of few kinds, custom tags. Pure. */
import type { LogFacts } from '#model/telemetry/log-template.ts';
import { SPAN_VALUE_CHARS_MAX } from '../limits.ts';
import type { PeerLabels } from '../metrics/istio.ts';
import type { CompiledTag } from './tracing-rules.ts';

type Value = string | number | boolean;

/** Collects attributes; what is empty or unknown is left out, what is long is cut. */
export class Attributes {
  readonly all: Record<string, Value> = {};

  put(name: string, value: Value | undefined, charsMax = SPAN_VALUE_CHARS_MAX): this {
    if (value === undefined || value === '') return this;
    this.all[name] = typeof value === 'string' ? cut(value, charsMax) : value;
    return this;
  }
}

function cut(text: string, charsMax: number): string {
  return text.length > charsMax ? text.slice(0, charsMax) : text;
}

/** Methods that may stand in a span's name (OpenTelemetry's conventions for HTTP); a stranger can make up others without end. */
const METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'QUERY',
]);
export const OTHER_METHOD = '_OTHER';

export function spanMethod(method: string): string {
  return METHODS.has(method) ? method : OTHER_METHOD;
}

/** Istio's tags about a workload at one end. Made once: a name that is put together each time is looked up among all names each time. */
const PEER_TAGS = {
  source: peerTags('source'),
  destination: peerTags('destination'),
} as const;

function peerTags(side: string) {
  const prefix = `istio.${side}_`;
  return {
    workload: `${prefix}workload`,
    namespace: `${prefix}namespace`,
    cluster: `${prefix}cluster_id`,
    service: `${prefix}canonical_service`,
    revision: `${prefix}canonical_revision`,
    app: `${prefix}app`,
    version: `${prefix}app_version`,
    principal: `${prefix}principal`,
  };
}

export function putPeer(
  attributes: Attributes,
  side: 'source' | 'destination',
  peer: PeerLabels,
): void {
  const tags = PEER_TAGS[side];
  attributes
    .put(tags.workload, known(peer.workload))
    .put(tags.namespace, known(peer.workloadNamespace))
    .put(tags.cluster, known(peer.cluster))
    .put(tags.service, known(peer.canonicalService))
    .put(tags.revision, known(peer.canonicalRevision))
    .put(tags.app, known(peer.app))
    .put(tags.version, known(peer.version))
    .put(tags.principal, known(peer.principal));
}

/** Istio's tags about the proxy itself, with its defaults (tracing.go). */
export function putSelf(
  attributes: Attributes,
  { labels, meshId }: { readonly labels: PeerLabels; readonly meshId: string },
): void {
  attributes
    .put('istio.canonical_revision', known(labels.canonicalRevision) ?? 'latest')
    .put('istio.canonical_service', known(labels.canonicalService) ?? 'unknown')
    .put('istio.mesh_id', meshId || 'unknown')
    .put('istio.namespace', known(labels.workloadNamespace) ?? 'default')
    .put('istio.cluster_id', known(labels.cluster) ?? 'unknown');
}

function known(label: string): string | undefined {
  return label === '' || label === 'unknown' ? undefined : label;
}

export function putTags(
  attributes: Attributes,
  tags: readonly CompiledTag[],
  facts: LogFacts,
): void {
  for (const tag of tags) {
    if ('value' in tag) attributes.put(tag.name, tag.value);
    else if ('header' in tag) {
      attributes.put(tag.name, facts.header('request', tag.header) || tag.otherwise);
    } else attributes.put(tag.name, tag.render(facts));
  }
}
