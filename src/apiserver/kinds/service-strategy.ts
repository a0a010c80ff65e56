/** Services: port defaults, the cluster IP and node ports, and that a cluster IP stays for life. */
import { type ApiObject, isJsonObject, type JsonObject } from '#kube/meta/object.ts';
import { StatusError } from '../rest/status-error.ts';
import type { SchemaFinding } from '../schema-provider.ts';
import { memberOf, objectsIn } from './members.ts';
import type { KindStrategy, StrategyContext } from './strategy.ts';

export const SERVICE_STRATEGY: KindStrategy = {
  defaults(service) {
    const spec = memberOf(service, 'spec');
    spec.type ??= 'ClusterIP';
    spec.sessionAffinity ??= 'None';
    for (const port of objectsIn(spec.ports)) {
      port.protocol ??= 'TCP';
      // Kubernetes writes 0 and '' for "same as port" too.
      if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '')
        port.targetPort = port.port;
    }
    if (spec.type === 'ExternalName') return;
    spec.internalTrafficPolicy ??= 'Cluster';
    spec.ipFamilies ??= ['IPv4'];
    spec.ipFamilyPolicy ??= 'SingleStack';
    if (spec.type === 'ClusterIP') return;
    spec.externalTrafficPolicy ??= 'Cluster';
    if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
  },
  prepareCreate(service, context) {
    service.status = { loadBalancer: {} };
    assignAddress(service, context);
    assignNodePorts(service, context);
  },
  prepareUpdate(service, old, context) {
    const spec = memberOf(service, 'spec');
    const oldSpec = old.spec as JsonObject;
    // A client that does not know the address (apply of a manifest) does not take it away.
    if (spec.type !== 'ExternalName' && (spec.clusterIP === undefined || spec.clusterIP === '')) {
      spec.clusterIP = oldSpec.clusterIP;
      spec.clusterIPs = oldSpec.clusterIPs;
    }
    assignAddress(service, context);
    assignNodePorts(service, context);
  },
  validate: validateService,
};

function assignAddress(service: ApiObject, { addresses }: StrategyContext): void {
  const spec = service.spec as JsonObject;
  if (spec.type === 'ExternalName') {
    delete spec.clusterIP;
    delete spec.clusterIPs;
    return;
  }
  const wanted = spec.clusterIP;
  if (wanted === undefined || wanted === '') {
    const address = addresses.allocate();
    if (address === undefined)
      throw new StatusError(500, 'InternalError', 'failed to allocate a serviceIP: range is full');
    spec.clusterIP = address;
  }
  spec.clusterIPs = [spec.clusterIP];
  if (wanted === spec.clusterIP && wanted !== 'None') refuseTaken(service, addresses);
}

function refuseTaken(service: ApiObject, addresses: StrategyContext['addresses']): void {
  const { namespace, name } = service.metadata;
  const address = String((service.spec as JsonObject).clusterIP);
  const why = addresses.refusal(address, `${namespace}/${name}`);
  if (why === undefined) return;
  const cause = {
    reason: 'FieldValueInvalid',
    field: 'spec.clusterIPs',
    message: `Invalid value: ["${address}"]: ${why}`,
  };
  throw new StatusError(
    422,
    'Invalid',
    `Service "${name}" is invalid: ${cause.field}: ${cause.message}`,
    {
      name,
      kind: 'Service',
      causes: [cause],
    },
  );
}

function assignNodePorts(service: ApiObject, { addresses }: StrategyContext): void {
  const spec = service.spec as JsonObject;
  if (spec.type !== 'NodePort' && spec.type !== 'LoadBalancer') return;
  for (const port of objectsIn(spec.ports))
    if (port.nodePort === undefined || port.nodePort === 0)
      port.nodePort = addresses.allocateNodePort();
}

function validateService(service: ApiObject, old: ApiObject | undefined): SchemaFinding[] {
  const spec = service.spec as JsonObject;
  const ports = objectsIn(spec.ports);
  const findings: SchemaFinding[] = [];
  if (ports.length === 0 && spec.clusterIP !== 'None' && spec.type !== 'ExternalName')
    findings.push({ field: 'spec.ports', reason: 'FieldValueRequired', message: 'Required value' });
  const names = new Set<unknown>();
  ports.forEach((port, index) => {
    const field = `spec.ports[${index}].name`;
    if (ports.length > 1 && (port.name === undefined || port.name === ''))
      findings.push({ field, reason: 'FieldValueRequired', message: 'Required value' });
    else if (port.name !== undefined && names.has(port.name))
      findings.push({
        field,
        reason: 'FieldValueDuplicate',
        message: `Duplicate value: ${JSON.stringify(port.name)}`,
      });
    names.add(port.name);
  });
  const before = isJsonObject(old?.spec) ? old.spec : undefined;
  const keeps = before?.clusterIP === undefined || spec.type === 'ExternalName';
  if (!keeps && before?.clusterIP !== spec.clusterIP)
    findings.push({
      field: 'spec.clusterIPs[0]',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(spec.clusterIPs)}: may not change once set`,
    });
  return findings;
}
