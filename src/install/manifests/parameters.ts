/**
 * What the manifests are made of. Manifests put these together and never decide by one, except by `when`: so the same code makes the
 * Helm chart, where each of them is a placeholder.
 */
import { stringify } from 'yaml';
import { revisioned } from '#control/derive/revision.ts';
import { mergeTrees, type Values } from '../values/values.ts';

export interface Parameters extends Values {
  /** Of names that every revision has its own of: empty, or `-REVISION`. */
  readonly suffix: string;
  /** Who looks after the objects: label app.kubernetes.io/managed-by. */
  readonly managedBy: string;
  /** MeshConfig as YAML text. */
  readonly mesh: string;
}

export function suffixOf(revision: string): string {
  return revisioned('', revision);
}

export function parametersOf(values: Values): Parameters {
  return {
    ...values,
    suffix: suffixOf(values.revision),
    managedBy: MANAGED_BY_TULLE,
    mesh: meshText(values),
  };
}

export const MANAGED_BY_TULLE = 'tulle';

/** Members sorted, as Helm's toYaml does. */
function meshText({ trustDomain, namespace, meshConfig }: Values): string {
  const mesh = mergeTrees([{ rootNamespace: namespace, trustDomain }, meshConfig]);
  return stringify(mesh, { sortMapEntries: true, lineWidth: 0 }).trimEnd();
}
