/** What is read of MeshConfig: the ConfigMap `istio` of the root namespace, key `mesh`, as Istio keeps it. */
import { parse } from 'yaml';
import type { LabelSelector } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { compileLabelSelector, matchLabels } from '#kube/meta/label-selector.ts';

export const MESH_CONFIG_NAME = 'istio';

export type MeshConfigObject = KubeObject & { data?: Record<string, string> };

export type EntryVisibility = 'public' | 'namespace' | 'none';

interface VisibilitySpec {
  defaultVisibility?: string;
  policies?: {
    visibility?: string;
    matchingRules?: { namespaceSelector?: LabelSelector }[];
  }[];
}

export interface MeshConfig {
  readonly serviceEntryVisibility?: VisibilitySpec;
}

/** A text that is no YAML mapping is read as empty: its defaults are Istio's. */
export function readMeshConfig(object: MeshConfigObject | undefined): MeshConfig {
  let value: unknown;
  try {
    value = parse(object?.data?.mesh ?? '');
  } catch (error) {
    // What was written by hand may be broken; Istio's webhook would have said so.
    value = error;
  }
  return typeof value === 'object' && value !== null && !(value instanceof Error)
    ? (value as MeshConfig)
    : {};
}

/** The first policy whose rules all match the namespace, else the default; without any, everybody sees it. */
export function entryVisibility(
  config: MeshConfig,
  namespaceLabels: Readonly<Record<string, string>> | undefined,
): EntryVisibility {
  const spec = config.serviceEntryVisibility;
  const policy = spec?.policies?.find(({ matchingRules = [] }) =>
    matchingRules.every(
      ({ namespaceSelector }) =>
        // A rule of a kind that is not known matches nothing.
        namespaceSelector !== undefined &&
        matchLabels(compileLabelSelector(namespaceSelector), namespaceLabels),
    ),
  );
  const visibility = policy === undefined ? spec?.defaultVisibility : policy.visibility;
  if (visibility === 'NAMESPACE') return 'namespace';
  return visibility === 'NONE' ? 'none' : 'public';
}
