/** Everything that is installed, in the order in which it is applied. Pure. */

import { monitoringManifests } from '../monitoring/monitoring.ts';
import { memberAt, type Values } from '../values/values.ts';
import { controlManifests } from './control.ts';
import { nodeManifests } from './node.ts';
import { labels, type Manifest, type ManifestObject, PART_OF } from './object.ts';
import { type Parameters, parametersOf } from './parameters.ts';
import { controlAccess, nodeAccess } from './rbac.ts';
import { webhookManifests } from './webhook.ts';

export function allManifests(p: Parameters): Manifest[] {
  return [
    { object: namespace(p), scope: 'shared' },
    { object: resourceQuota(p), scope: 'shared', when: 'resourceQuota' },
    ...controlAccess(p),
    ...nodeAccess(p),
    ...controlManifests(p),
    ...nodeManifests(p),
    ...webhookManifests(p),
    ...monitoringManifests(p),
  ];
}

/** Those that the values ask for. */
export function manifests(values: Values, parameters = parametersOf): Manifest[] {
  return allManifests(parameters(values))
    .filter(({ when }) => when === undefined || memberAt(values, when.split('.')) === true)
    .map((manifest) => ({ ...manifest, object: withoutEmpty(manifest.object) }));
}

/** Values that may be empty. The server forgets such a field, and would take it for a change ever after. */
const FORGOTTEN: ReadonlySet<string> = new Set([
  'imagePullSecrets',
  'tolerations',
  'affinity',
  'nodeSelector',
  'resources',
]);

export function withoutEmpty<T>(node: T): T {
  if (Array.isArray(node)) return node.map(withoutEmpty) as T;
  if (typeof node !== 'object' || node === null) return node;
  const kept = Object.entries(node).filter(
    ([name, value]) => !(FORGOTTEN.has(name) && Object.keys(value as object).length === 0),
  );
  return Object.fromEntries(kept.map(([name, value]) => [name, withoutEmpty(value)])) as T;
}

function namespace(p: Parameters): ManifestObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: p.namespace,
      labels: {
        ...labels(p, 'mesh'),
        // For the node proxies alone: host network, host processes, hostPath. The control plane's pods would pass `restricted`.
        'pod-security.kubernetes.io/enforce': 'privileged',
      },
    },
  };
}

function resourceQuota(p: Parameters): ManifestObject {
  return {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: {
      name: `${PART_OF}-critical-pods`,
      namespace: p.namespace,
      labels: labels(p, 'mesh'),
    },
    spec: {
      hard: { pods: '100000' },
      scopeSelector: {
        matchExpressions: [
          {
            scopeName: 'PriorityClass',
            operator: 'In',
            values: ['system-node-critical', 'system-cluster-critical'],
          },
        ],
      },
    },
  };
}
