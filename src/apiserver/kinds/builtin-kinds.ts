/** The kinds that exist without a CRD, one row each, with kubectl's short names. */
import { type ServedKind, STORED_VERBS } from './served-kind.ts';

interface Row {
  /** `group/version`, or `v1` for the core group. */
  at: string;
  resource: string;
  kind: string;
  cluster?: true;
  short?: string[];
  sub?: string[];
  categories?: string[];
  /** Answers a create, stores nothing. */
  virtual?: true;
  counted?: true;
  /** Another kind's table: the same objects in another dress. */
  table?: string;
}

const REPLICAS = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  labelSelectorPath: '.spec.selector',
};
const AUTHORIZATION = 'authorization.k8s.io/v1';
const RBAC = 'rbac.authorization.k8s.io/v1';
const ADMISSION = 'admissionregistration.k8s.io/v1';

const ROWS: readonly Row[] = [
  { at: 'v1', resource: 'configmaps', kind: 'ConfigMap', short: ['cm'] },
  { at: 'v1', resource: 'endpoints', kind: 'Endpoints', short: ['ep'] },
  { at: 'v1', resource: 'events', kind: 'Event', short: ['ev'] },
  {
    at: 'v1',
    resource: 'namespaces',
    kind: 'Namespace',
    cluster: true,
    short: ['ns'],
    sub: ['finalize', 'status'],
  },
  { at: 'v1', resource: 'nodes', kind: 'Node', cluster: true, short: ['no'], sub: ['status'] },
  {
    at: 'v1',
    resource: 'pods',
    kind: 'Pod',
    short: ['po'],
    categories: ['all'],
    sub: ['binding', 'eviction', 'exec', 'log', 'portforward', 'status'],
  },
  { at: 'v1', resource: 'secrets', kind: 'Secret' },
  { at: 'v1', resource: 'serviceaccounts', kind: 'ServiceAccount', short: ['sa'], sub: ['token'] },
  {
    at: 'v1',
    resource: 'services',
    kind: 'Service',
    short: ['svc'],
    categories: ['all'],
    sub: ['status'],
  },
  {
    at: 'apps/v1',
    resource: 'deployments',
    kind: 'Deployment',
    short: ['deploy'],
    categories: ['all'],
    sub: ['scale', 'status'],
    counted: true,
  },
  {
    at: 'apps/v1',
    resource: 'replicasets',
    kind: 'ReplicaSet',
    short: ['rs'],
    categories: ['all'],
    sub: ['scale', 'status'],
    counted: true,
  },
  { at: 'coordination.k8s.io/v1', resource: 'leases', kind: 'Lease' },
  { at: 'discovery.k8s.io/v1', resource: 'endpointslices', kind: 'EndpointSlice', counted: true },
  { at: 'events.k8s.io/v1', resource: 'events', kind: 'Event', short: ['ev'], table: '/events' },
  {
    at: 'apiextensions.k8s.io/v1',
    resource: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    cluster: true,
    short: ['crd', 'crds'],
    categories: ['api-extensions'],
    sub: ['status'],
    counted: true,
  },
  {
    at: ADMISSION,
    resource: 'mutatingwebhookconfigurations',
    kind: 'MutatingWebhookConfiguration',
    cluster: true,
    categories: ['api-extensions'],
    counted: true,
  },
  {
    at: ADMISSION,
    resource: 'validatingwebhookconfigurations',
    kind: 'ValidatingWebhookConfiguration',
    cluster: true,
    categories: ['api-extensions'],
    counted: true,
  },
  { at: RBAC, resource: 'clusterroles', kind: 'ClusterRole', cluster: true },
  { at: RBAC, resource: 'clusterrolebindings', kind: 'ClusterRoleBinding', cluster: true },
  { at: RBAC, resource: 'roles', kind: 'Role' },
  { at: RBAC, resource: 'rolebindings', kind: 'RoleBinding' },
  {
    at: 'authentication.k8s.io/v1',
    resource: 'tokenreviews',
    kind: 'TokenReview',
    cluster: true,
    virtual: true,
  },
  {
    at: 'authentication.k8s.io/v1',
    resource: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    cluster: true,
    virtual: true,
  },
  {
    at: AUTHORIZATION,
    resource: 'subjectaccessreviews',
    kind: 'SubjectAccessReview',
    cluster: true,
    virtual: true,
  },
  {
    at: AUTHORIZATION,
    resource: 'selfsubjectaccessreviews',
    kind: 'SelfSubjectAccessReview',
    cluster: true,
    virtual: true,
  },
];

export const BUILTIN_KINDS: readonly ServedKind[] = ROWS.map(toServedKind);

function toServedKind(row: Row): ServedKind {
  const [group, version] = row.at.includes('/') ? row.at.split('/') : ['', row.at];
  return {
    group,
    version,
    resource: row.resource,
    kind: row.kind,
    namespaced: row.cluster !== true,
    singular: row.kind.toLowerCase(),
    shortNames: row.short ?? [],
    categories: row.categories ?? [],
    subresources: row.sub ?? [],
    verbs: row.virtual ? ['create'] : STORED_VERBS,
    table: row.table ?? `${group}/${row.resource}`,
    custom: false,
    virtual: row.virtual === true,
    counted: row.counted === true,
    scale: row.sub?.includes('scale') ? REPLICAS : undefined,
  };
}
