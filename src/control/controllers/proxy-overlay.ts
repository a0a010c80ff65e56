/**
 * Overlays: ConfigMaps whose keys are strategic merge patches of what is made of a Gateway, as Istio documents them. Those of a class are
 * found by label in the root namespace, that of one Gateway by its `spec.infrastructure.parametersRef`; it comes last. Pure.
 */
import { parse } from 'yaml';
import { messageOf } from '#base/errors.ts';
import type { ConfigMap } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { equalJson, isJsonObject } from '#kube/meta/object.ts';
import { applyStrategicMerge } from '#kube/meta/strategic-merge.ts';
import { keyOf } from '../derive/mesh.ts';
import type { ProxyObjects } from './proxy-objects.ts';

const KEYS = [
  'serviceAccount',
  'service',
  'deployment',
  'horizontalPodAutoscaler',
  'podDisruptionBudget',
] as const;
type Key = (typeof KEYS)[number];

export type OverlaidObjects = Partial<ProxyObjects>;

export type OverlayResult =
  /** `asked`: the keys that an overlay has; the autoscaler is made only then. */
  | { readonly objects: OverlaidObjects; readonly asked: ReadonlySet<Key> }
  /** Nothing of it is applied: which ConfigMap, which key, what is wrong with it. */
  | { readonly fault: string };

export function overlay(base: ProxyObjects, overlays: readonly ConfigMap[]): OverlayResult {
  const objects: Partial<Record<Key, KubeObject>> = { ...base };
  const asked = new Set<Key>();
  for (const configMap of overlays) {
    const of = (key: string) => `ConfigMap ${keyOf(configMap)}, key ${key}`;
    for (const [key, text] of Object.entries(configMap.data ?? {})) {
      const known = KEYS.find((each) => each === key);
      if (known === undefined)
        return { fault: `${of(key)}: no such overlay; there are ${KEYS.join(', ')}` };
      const before = objects[known];
      if (before === undefined) continue;
      const patched = patch(before, text);
      if (typeof patched === 'string') return { fault: `${of(key)}: ${patched}` };
      objects[known] = patched;
      asked.add(known);
    }
  }
  if (!asked.has('horizontalPodAutoscaler')) delete objects.horizontalPodAutoscaler;
  // Two writers of one field: the number of pods is the autoscaler's.
  else if (objects.deployment !== undefined)
    objects.deployment = withoutReplicas(objects.deployment);
  return { objects: objects as OverlaidObjects, asked };
}

function patch(object: KubeObject, text: string): KubeObject | string {
  let patched: unknown;
  try {
    const parsed: unknown = parse(text);
    if (parsed === null || parsed === undefined) return object;
    if (!isJsonObject(parsed)) return 'a strategic merge patch is a mapping';
    patched = applyStrategicMerge(object, parsed);
  } catch (error) {
    return messageOf(error).split('\n')[0];
  }
  const after = patched as KubeObject;
  return identityChange(object, after) ?? after;
}

/** What it is and whom it belongs to an overlay may not change (as Istio: "illegal metadata change"). */
function identityChange(before: KubeObject, after: KubeObject): string | undefined {
  const identity = ({ apiVersion, kind, metadata }: KubeObject) => {
    const { labels: _labels, annotations: _annotations, ...rest } = metadata ?? {};
    return { apiVersion, kind, ...rest };
  };
  if (after.metadata === undefined || !equalJson(identity(before), identity(after)))
    return 'of the metadata only labels and annotations may be changed';
  for (const [key, value] of Object.entries(before.metadata.labels ?? {}))
    if (key.startsWith('gateway.') && after.metadata.labels?.[key] !== value)
      return `the label ${key} may not be changed: the Gateway is found by it`;
  return undefined;
}

function withoutReplicas(deployment: KubeObject): KubeObject {
  const { replicas: _replicas, ...spec } = (deployment as KubeObject & { spec: object })
    .spec as Record<string, unknown>;
  return { ...deployment, spec } as KubeObject;
}
