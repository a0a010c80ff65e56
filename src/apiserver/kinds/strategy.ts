/**
 * What a built-in kind does beyond storing JSON: defaults that users see, server-owned fields, cross-field rules.
 * Shape checks come from the schemas; here are only the rules that a schema cannot say.
 */
import type { Clock } from '#base/clock.ts';
import { type ApiObject, isJsonObject } from '#kube/meta/object.ts';
import type { SchemaFinding } from '../schema-provider.ts';
import { CRD_STRATEGY } from './crd-strategy.ts';
import { memberOf, objectsIn } from './members.ts';
import { POD_STRATEGY } from './pod-strategy.ts';
import type { AddressAllocator } from './service-addresses.ts';
import { SERVICE_STRATEGY } from './service-strategy.ts';
import { DEPLOYMENT_STRATEGY, REPLICASET_STRATEGY } from './workload-strategy.ts';

export interface StrategyContext {
  clock: Clock;
  addresses: AddressAllocator;
}

/** Every function may change `object` in place; none may touch `old`. */
export interface KindStrategy {
  /** On every write, before validation. */
  defaults?(object: ApiObject): void;
  prepareCreate?(object: ApiObject, context: StrategyContext): void;
  prepareUpdate?(object: ApiObject, old: ApiObject, context: StrategyContext): void;
  validate?(object: ApiObject, old: ApiObject | undefined): SchemaFinding[];
}

const NAMESPACE_STRATEGY: KindStrategy = {
  defaults(namespace) {
    namespace.metadata.labels = {
      ...namespace.metadata.labels,
      'kubernetes.io/metadata.name': namespace.metadata.name,
    };
    const spec = memberOf(namespace, 'spec');
    if (namespace.metadata.deletionTimestamp === undefined) spec.finalizers ??= ['kubernetes'];
  },
  prepareCreate(namespace) {
    namespace.status = { phase: 'Active' };
  },
};

const SECRET_STRATEGY: KindStrategy = {
  defaults(secret) {
    secret.type ??= 'Opaque';
    if (!isJsonObject(secret.stringData)) return;
    const data = memberOf(secret, 'data');
    for (const [key, text] of Object.entries(secret.stringData))
      data[key] = Buffer.from(String(text)).toString('base64');
    delete secret.stringData;
  },
  validate: (secret, old) => immutableData(secret, old),
};

const CONFIGMAP_STRATEGY: KindStrategy = {
  validate: (configMap, old) => immutableData(configMap, old),
};

const ENDPOINTSLICE_STRATEGY: KindStrategy = {
  defaults(slice) {
    slice.endpoints ??= [];
    slice.ports ??= [];
    for (const port of objectsIn(slice.ports)) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
};

const ENDPOINTS_STRATEGY: KindStrategy = {
  defaults(endpoints) {
    for (const subset of objectsIn(endpoints.subsets))
      for (const port of objectsIn(subset.ports)) port.protocol ??= 'TCP';
  },
};

const BY_TABLE: Record<string, KindStrategy> = {
  '/namespaces': NAMESPACE_STRATEGY,
  '/pods': POD_STRATEGY,
  '/services': SERVICE_STRATEGY,
  '/secrets': SECRET_STRATEGY,
  '/configmaps': CONFIGMAP_STRATEGY,
  '/endpoints': ENDPOINTS_STRATEGY,
  'apps/deployments': DEPLOYMENT_STRATEGY,
  'apps/replicasets': REPLICASET_STRATEGY,
  'discovery.k8s.io/endpointslices': ENDPOINTSLICE_STRATEGY,
  'apiextensions.k8s.io/customresourcedefinitions': CRD_STRATEGY,
};

const NONE: KindStrategy = {};

export function strategyOf(table: string): KindStrategy {
  return BY_TABLE[table] ?? NONE;
}

function immutableData(object: ApiObject, old: ApiObject | undefined): SchemaFinding[] {
  if (old?.immutable !== true) return [];
  return ['data', 'binaryData', 'immutable']
    .filter((field) => JSON.stringify(object[field]) !== JSON.stringify(old[field]))
    .map((field) => ({
      field,
      reason: 'FieldValueForbidden',
      message: 'Forbidden: field is immutable when `immutable` is set',
    }));
}
