/**
 * The chart's hook before a removal: a Job with an account and rights of its own, which are there only while it runs. What it does is in
 * src/install/cluster/farewell.ts.
 */
import { labels, type ManifestObject, revisionLabels } from '../manifests/object.ts';
import type { Parameters } from '../manifests/parameters.ts';
import { imageOf, RESTRICTED_CONTAINER, RESTRICTED_POD } from '../manifests/pod-parts.ts';
import { accessOf } from '../manifests/rbac.ts';

/** Helm's annotations: account and rights are there before the Job, and nothing of them stays. */
const hook = (weight: number) => ({
  'helm.sh/hook': 'pre-delete',
  'helm.sh/hook-weight': `${weight}`,
  'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded',
});

export function farewellHooks(p: Parameters): ManifestObject[] {
  const account = `tulle-farewell${p.suffix}`;
  const clusterName = `${account}-${p.namespace}`;
  const access = accessOf(p, {
    part: 'removal',
    account,
    clusterName,
    own: labels(p, 'farewell'),
    rename: (name) => name,
  });
  return [
    ...access.map((object) => annotated(object, hook(-1))),
    annotated(job(p, account), hook(0)),
  ];
}

function annotated(object: ManifestObject, annotations: Record<string, string>): ManifestObject {
  return { ...object, metadata: { ...object.metadata, annotations } };
}

function job(p: Parameters, name: string): ManifestObject {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: p.namespace, labels: revisionLabels(p, 'farewell') },
    spec: {
      backoffLimit: 2,
      template: {
        metadata: {
          labels: {
            ...revisionLabels(p, 'farewell'),
            'istio.io/dataplane-mode': 'none',
            'sidecar.istio.io/inject': 'false',
          },
        },
        spec: {
          serviceAccountName: name,
          restartPolicy: 'Never',
          priorityClassName: 'system-cluster-critical',
          securityContext: RESTRICTED_POD,
          nodeSelector: p.control.nodeSelector,
          tolerations: p.control.tolerations,
          containers: [
            {
              name: 'farewell',
              ...imageOf(p),
              args: ['role', 'farewell', `--namespace=${p.namespace}`, `--revision=${p.revision}`],
              securityContext: RESTRICTED_CONTAINER,
            },
          ],
        },
      },
    },
  };
}
