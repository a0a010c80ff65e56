/** The Kubernetes API as a pod reaches it. */
import { MeshError } from '#base/errors.ts';
import { inClusterConnection } from '#kube/client/in-cluster.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import { NODE_ERRORS } from '../errors.ts';

export function podClient(environment: Record<string, string | undefined>): RestClient {
  const connection = inClusterConnection(environment);
  if (connection !== undefined) return new RestClient({ fetch: fetch as Fetch }, connection);
  throw new MeshError('NODE_OPTIONS', 'KUBERNETES_SERVICE_HOST is not set: not started as a pod', {
    side: 'config',
    hint: NODE_ERRORS.NODE_OPTIONS,
  });
}
