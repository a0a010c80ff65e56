/** Finds the pod that `logs` and `exec` mean: a name, `pod/NAME`, `deploy/NAME`, `svc/NAME`. */
import { MeshError } from '#base/errors.ts';
import type { Deployment, LabelSelector, Pod, Service } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { CLI_ERRORS } from '../../errors.ts';
import { UsageError } from '../../output/report.ts';

export async function findPod(client: KubeClient, namespace: string, word: string): Promise<Pod> {
  const [kind, name] = word.includes('/') ? word.split('/') : ['pod', word];
  switch (kind) {
    case 'pod':
    case 'pods':
    case 'po':
      return client.get<Pod>(RESOURCES.pods, { namespace, name });
    case 'deploy':
    case 'deployment':
    case 'deployments': {
      const deployment = await client.get<Deployment>(RESOURCES.deployments, { namespace, name });
      return firstRunning(client, {
        namespace,
        word,
        selector: selectorText(deployment.spec.selector),
      });
    }
    case 'svc':
    case 'service':
    case 'services': {
      const service = await client.get<Service>(RESOURCES.services, { namespace, name });
      return firstRunning(client, {
        namespace,
        word,
        selector: selectorText({ matchLabels: service.spec.selector }),
      });
    }
    default:
      throw new UsageError(`${word}: expected POD, deploy/NAME or svc/NAME`);
  }
}

export function selectorText(selector: LabelSelector): string {
  const labels = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]) => `${key}=${value}`,
  );
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values }) => {
    if (operator === 'Exists') return key;
    if (operator === 'DoesNotExist') return `!${key}`;
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${(values ?? []).join(',')})`;
  });
  return [...labels, ...expressions].join(',');
}

/** Prefers pods that run and are ready. */
async function firstRunning(
  client: KubeClient,
  query: { namespace: string; word: string; selector: string },
): Promise<Pod> {
  const { items } = await client.list<Pod>(RESOURCES.pods, {
    namespace: query.namespace,
    labelSelector: query.selector,
  });
  const ready = (pod: Pod) =>
    (pod.status?.conditions ?? []).some(
      ({ type, status }) => type === 'Ready' && status === 'True',
    );
  const rank = (pod: Pod) => (pod.metadata.deletionTimestamp ? 2 : ready(pod) ? 0 : 1);
  const [best] = items.sort((left, right) => rank(left) - rank(right));
  if (best !== undefined) return best;
  throw new MeshError('CLI_NO_POD', `${query.word} in namespace ${query.namespace} has no pod`, {
    side: 'config',
    hint: CLI_ERRORS.CLI_NO_POD,
  });
}
