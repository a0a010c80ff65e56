/** What the pods of several parts have in common: image, identity, mounts, restrictions. */
import type { Parameters } from './parameters.ts';

/** User of the image; it exists in no other. */
const NON_ROOT = 65_532;

export function imageOf(p: Parameters) {
  return {
    image: `${p.image.repository}:${p.image.tag}`,
    imagePullPolicy: p.image.pullPolicy,
  };
}

export function field(name: string, fieldPath: string) {
  // With what the server would fill in: whoever applies the same object must not find that it differs.
  return { name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } };
}

export const IDENTITY_ENV = [
  field('POD_NAME', 'metadata.name'),
  field('POD_NAMESPACE', 'metadata.namespace'),
  field('POD_IP', 'status.podIP'),
  field('NODE_NAME', 'spec.nodeName'),
  field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
];

/** Pod Security Standard `restricted`. */
export const RESTRICTED_POD = {
  runAsNonRoot: true,
  runAsUser: NON_ROOT,
  runAsGroup: NON_ROOT,
  seccompProfile: { type: 'RuntimeDefault' },
};

export const RESTRICTED_CONTAINER = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

export function scrape(port: number, path: string): Record<string, string> {
  return {
    'prometheus.io/scrape': 'true',
    'prometheus.io/port': String(port),
    'prometheus.io/path': path,
  };
}
