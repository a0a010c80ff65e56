/**
 * What only one replica of a control plane does, for as long as it leads: statuses, Events, the proxies of Gateways, the root of trust
 * in every namespace.
 */
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { createEventRecorder } from '#kube/events/event-recorder.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { startRootKeeper } from './ca/root-keeper.ts';
import type { LoadedRoot } from './ca/root-secret.ts';
import { startCrlController } from './controllers/ca-crl.ts';
import { startEntryAddressController } from './controllers/entry-addresses.ts';
import { FIELD_MANAGER } from './controllers/field-manager.ts';
import { startFindingEvents } from './controllers/finding-events.ts';
import { startGatewayController } from './controllers/gateway.ts';
import { followOwnership } from './controllers/ownership.ts';
import type { PolicySync, SyncCount } from './controllers/policy-status.ts';
import { startPolicyStatusController } from './controllers/policy-status.ts';
import { startRootCertController } from './controllers/root-cert.ts';
import { startRouteStatusController } from './controllers/route-status.ts';
import { startServiceStatusController } from './controllers/service-status.ts';
import { revisioned } from './derive/revision.ts';
import type { MeshGraph } from './ingest/mesh-graph.ts';
import type { AllStreams } from './observe/peers.ts';
import type { ControlOptions } from './options.ts';
import type { ProxySyncState } from './push/proxy-stream.ts';
import { TYPE_URL } from './push/resource-source.ts';
import { startCaBundleController } from './webhook/ca-bundle.ts';

export interface Leading {
  readonly options: ControlOptions;
  readonly mesh: MeshGraph;
  readonly root: LoadedRoot;
  readonly policySync: PolicySync;
  /** Everything that existed at the start is in the mesh. */
  readonly synced: Promise<void>;
}

export function lead(informerDeps: InformerDeps, from: Leading): Disposer {
  const scope = new Scope();
  let isLeading = true;
  const { own } = from.root;
  const namespace = from.options.mesh.rootNamespace;
  if (own !== undefined) scope.add(startRootKeeper(informerDeps, { namespace, material: own }));
  scope.add(startRootCertController(informerDeps, () => from.root.authority.root));
  if (own === undefined) scope.add(startCrlController(informerDeps, namespace));
  // Who owns what is known only then: a Gateway of another revision must not be made for a moment.
  void from.synced.then(() => {
    if (isLeading) scope.add(leadMesh(informerDeps, from));
  });
  return () => {
    isLeading = false;
    scope.dispose();
  };
}

function leadMesh(
  informerDeps: InformerDeps,
  { options, mesh, root, policySync }: Leading,
): Disposer {
  const scope = new Scope();
  const ownership = followOwnership(mesh.sources, options.mesh);
  scope.add(ownership.stop);
  const events = createEventRecorder(informerDeps, {
    component: FIELD_MANAGER,
    instance: options.identity,
  });
  scope.add(() => events.stop());
  const deps = { ...informerDeps, ownership, events };
  scope.add(
    startCaBundleController(deps, {
      name: `${revisioned('istio-validator', options.mesh.revision)}-${options.mesh.rootNamespace}`,
      bundle: () => root.authority.root,
    }),
  );
  scope.add(
    startGatewayController(deps, {
      ...options.mesh,
      image: options.proxyImage,
      priorityClass: options.proxyPriorityClass,
      gatewayConfigs: mesh.gatewayConfigs,
      services: mesh.sources.services,
      configMaps: mesh.sources.configMaps,
    }),
  );
  scope.add(startServiceStatusController(deps, mesh.services));
  const { gatewayApiStatuses: statuses, sources } = mesh;
  scope.add(startRouteStatusController(deps, { statuses, sources }));
  const { serviceEntries: entries } = mesh.sources;
  scope.add(startEntryAddressController(deps, { entries, byAddress: mesh.entriesByAddress }));
  scope.add(
    startPolicyStatusController(
      deps,
      { statuses: mesh.policyStatuses, sources: mesh.sources },
      policySync,
    ),
  );
  scope.add(startFindingEvents(deps, mesh));
  return () => scope.dispose();
}

/** How many of the node proxies that anybody knows hold all policies. */
export function policySync({ streams: proxies, silent }: AllStreams): SyncCount {
  const nodes = proxies.filter(({ type }) => type === 'ztunnel');
  const holds = ({ types }: ProxySyncState) =>
    types.some(({ typeUrl, state }) => typeUrl === TYPE_URL.authorization && state === 'synced');
  return { synced: nodes.filter(holds).length, total: nodes.length, silent };
}
