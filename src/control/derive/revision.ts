/**
 * Revisions: several control planes side by side, told apart by the label `istio.io/rev` on objects, namespaces and Gateways, as
 * Istio's are (pkg/revisions/tag_watcher.go, pkg/config/model.go). A tag is a name that points at a revision; it is kept as
 * a Service of the root namespace with the labels `istio.io/tag` and `istio.io/rev`. Pure.
 */
import type { KubeObject } from '#kube/client/kube-client.ts';
import { LABEL, namespaceOf } from './mesh.ts';

export const DEFAULT_REVISION = 'default';

export interface RevisionView {
  readonly revision: string;
  /** What names us in a label: the revision, and the tags that point at it. */
  readonly names: ReadonlySet<string>;
  /** Objects that name no revision, nor does their namespace, are ours. */
  readonly isDefault: boolean;
}

type Labels = Readonly<Record<string, string>> | undefined;

/** Names of what exists once a revision carry it: `istiod`, and `istiod-canary`. */
export function revisioned(name: string, revision: string): string {
  return revision === DEFAULT_REVISION ? name : `${name}-${revision}`;
}

export function isTag(service: KubeObject, rootNamespace: string): boolean {
  const { labels = {} } = service.metadata;
  return (
    namespaceOf(service) === rootNamespace &&
    labels[LABEL.tag] !== undefined &&
    labels[LABEL.revision] !== undefined
  );
}

/** `tags`: the Services for which `isTag` holds. A tag takes precedence over a revision of the same name. */
export function revisionView(revision: string, tags: Iterable<KubeObject>): RevisionView {
  const names = new Set([revision]);
  let defaultOwner = DEFAULT_REVISION;
  for (const { metadata } of tags) {
    const { [LABEL.tag]: tag, [LABEL.revision]: target } = metadata.labels ?? {};
    if (target === revision) names.add(tag);
    else names.delete(tag);
    if (tag === DEFAULT_REVISION) defaultOwner = target;
  }
  return { revision, names, isDefault: defaultOwner === revision };
}

/** Configuration that names no revision is everybody's; namespaces do not count here. */
export function inRevision(labels: Labels, { revision, names }: RevisionView): boolean {
  const named = labels?.[LABEL.revision];
  return named === undefined || named === revision || names.has(named);
}

/** Exactly one control plane makes what a Gateway asks for, and writes an object's status. */
export function isOurs(labels: Labels, ofNamespace: Labels, view: RevisionView): boolean {
  const named = labels?.[LABEL.revision] ?? ofNamespace?.[LABEL.revision] ?? '';
  return named === '' ? view.isDefault : view.names.has(named);
}
