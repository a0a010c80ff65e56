/** The form that manifests have before they are applied or written. */
import { VERSION } from '#base/version.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { Parameters } from './parameters.ts';

export const LABEL = {
  partOf: 'app.kubernetes.io/part-of',
  managedBy: 'app.kubernetes.io/managed-by',
  component: 'app.kubernetes.io/component',
  version: 'app.kubernetes.io/version',
  revision: 'istio.io/rev',
} as const;

export const PART_OF = 'tulle';
/** On CustomResourceDefinitions: the version of Tulle that made them. Labels cannot say it, Istio's charts set the same ones. */
export const MADE_BY = 'tulle.dev/made-by-version';

/** `shared`: one for all revisions of the mesh. */
export type Scope = 'shared' | 'revision';
/** Paths of values that are booleans. */
export type Condition =
  | 'node.enabled'
  | 'resourceQuota'
  | 'monitoring.podMonitor'
  | 'monitoring.dashboards';

export interface Manifest {
  readonly object: ManifestObject;
  readonly scope: Scope;
  /** Only where this value is true. */
  readonly when?: Condition;
}

export interface ManifestObject extends KubeObject {
  [member: string]: unknown;
}

export function labels(p: Parameters, component: string): Record<string, string> {
  return {
    [LABEL.partOf]: PART_OF,
    [LABEL.managedBy]: p.managedBy,
    [LABEL.component]: component,
    [LABEL.version]: VERSION,
  };
}

export function revisionLabels(p: Parameters, component: string): Record<string, string> {
  return { ...labels(p, component), [LABEL.revision]: p.revision };
}
