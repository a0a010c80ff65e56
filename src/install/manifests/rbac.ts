/** Accounts, and the roles that say what they may do. */
import { labels, type Manifest, type ManifestObject, revisionLabels } from './object.ts';
import type { Parameters } from './parameters.ts';
import { type Grant, type PolicyRule, policyRules } from './rbac-rules.ts';
import { webhookName } from './webhook.ts';

const RBAC = 'rbac.authorization.k8s.io';

export function controlAccess(p: Parameters): Manifest[] {
  const account = `istiod${p.suffix}`;
  return accessOf(p, {
    part: 'control',
    account,
    clusterName: `istiod-clusterrole${p.suffix}-${p.namespace}`,
    own: revisionLabels(p, 'control'),
    rename: (name) => (name === 'istio-validator' ? webhookName(p) : name),
  }).map((object) => ({ object, scope: 'revision' }));
}

/** An account with a ClusterRole and a Role of a part's grants, and the bindings of both. */
export function accessOf(
  p: Parameters,
  of: {
    part: Grant['part'];
    account: string;
    clusterName: string;
    own: Record<string, string>;
    rename: (name: string) => string;
  },
): ManifestObject[] {
  const { part, account, own, rename } = of;
  const everywhere = { kind: 'ClusterRole', name: of.clusterName, labels: own } as const;
  const here = { kind: 'Role', name: account, namespace: p.namespace, labels: own } as const;
  return [
    serviceAccount(p, account, own),
    role(everywhere, policyRules(part, 'cluster', rename)),
    binding(p, everywhere, account),
    role(here, policyRules(part, 'own namespace', rename)),
    binding(p, here, account),
  ];
}

export function nodeAccess(p: Parameters): Manifest[] {
  return accessOf(p, {
    part: 'node',
    account: 'ztunnel',
    clusterName: `ztunnel-${p.namespace}`,
    own: labels(p, 'node'),
    rename: (name) => name,
  }).map((object) => ({ object, scope: 'shared', when: 'node.enabled' }));
}

interface RoleName {
  readonly kind: 'ClusterRole' | 'Role';
  readonly name: string;
  readonly namespace?: string;
  readonly labels: Record<string, string>;
}

function serviceAccount(p: Parameters, name: string, own: Record<string, string>): ManifestObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace: p.namespace, labels: own },
    imagePullSecrets: p.image.pullSecrets,
  };
}

function role({ kind, ...metadata }: RoleName, rules: readonly PolicyRule[]): ManifestObject {
  return { apiVersion: `${RBAC}/v1`, kind, metadata, rules };
}

function binding(p: Parameters, { kind, ...metadata }: RoleName, account: string): ManifestObject {
  return {
    apiVersion: `${RBAC}/v1`,
    kind: `${kind}Binding`,
    metadata,
    roleRef: { apiGroup: RBAC, kind, name: metadata.name },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: p.namespace }],
  };
}
