/** References from one object to another, and the ReferenceGrants that let them cross namespaces. Pure. */
import type { ReferenceGrantObject } from './kinds.ts';
import { GATEWAY_GROUP } from './kinds.ts';

/** Group of Istio's ServiceEntry and of its `Hostname` backends. */
export const ISTIO_GROUP = 'networking.istio.io';

/** Who refers. */
export interface Referrer {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
}

/** What is referred to, defaults filled in. */
export interface Referent extends Referrer {
  readonly name: string;
}

/** Whether a reference into another namespace is granted there; within a namespace nobody asks. */
export type Granted = (from: Referrer, to: Referent) => boolean;

/** `grants` are those of the referent's namespace. */
export function isGranted(
  grants: Iterable<ReferenceGrantObject>,
  from: Referrer,
  to: Referent,
): boolean {
  if (from.namespace === to.namespace) return true;
  for (const { metadata, spec } of grants) {
    if (metadata.namespace !== to.namespace) continue;
    const isFrom = spec?.from?.some(
      ({ group = '', kind, namespace }) =>
        group === from.group && kind === from.kind && namespace === from.namespace,
    );
    const isTo = spec?.to?.some(
      ({ group = '', kind, name }) =>
        group === to.group && kind === to.kind && (!name || name === to.name),
    );
    if (isFrom && isTo) return true;
  }
  return false;
}

/** A reference with its defaults filled in. */
export function referentOf(
  ref: { group?: string; kind?: string; namespace?: string; name: string },
  defaults: { group: string; kind: string; namespace: string },
): Referent {
  return {
    group: ref.group ?? defaults.group,
    kind: ref.kind ?? defaults.kind,
    namespace: ref.namespace ?? defaults.namespace,
    name: ref.name,
  };
}

export const SECRET = { group: '', kind: 'Secret' };
export const CONFIG_MAP = { group: '', kind: 'ConfigMap' };
export const SERVICE = { group: '', kind: 'Service' };
export const GATEWAY = { group: GATEWAY_GROUP, kind: 'Gateway' };

/** `Secret shop/cert`, for messages. */
export function describeReferent({ kind, namespace, name }: Referent): string {
  return `${kind} ${namespace}/${name}`;
}
