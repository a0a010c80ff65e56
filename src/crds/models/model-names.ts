/** Where the packages keep a type's declaration, and what Kubernetes' OpenAPI calls it. */
import type { ModelId, ModelNames, ModelPackage } from './model-source.ts';

interface Family {
  package: ModelPackage;
  prefix: string;
  folder: string;
  /** Prefix of the OpenAPI name; undefined for types that CRDs inline. */
  definition?: string;
}

const KUBERNETES: readonly (readonly [api: string, folder: string])[] = [
  ['AdmissionregistrationV1', 'admissionregistration.k8s.io/v1'],
  ['AppsV1', 'apps/v1'],
  ['AuthenticationV1', 'authentication.k8s.io/v1'],
  ['AuthorizationV1', 'authorization.k8s.io/v1'],
  ['AutoscalingV1', 'autoscaling/v1'],
  ['AutoscalingV2', 'autoscaling/v2'],
  ['BatchV1', 'batch/v1'],
  ['CoordinationV1', 'coordination.k8s.io/v1'],
  ['CoreV1', 'v1'],
  ['DiscoveryV1', 'discovery.k8s.io/v1'],
  ['EventsV1', 'events.k8s.io/v1'],
  ['NetworkingV1', 'networking.k8s.io/v1'],
  ['PolicyV1', 'policy/v1'],
  ['RbacV1', 'rbac.authorization.k8s.io/v1'],
  ['SchedulingV1', 'scheduling.k8s.io/v1'],
];

const families: readonly Family[] = [
  ...KUBERNETES.map(([api, folder]): Family => {
    const version = api.slice(api.lastIndexOf('V')).toLowerCase();
    const group = api.slice(0, api.lastIndexOf('V')).toLowerCase();
    return {
      package: 'kubernetes-models',
      prefix: `IoK8sApi${api}`,
      folder,
      definition: `io.k8s.api.${group}.${version}.`,
    };
  }),
  {
    package: 'kubernetes-models',
    prefix: 'IoK8sApiextensionsApiserverPkgApisApiextensionsV1',
    folder: 'apiextensions.k8s.io/v1',
    definition: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.',
  },
  machinery('PkgApisMetaV1', 'apis/meta/v1', 'pkg.apis.meta.v1.'),
  machinery('PkgUtilIntstr', 'util/intstr', 'pkg.util.intstr.'),
  machinery('PkgApiResource', 'api/resource', 'pkg.api.resource.'),
  machinery('PkgRuntime', 'runtime', 'pkg.runtime.'),
  ...['v1', 'v1alpha2', 'v1alpha3', 'v1beta1'].map((version) => gateway(version)),
  ...istio('NetworkingIstioIo', 'networking.istio.io', ['v1', 'v1beta1', 'v1alpha3']),
  ...istio('SecurityIstioIo', 'security.istio.io', ['v1', 'v1beta1']),
  ...istio('TelemetryIstioIo', 'telemetry.istio.io', ['v1', 'v1alpha1']),
  ...istio('ExtensionsIstioIo', 'extensions.istio.io', ['v1alpha1']),
];

function machinery(api: string, folder: string, definition: string): Family {
  return {
    package: '@kubernetes-models/apimachinery',
    prefix: `IoK8sApimachinery${api}`,
    folder,
    definition: `io.k8s.apimachinery.${definition}`,
  };
}

function gateway(version: string): Family {
  return {
    package: '@kubernetes-models/gateway-api',
    prefix: `IoK8sSigsGatewayApiApis${capital(version)}`,
    folder: `gateway.networking.k8s.io/${version}`,
  };
}

function istio(prefix: string, group: string, versions: readonly string[]): Family[] {
  return versions.map((version) => ({
    package: '@kubernetes-models/istio',
    prefix: `${prefix}${capital(version)}`,
    folder: `${group}/${version}`,
  }));
}

function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

function familyOf(id: ModelId): { family: Family; type: string } | undefined {
  for (const family of families) {
    if (family.package !== id.package || !id.name.startsWith(family.prefix)) continue;
    const type = id.name.slice(family.prefix.length);
    // `V1` must not take `V1beta1Gateway`; types start with a capital.
    if (/^[A-Z]/.test(type)) return { family, type };
  }
  return undefined;
}

export const modelNames: ModelNames = {
  declaration(id) {
    const found = familyOf(id);
    return found === undefined ? undefined : `${found.family.folder}/${found.type}.d.ts`;
  },
  definition(id) {
    const found = familyOf(id);
    const prefix = found?.family.definition;
    return found === undefined || prefix === undefined ? undefined : `${prefix}${found.type}`;
  },
};

/** The schema file of a group, version and kind. */
export function istioModel(group: string, version: string, kind: string): ModelId {
  const name = group.split('.').map(capital).join('');
  return { package: '@kubernetes-models/istio', name: `${name}${capital(version)}${kind}` };
}

export function gatewayModel(version: string, kind: string): ModelId {
  const name = `IoK8sSigsGatewayApiApis${capital(version)}${kind}`;
  return { package: '@kubernetes-models/gateway-api', name };
}

export function kubernetesModel(definition: string): ModelId | undefined {
  for (const family of families) {
    if (family.definition !== undefined && definition.startsWith(family.definition)) {
      const name = `${family.prefix}${definition.slice(family.definition.length)}`;
      return { package: family.package, name };
    }
  }
  return undefined;
}
