/**
 * What a Gateway of a gateway class is made into: ServiceAccount, Deployment and Service, named as Istio names them
 * (`<name>-<class>`). Pure.
 */
import type * as Kinds from '#kube/client/kinds.ts';
import { ANNOTATION, LABEL, namespaceOf } from '../derive/mesh.ts';
import {
  autoscalerOf,
  budgetOf,
  objectName,
  type ProxyObjects,
  proxyMetadata,
  serviceAccountName,
} from './proxy-objects.ts';
import { deploymentOf, type ProxyOptions, READY_PORT, replicasOf } from './proxy-pod.ts';

/** What the controller needs of the Gateway API's Gateway. */
export type GatewayObject = Kinds.Gateway & {
  spec: {
    infrastructure?: {
      labels?: Record<string, string>;
      annotations?: Record<string, string>;
      parametersRef?: { group?: string; kind: string; name: string };
    };
  };
};

const SERVICE_TYPES = ['LoadBalancer', 'NodePort', 'ClusterIP'];
const PORT_NAME_LENGTH_MAX = 63;

/** Objects that exist already are named by a host name address: nothing is made (Istio: manual deployment). */
export function isManaged({ spec }: GatewayObject): boolean {
  return !spec.addresses?.some(({ type }) => type === 'Hostname');
}

/** Namespace and name of the Service that a Gateway's traffic comes in at. */
export function gatewayServiceKey(gateway: GatewayObject, domain: string) {
  const namespace = namespaceOf(gateway);
  const named = gateway.spec.addresses?.find(({ type }) => type === 'Hostname')?.value;
  if (named === undefined) return { namespace, name: objectName(gateway, true) };
  const [name, other = namespace] = named
    .replace(new RegExp(`\\.svc(\\.${domain})?$`), '')
    .split('.');
  return { namespace: other, name };
}

/** Addresses that the Gateway asks for; those without a value leave the choice to us. */
export function fixedAddresses({ spec }: GatewayObject): string[] {
  return (spec.addresses ?? [])
    .filter(({ type = 'IPAddress', value }) => type === 'IPAddress' && value)
    .map(({ value }) => value);
}

/** `ports`: what its listeners and those of its ListenerSets are bound to, by name. */
export function gatewayObjects(
  gateway: GatewayObject,
  ports: readonly ListenerPort[],
  options: ProxyOptions,
): ProxyObjects {
  const { name, annotations = {} } = gateway.metadata;
  const metadata = proxyMetadata(gateway, { name: objectName(gateway, true), role: 'gateway' });
  const account = serviceAccountName(gateway, true);
  const wanted =
    annotations[ANNOTATION.serviceType] ?? metadata.annotations?.[ANNOTATION.serviceType];
  const type = SERVICE_TYPES.find((each) => each === wanted) ?? 'LoadBalancer';
  const fixed = fixedAddresses(gateway);
  const service: Kinds.Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      type,
      selector: { [LABEL.gatewayName]: name },
      ports: [
        {
          name: 'status-port',
          port: READY_PORT,
          targetPort: READY_PORT,
          protocol: 'TCP',
          appProtocol: 'tcp',
        },
        ...servicePorts(ports),
      ],
      // A balancer is asked for one; without balancer whoever routes the addresses to the nodes has said so.
      ...(fixed.length > 0 &&
        (type === 'LoadBalancer' ? { loadBalancerIP: fixed[0] } : { externalIPs: fixed })),
    } as Kinds.Service['spec'],
  };
  const deployment = deploymentOf(
    {
      metadata,
      role: 'gateway',
      gatewayName: name,
      serviceAccount: account,
      replicas: replicasOf(gateway),
      ports: servicePorts(ports).map(({ name: portName, port }) => ({
        name: `p-${port}`.slice(0, 15) || portName,
        containerPort: port,
        protocol: 'TCP',
      })),
    },
    options,
  );
  return {
    serviceAccount: {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { ...metadata, name: account },
    },
    service,
    deployment,
    horizontalPodAutoscaler: autoscalerOf(metadata),
    podDisruptionBudget: budgetOf(metadata, name),
  };
}

export interface ListenerPort {
  readonly name: string;
  readonly port: number;
  /** As the listener names it. */
  readonly protocol: string;
}

/** One for each number. Names of listeners may be longer than those of ports, and hold dots. */
function servicePorts(ports: readonly ListenerPort[]) {
  const byPort = new Map(ports.map((each) => [each.port, each]));
  byPort.delete(READY_PORT);
  const taken = new Set<string>();
  return [...byPort.values()]
    .sort((left, right) => left.port - right.port)
    .map(({ name, port, protocol }) => {
      const plain = name
        .replace(/[^a-z0-9-]/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, PORT_NAME_LENGTH_MAX);
      const unique = plain === '' || taken.has(plain) ? `port-${port}` : plain;
      taken.add(unique);
      const appProtocol = protocol.toLowerCase();
      return { name: unique, port, targetPort: port, protocol: 'TCP', appProtocol };
    });
}
