/**
 * Which configuration this control plane reads: what names its revision, one of its tags or none (derive/revision.ts). Gateways and
 * their classes pass whatever they name: waypoints of one revision serve traffic of clients that another one configures.
 */
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Informer } from '#kube/informer/informer.ts';
import { LABEL } from '../derive/mesh.ts';
import { inRevision, isTag, type RevisionView, revisionView } from '../derive/revision.ts';
import type { MeshSources } from './mesh-graph.ts';

/** Everything else is no configuration, or is shared. */
export const REVISIONED: ReadonlySet<string> = new Set<keyof MeshSources>([
  'serviceEntries',
  'workloadEntries',
  'authorizationPolicies',
  'requestAuthentications',
  'peerAuthentications',
  'virtualServices',
  'destinationRules',
  'httpRoutes',
  'grpcRoutes',
  'tcpRoutes',
  'tlsRoutes',
  'backendTlsPolicies',
  'listenerSets',
  'istioGateways',
  'sidecars',
  'telemetries',
  'localRateLimits',
  'loadSheddings',
]);

export interface RevisionFilter {
  admits(object: KubeObject): boolean;
}

/** `onChange`: a tag points elsewhere, so that what was refused may be admitted and the other way round. */
export function createRevisionFilter(
  services: Informer<KubeObject>,
  { revision, rootNamespace }: { revision: string; rootNamespace: string },
  onChange: () => void,
): RevisionFilter {
  const tags = new Map<string, KubeObject>();
  let view: RevisionView = revisionView(revision, []);
  const derive = () => {
    view = revisionView(revision, tags.values());
    onChange();
  };
  const set = (service: KubeObject) => {
    const { name } = service.metadata;
    if (isTag(service, rootNamespace)) tags.set(name, service);
    else if (service.metadata.namespace !== rootNamespace || !tags.delete(name)) return;
    derive();
  };
  services.subscribe({
    onAdd: set,
    onUpdate: set,
    onDelete: ({ metadata }) => {
      if (metadata.namespace === rootNamespace && tags.delete(metadata.name)) derive();
    },
  });
  return { admits: ({ metadata }) => inRevision(metadata.labels, view) };
}

/** What a change of tags can change. */
export function namesRevision({ metadata }: KubeObject): boolean {
  return metadata.labels?.[LABEL.revision] !== undefined;
}
