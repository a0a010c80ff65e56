/**
 * What an installation leaves about itself: ConfigMap `tulle-install`, with the values that were chosen (an upgrade keeps them) and
 * the names of its objects (what a later version no longer has is taken away).
 */
import { parse, stringify } from 'yaml';
import { VERSION } from '#base/version.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { type ManifestObject, revisionLabels } from '../manifests/object.ts';
import { parametersOf } from '../manifests/parameters.ts';
import { isTree, type Tree, type Values } from '../values/values.ts';
import { find } from './apply.ts';

export interface InstalledObject {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

export interface InstallRecord {
  readonly version: string;
  readonly chosen: Tree;
  readonly objects: readonly InstalledObject[];
}

export function recordName(suffix: string): string {
  return `tulle-install${suffix}`;
}

export function recordObject(
  values: Values,
  chosen: Tree,
  objects: readonly KubeObject[],
): ManifestObject {
  const p = parametersOf(values);
  const names = objects.map(({ kind, metadata: { namespace, name } }) => ({
    kind,
    namespace,
    name,
  }));
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: recordName(p.suffix),
      namespace: p.namespace,
      labels: revisionLabels(p, 'install'),
    },
    data: {
      version: VERSION,
      'values.yaml': stringify(chosen, { sortMapEntries: true }),
      'objects.json': JSON.stringify(names),
    },
  };
}

/** Undefined where Tulle was not installed by this program, or the record cannot be read. */
export async function readRecord(
  client: KubeClient,
  { namespace, suffix }: { namespace: string; suffix: string },
): Promise<InstallRecord | undefined> {
  const found = await find<KubeObject & { data?: Record<string, string> }>(client, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name: recordName(suffix) },
  });
  const { version, 'values.yaml': values, 'objects.json': objects } = found?.data ?? {};
  if (version === undefined || values === undefined || objects === undefined) return undefined;
  const chosen: unknown = parse(values);
  return {
    version,
    chosen: isTree(chosen) ? chosen : {},
    objects: JSON.parse(objects) as InstalledObject[],
  };
}
