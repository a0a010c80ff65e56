/** Asks the control plane before an object of the mesh is stored. */
import { JUDGED_GROUPS } from '#control/webhook/judge.ts';
import { LABEL, type Manifest, type ManifestObject, revisionLabels } from './object.ts';
import type { Parameters } from './parameters.ts';

/** The control plane answers within milliseconds; who applies an object waits for this at most. */
const TIMEOUT_SECONDS = 5;

/** Istio's name for it: its tools look for it. */
export function webhookName(p: Parameters): string {
  return `istio-validator${p.suffix}-${p.namespace}`;
}

export function webhookManifests(p: Parameters): Manifest[] {
  return [{ object: configuration(p), scope: 'revision' }];
}

/** Objects that name no revision are everybody's (src/control/derive/revision.ts), so every control plane judges them. */
function configuration(p: Parameters): ManifestObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: webhookName(p), labels: { ...revisionLabels(p, 'control'), app: 'istiod' } },
    webhooks: [
      webhook(p, 'rev.validation.istio.io', { operator: 'In', values: [p.revision] }),
      webhook(p, 'validation.istio.io', { operator: 'DoesNotExist' }),
    ],
  };
}

function webhook(p: Parameters, name: string, ofRevision: object) {
  return {
    name,
    clientConfig: {
      // Whose certificate it shows is filled in by the control plane: caBundle is its field.
      service: { name: `istiod${p.suffix}`, namespace: p.namespace, path: '/validate', port: 443 },
    },
    rules: [
      {
        apiGroups: JUDGED_GROUPS,
        apiVersions: ['*'],
        operations: ['CREATE', 'UPDATE'],
        resources: ['*'],
        scope: 'Namespaced',
      },
    ],
    objectSelector: { matchExpressions: [{ key: LABEL.revision, ...ofRevision }] },
    // While nobody answers objects are let in, and judged when they are read: a cluster is never locked.
    failurePolicy: 'Ignore',
    matchPolicy: 'Equivalent',
    sideEffects: 'None',
    timeoutSeconds: TIMEOUT_SECONDS,
    admissionReviewVersions: ['v1'],
  };
}
