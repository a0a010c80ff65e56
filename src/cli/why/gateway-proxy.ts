/** The proxies behind the name of a gateway: a Gateway of either API, or the workload that serves Istio's Gateways. */
import { namespaceOf, selectsAll } from '#control/derive/mesh.ts';
import { isAssumedAddress, type Labels } from './assumed-objects.ts';
import type { World } from './world.ts';

export interface GatewayProxy {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly serviceAccount: string;
  readonly address: string | undefined;
  readonly isKnown: boolean;
  /** Of the Gateway API; undefined: its pods are chosen by Istio's Gateways alone. */
  readonly gateway: { readonly key: string; readonly className: string } | undefined;
}

/** Looked up as the Gateway itself, an Istio Gateway's selector, a pod or a service; else what Istio installs is assumed. */
export function gatewayProxy(world: World, key: string): GatewayProxy {
  const { mesh, settings } = world;
  const [namespace, name] = key.split('/');
  if (mesh.gatewayConfigs.get(key) !== undefined) {
    // Istio's naming of a managed gateway's service account: the Gateway's name and its class.
    const className = mesh.sources.gateways.get(key)?.spec.gatewayClassName ?? 'istio';
    const labels = { 'gateway.networking.k8s.io/gateway-name': name };
    return {
      namespace,
      name,
      labels,
      serviceAccount: `${name}-${className}`,
      address: undefined,
      isKnown: true,
      gateway: { key, className },
    };
  }
  const istio = world.istioGateways.find(
    (each) => each.namespace === namespace && each.name === name,
  );
  const service = mesh.sources.services.get(key);
  const selector = istio?.selector ?? service?.spec.selector;
  const pods = [...mesh.sources.pods.entries()].map(([, pod]) => pod);
  const pod =
    mesh.sources.pods.get(key) ??
    (selector && pods.find(({ metadata }) => selectsAll(selector, metadata.labels)));
  if (pod !== undefined) {
    const ip = pod.status?.podIP;
    return {
      namespace: namespaceOf(pod),
      name: pod.metadata.name,
      labels: pod.metadata.labels ?? {},
      serviceAccount: pod.spec.serviceAccountName ?? 'default',
      address: ip === undefined || isAssumedAddress(ip) ? undefined : ip,
      isKnown: true,
      gateway: undefined,
    };
  }
  const own = istio === undefined ? name : 'istio-ingressgateway';
  const assumed = { app: own, istio: own.replace(/^istio-/, '') };
  return {
    namespace: istio === undefined ? namespace : settings.rootNamespace,
    name: own,
    labels: { ...assumed, ...(selector ?? onlySelector(world, assumed)) },
    serviceAccount: `${own}-service-account`,
    address: undefined,
    isKnown: false,
    gateway: undefined,
  };
}

/** Files with one kind of gateway proxy mean it, whatever the request calls it. */
function onlySelector({ istioGateways }: World, assumed: Labels): Labels | undefined {
  const selectors = istioGateways.map(({ selector }) => selector);
  if (selectors.some((each) => selectsAll(each, assumed))) return undefined;
  const texts = new Set(selectors.map((each) => JSON.stringify(Object.entries(each).sort())));
  return texts.size === 1 ? selectors[0] : undefined;
}

const NO_TRANSLATION = 'experimental.istio.io/disable-gateway-port-translation';

/** Which ports the services in front of the proxy lead to, or the one that is named. */
export function targetPortsOf(
  world: World,
  proxy: GatewayProxy,
): (port: number, hostname: string | undefined) => readonly number[] {
  const { mesh } = world;
  return (port, hostname) => {
    const found = new Set<number>();
    for (const [, { workload, labels }] of mesh.workloads.entries()) {
      if (hostname === undefined && !isProxy(proxy, labels)) continue;
      for (const [key, mappings] of workload.services) {
        const bound = mesh.services.get(key);
        if (bound === undefined) continue;
        if (
          hostname === undefined
            ? isUntranslated(world, bound)
            : bound.service.hostname !== hostname
        )
          continue;
        for (const { servicePort, targetPort } of mappings)
          if (servicePort === port) found.add(targetPort);
      }
    }
    return [...found];
  };
}

/** Labels of the workload tell it: all that it has must be the proxy's. */
function isProxy(proxy: GatewayProxy, labels: Labels): boolean {
  return selectsAll(labels, proxy.labels) || selectsAll(proxy.labels, labels);
}

function isUntranslated(
  { mesh }: World,
  { kind, service }: { kind: string; service: { namespace: string; name: string } },
): boolean {
  const key = `${service.namespace}/${service.name}`;
  const object =
    kind === 'Service' ? mesh.sources.services.get(key) : mesh.sources.serviceEntries.get(key);
  return object?.metadata.labels?.[NO_TRANSLATION] === 'true';
}
