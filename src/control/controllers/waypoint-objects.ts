/** What a waypoint Gateway is made into: ServiceAccount, Service and Deployment, all named as the Gateway. Pure. */
import { LABEL } from '../derive/mesh.ts';
import { HBONE_PORT } from '../derive/waypoint.ts';
import type { GatewayObject } from './gateway-objects.ts';
import {
  autoscalerOf,
  budgetOf,
  objectName,
  type ProxyObjects,
  proxyMetadata,
  serviceAccountName,
} from './proxy-objects.ts';
import { deploymentOf, type ProxyOptions, READY_PORT, replicasOf } from './proxy-pod.ts';

export function waypointObjects(gateway: GatewayObject, options: ProxyOptions): ProxyObjects {
  const { name } = gateway.metadata;
  const metadata = proxyMetadata(gateway, { name: objectName(gateway, false), role: 'waypoint' });
  const account = serviceAccountName(gateway, false);
  const port = (portName: string, number: number, appProtocol: string) => ({
    name: portName,
    port: number,
    targetPort: number,
    protocol: 'TCP',
    appProtocol,
  });
  return {
    serviceAccount: {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { ...metadata, name: account },
    },
    service: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        type: 'ClusterIP',
        selector: { [LABEL.gatewayName]: name },
        ports: [port('status-port', READY_PORT, 'tcp'), port('mesh', HBONE_PORT, 'hbone')],
      },
    },
    deployment: deploymentOf(
      {
        metadata,
        role: 'waypoint',
        gatewayName: name,
        serviceAccount: account,
        replicas: replicasOf(gateway),
        ports: [{ name: 'mesh', containerPort: HBONE_PORT, protocol: 'TCP' }],
      },
      options,
    ),
    horizontalPodAutoscaler: autoscalerOf(metadata),
    podDisruptionBudget: budgetOf(metadata, name),
  };
}
