/**
 * The CustomResourceDefinitions as they are installed, and what is done about one that a cluster has already. Pure.
 * Definitions of others are never changed: they are left alone if they serve the versions that we read, else the
 * installation is refused.
 */

import { VERSION } from '#base/version.ts';
import { OPTIONAL_KINDS } from '#control/ingest/gateway-api-sources.ts';
import { INGESTED } from '#control/ingest/ingest.ts';
import { OPTIONAL_ISTIO_KINDS } from '#control/ingest/istio-gateway-graph.ts';
import { OWN_KINDS } from '#control/ingest/limit-graph.ts';
import type { MeshSources } from '#control/ingest/mesh-graph.ts';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { LABEL, MADE_BY } from '../manifests/object.ts';
import { compareVersions } from './versions.ts';

const GATEWAY_GROUPS: ReadonlySet<string> = new Set([
  'gateway.networking.k8s.io',
  'gateway.networking.x-k8s.io',
]);
export const BUNDLE_VERSION = 'gateway.networking.k8s.io/bundle-version';
export const CHANNEL = 'gateway.networking.k8s.io/channel';

interface ReadKind {
  readonly version: string;
  /** The control plane works without it. */
  readonly optional: boolean;
}

/** By name of the definition: which version the control plane reads. */
const READ: ReadonlyMap<string, ReadKind> = new Map(
  (Object.keys(INGESTED) as (keyof MeshSources)[]).map((source) => {
    const { resource, group, version } = INGESTED[source];
    const optional =
      OPTIONAL_KINDS.has(source) || OPTIONAL_ISTIO_KINDS.has(source) || OWN_KINDS.has(source);
    return [`${resource}.${group}`, { version, optional }];
  }),
);

/**
 * Of the Gateway API what is read; of Istio all, as its tools (Kiali, istioctl) expect every kind to be there;
 * docs/compatibility.md says which have no effect.
 */
export function crdsToInstall(
  all: readonly CustomResourceDefinition[],
  managedBy: string,
): CustomResourceDefinition[] {
  return all
    .filter(({ metadata, spec }) => !GATEWAY_GROUPS.has(spec.group) || READ.has(metadata.name))
    .map((crd) => ({
      ...crd,
      metadata: {
        ...crd.metadata,
        labels: { ...crd.metadata.labels, [LABEL.managedBy]: managedBy },
        annotations: { ...crd.metadata.annotations, [MADE_BY]: VERSION },
      },
    }));
}

export type CrdAction =
  /** `owned`: one that an installation of ours made, brought up to date. */
  | { readonly do: 'create' | 'update'; readonly crd: CustomResourceDefinition }
  | { readonly do: 'leave'; readonly name: string; readonly why: string; readonly lost?: string }
  | { readonly do: 'refuse'; readonly name: string; readonly why: string; readonly remedy: string };

export function planCrds(
  wanted: readonly CustomResourceDefinition[],
  existing: readonly CustomResourceDefinition[],
): CrdAction[] {
  const present = new Map(existing.map((crd) => [crd.metadata.name, crd]));
  const foreignBundle = existing.find((crd) => GATEWAY_GROUPS.has(crd.spec.group) && !isOurs(crd));
  return wanted.map((crd) => {
    const found = present.get(crd.metadata.name);
    if (found !== undefined) {
      return isOurs(found) ? judgeOurs(crd, found) : judgeForeign(crd, found);
    }
    if (foreignBundle !== undefined && GATEWAY_GROUPS.has(crd.spec.group)) {
      return judgeMissing(crd, foreignBundle);
    }
    return { do: 'create', crd };
  });
}

export function isOurs({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[MADE_BY] !== undefined;
}

/** An older program beside a newer one does not take away what that added. */
function judgeOurs(crd: CustomResourceDefinition, found: CustomResourceDefinition): CrdAction {
  const maker = found.metadata.annotations?.[MADE_BY] ?? '';
  return compareVersions(maker, VERSION) > 0
    ? { do: 'leave', name: crd.metadata.name, why: `Tulle ${maker} made it` }
    : { do: 'update', crd };
}

function judgeForeign(
  wanted: CustomResourceDefinition,
  found: CustomResourceDefinition,
): CrdAction {
  const { name } = wanted.metadata;
  const served = found.spec.versions.filter((each) => each.served).map((each) => each.name);
  const read = READ.get(name);
  const origin = originOf(found);
  if (read === undefined || served.includes(read.version)) {
    return { do: 'leave', name, why: `${origin} is there and serves ${served.join(', ')}` };
  }
  const why = `${origin} serves ${served.join(', ') || 'nothing'}, and ${read.version} is read`;
  if (read.optional) return { do: 'leave', name, why, lost: wanted.spec.names.kind };
  return { do: 'refuse', name, why, remedy: remedyFor(found) };
}

/** Two channels of the Gateway API must not be mixed, and its own admission policy refuses it. */
function judgeMissing(
  wanted: CustomResourceDefinition,
  bundle: CustomResourceDefinition,
): CrdAction {
  const { name } = wanted.metadata;
  const why = `${originOf(bundle)} is there without it`;
  if (READ.get(name)?.optional === true) {
    return { do: 'leave', name, why, lost: wanted.spec.names.kind };
  }
  return { do: 'refuse', name, why, remedy: remedyFor(bundle) };
}

function originOf({ metadata, spec }: CustomResourceDefinition): string {
  const { [BUNDLE_VERSION]: bundle, [CHANNEL]: channel } = metadata.annotations ?? {};
  if (bundle !== undefined) {
    return `the Gateway API bundle ${bundle}${channel === undefined ? '' : ` (${channel})`}`;
  }
  return GATEWAY_GROUPS.has(spec.group) ? 'a Gateway API definition' : 'a definition of others';
}

function remedyFor({ spec }: CustomResourceDefinition): string {
  return GATEWAY_GROUPS.has(spec.group)
    ? 'install the bundle of Gateway API v1.5 or newer, or delete those definitions where nothing uses them'
    : `upgrade the CRDs of ${spec.group} to those of Istio 1.22 or newer, or delete them where nothing uses them`;
}
