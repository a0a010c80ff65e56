/** What is read of MeshConfig: the ConfigMap `istio` of the root namespace, key `mesh`, as Istio keeps it. */
import { parse } from 'yaml';
import type {
  KeepaliveSpec,
  LocalitySettingSpec,
  TrafficPolicySpec,
  ZoneAwareSpec,
} from '#config/compile/destination-rule-kinds.ts';
import type { MeshTelemetrySpec, ProxyTracingSpec } from '#config/compile/telemetry/kinds.ts';
import type { RetrySpec } from '#config/compile/virtual-service-kinds.ts';
import type { LabelSelector } from '#kube/client/kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { compileLabelSelector, matchLabels } from '#kube/meta/label-selector.ts';
import type { PathNormalization } from '#model/route/normalize-path.ts';
import { revisioned } from './revision.ts';

export const MESH_CONFIG_NAME = 'istio';

const OTHER_NORMALIZATIONS: readonly PathNormalization[] = [
  'NONE',
  'MERGE_SLASHES',
  'DECODE_AND_MERGE_SLASHES',
];

export type MeshConfigObject = KubeObject & { data?: Record<string, string> };

export type EntryVisibility = 'public' | 'namespace' | 'none';

interface VisibilitySpec {
  defaultVisibility?: string;
  policies?: {
    visibility?: string;
    matchingRules?: { namespaceSelector?: LabelSelector }[];
  }[];
}

/** Of ProxyConfig, what is read here. */
export interface ProxySettings {
  readonly gatewayTopology?: {
    readonly numTrustedProxies?: number;
    /** An empty mapping: a PROXY header comes first on every connection. */
    readonly proxyProtocol?: object;
  };
  readonly tracing?: ProxyTracingSpec;
}

export interface MeshConfig extends Omit<MeshTelemetrySpec, 'defaultConfig'> {
  readonly trustDomainAliases?: readonly string[];
  readonly serviceEntryVisibility?: VisibilitySpec;
  readonly defaultConfig?: ProxySettings;
  readonly defaultHttpRetryPolicy?: RetrySpec;
  readonly defaultVirtualServiceExportTo?: readonly string[];
  readonly defaultDestinationRuleExportTo?: readonly string[];
  readonly defaultTrafficPolicy?: TrafficPolicySpec;
  readonly localityLbSetting?: LocalitySettingSpec;
  readonly zoneAwareLbSetting?: ZoneAwareSpec;
  readonly connectTimeout?: string;
  readonly tcpKeepalive?: KeepaliveSpec;
  readonly h2UpgradePolicy?: string;
  readonly pathNormalization?: { readonly normalization?: string };
}

/** Of the object in its source. */
export function meshConfigKey(of: { rootNamespace: string; revision: string }): string {
  return `${of.rootNamespace}/${revisioned(MESH_CONFIG_NAME, of.revision)}`;
}

/** What a pod says of its own proxy. */
export function podSettings(
  annotations: Readonly<Record<string, string>> | undefined,
): ProxySettings {
  return readYaml<ProxySettings>(annotations?.['proxy.istio.io/config']);
}

/** What stands in front of a gateway: by its pod's own word (annotation proxy.istio.io/config), else the mesh's. */
export function gatewayTopology(
  config: MeshConfig,
  annotations: Readonly<Record<string, string>> | undefined,
): { readonly trustedProxies: number; readonly proxyProtocol: boolean } {
  const own = podSettings(annotations).gatewayTopology;
  const given = { ...config.defaultConfig?.gatewayTopology, ...own };
  const count = given.numTrustedProxies;
  return {
    trustedProxies: Number.isInteger(count) && Number(count) > 0 ? Number(count) : 0,
    proxyProtocol: typeof given.proxyProtocol === 'object' && given.proxyProtocol !== null,
  };
}

/** A name that Istio does not have is its default, as an absent one. Undefined where it is the default. */
export function pathNormalization(config: MeshConfig): PathNormalization | undefined {
  const name = config.pathNormalization?.normalization;
  return OTHER_NORMALIZATIONS.find((each) => each === name);
}

/** A text that is no YAML mapping is read as empty: its defaults are Istio's. */
export function readMeshConfig(object: MeshConfigObject | undefined): MeshConfig {
  return readYaml<MeshConfig>(object?.data?.mesh);
}

function readYaml<T extends object>(text: string | undefined): Partial<T> {
  let value: unknown;
  try {
    value = parse(text ?? '');
  } catch (error) {
    // What was written by hand may be broken; Istio's webhook would have said so.
    value = error;
  }
  return typeof value === 'object' && value !== null && !(value instanceof Error)
    ? (value as Partial<T>)
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

/** The mesh's trust domain and its other names. */
export function trustDomainsOf(
  { trustDomain }: { readonly trustDomain: string },
  { trustDomainAliases = [] }: MeshConfig,
): string[] {
  return [trustDomain, ...trustDomainAliases];
}
