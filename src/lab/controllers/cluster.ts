/** The lab runner's view of the API: one informer a kind, shared by controllers, kubelets, services and DNS. */
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type {
  ConfigMap,
  Deployment,
  EndpointSlice,
  Namespace,
  Node,
  Pod,
  Secret,
  Service,
} from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Informer, InformerHandler } from '#kube/informer/informer.ts';
import { startInformer } from '#kube/informer/list-watch.ts';
import type { ReplicaSet } from './replica-plan.ts';

export interface Cluster {
  client: KubeClient;
  clock: Clock;
  random: Random;
  log: Logger;
  namespaces: Informer<Namespace>;
  nodes: Informer<Node>;
  pods: Informer<Pod>;
  services: Informer<Service>;
  slices: Informer<EndpointSlice>;
  deployments: Informer<Deployment>;
  replicaSets: Informer<ReplicaSet>;
  configMaps: Informer<ConfigMap>;
  secrets: Informer<Secret>;
}

export type ClusterDeps = Pick<Cluster, 'client' | 'clock' | 'random' | 'log'>;

/** Resolves when every cache is filled. */
export async function connectCluster(deps: ClusterDeps): Promise<Cluster> {
  const cluster: Cluster = {
    ...deps,
    namespaces: startInformer(deps, RESOURCES.namespaces),
    nodes: startInformer(deps, RESOURCES.nodes),
    pods: startInformer(deps, RESOURCES.pods),
    services: startInformer(deps, RESOURCES.services),
    slices: startInformer(deps, RESOURCES.endpointSlices),
    deployments: startInformer(deps, RESOURCES.deployments),
    replicaSets: startInformer(deps, RESOURCES.replicaSets),
    configMaps: startInformer(deps, RESOURCES.configMaps),
    secrets: startInformer(deps, RESOURCES.secrets),
  };
  await Promise.all([
    cluster.namespaces.whenSynced(),
    cluster.nodes.whenSynced(),
    cluster.pods.whenSynced(),
    cluster.services.whenSynced(),
    cluster.slices.whenSynced(),
    cluster.deployments.whenSynced(),
    cluster.replicaSets.whenSynced(),
    cluster.configMaps.whenSynced(),
    cluster.secrets.whenSynced(),
  ]);
  return cluster;
}

/** A handler that treats every change alike. */
export function onAny<T extends KubeObject>(react: (object: T) => void): InformerHandler<T> {
  return {
    onAdd: react,
    onUpdate: (object, previous) => {
      react(previous);
      react(object);
    },
    onDelete: react,
  };
}
