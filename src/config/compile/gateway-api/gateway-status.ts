/**
 * Conditions of Gateways and ListenerSets, as far as configuration decides them; whether a Gateway is programmed depends on
 * its proxies and addresses, and is its controller's to say. Pure.
 */
import type { Finding } from '../finding.ts';
import { Findings } from '../finding.ts';
import type { Fault, StatusCondition } from './conditions.ts';
import { condition, verdict } from './conditions.ts';
import type { GatewaySpec } from './kinds.ts';
import { GATEWAY_GROUP } from './kinds.ts';
import type { CompiledListener, ListenerOwner } from './listeners.ts';
import type { TlsLookups } from './tls-material.ts';
import { resolveCertificate } from './tls-material.ts';

const ADDRESS_TYPES = ['IPAddress', 'Hostname'];
const ACCEPTED: Fault = { reason: 'Accepted', message: 'Resource accepted' };

export function gatewayConditions(
  gateway: { readonly namespace: string; readonly spec: GatewaySpec },
  /** The Gateway's own. */
  listeners: readonly CompiledListener[],
  lookups: TlsLookups,
): StatusCondition[] {
  const { namespace, spec } = gateway;
  const conditions = [
    acceptance(listeners, parametersFault(namespace, spec, lookups) ?? addressFault(spec)),
    verdict('ResolvedRefs', clientCertificateFault(namespace, spec, lookups), {
      reason: 'ResolvedRefs',
      message: 'All references resolved',
    }),
  ];
  const { default: all, perPort = [] } = spec.tls?.frontend ?? {};
  const modes = [all?.validation?.mode, ...perPort.map(({ tls }) => tls?.validation?.mode)];
  if (modes.includes('AllowInsecureFallback')) {
    const message = 'clients without a valid certificate are let in (AllowInsecureFallback)';
    conditions.push(
      condition('InsecureFrontendValidationMode', 'True', 'ConfigurationChanged', message),
    );
  }
  return conditions;
}

/** Fields that are accepted, and that nothing acts on. */
export function gatewayFindings(
  owner: ListenerOwner,
  { defaultScope, tls }: GatewaySpec,
): Finding[] {
  const findings = new Findings('Gateway', owner);
  if (defaultScope !== undefined && defaultScope !== 'None')
    findings.ineffective(
      'spec.defaultScope',
      'a Gateway takes the routes that name it, and no others',
    );
  if (tls?.backend?.clientCertificateRef !== undefined)
    findings.ineffective(
      'spec.tls.backend.clientCertificateRef',
      'no client certificate is shown to backends',
      { hint: 'set one in the DestinationRule of the backend (trafficPolicy.tls, mode MUTUAL)' },
    );
  return findings.list;
}

/** Accepted while one listener is; the reason tells of the others all the same. */
function acceptance(
  listeners: readonly CompiledListener[],
  fault: Fault | undefined,
): StatusCondition {
  if (fault !== undefined) return verdict('Accepted', fault, ACCEPTED);
  const invalid = listeners.filter(({ programmed }) => !programmed).map(({ name }) => name);
  if (invalid.length === 0) return verdict('Accepted', undefined, ACCEPTED);
  const status = invalid.length < listeners.length ? 'True' : 'False';
  return condition('Accepted', status, 'ListenersNotValid', `not valid: ${invalid.join(', ')}`);
}

/** Istio's parameters are a ConfigMap of the Gateway's namespace (deploymentcontroller.go). */
function parametersFault(
  namespace: string,
  { infrastructure }: GatewaySpec,
  lookups: TlsLookups,
): Fault | undefined {
  const ref = infrastructure?.parametersRef;
  if (ref === undefined) return undefined;
  const reason = 'InvalidParameters';
  if ((ref.group ?? '') !== '' || ref.kind !== 'ConfigMap')
    return {
      reason,
      message: `parametersRef names ${ref.group ?? ''}/${ref.kind}: only ConfigMaps are read`,
    };
  const key = `${namespace}/${ref.name}`;
  return lookups.configMap(key) === undefined
    ? { reason, message: `parametersRef names ConfigMap ${key}, which does not exist` }
    : undefined;
}

/** Those of a type that nobody here can give; whether one can be used shows when it is asked for. */
function addressFault({ addresses = [] }: GatewaySpec): Fault | undefined {
  const wrong = addresses.find(({ type = 'IPAddress' }) => !ADDRESS_TYPES.includes(type));
  if (wrong === undefined) return undefined;
  const message = `addresses of type ${wrong.type} are not supported: use ${ADDRESS_TYPES.join(' or ')}`;
  return { reason: 'UnsupportedAddress', message };
}

function clientCertificateFault(
  namespace: string,
  { tls }: GatewaySpec,
  lookups: TlsLookups,
): Fault | undefined {
  const ref = tls?.backend?.clientCertificateRef;
  if (ref === undefined) return undefined;
  const from = { group: GATEWAY_GROUP, kind: 'Gateway', namespace };
  const { fault } = resolveCertificate(ref, from, lookups);
  if (fault === undefined || fault.reason === 'RefNotPermitted') return fault;
  return { reason: 'InvalidClientCertificateRef', message: fault.message };
}

/** `refused`: the Gateway does not allow the set. */
export function listenerSetConditions(
  listeners: readonly CompiledListener[],
  parent: { readonly refused: boolean; readonly accepted: boolean; readonly programmed: boolean },
): StatusCondition[] {
  if (parent.refused) {
    const fault = {
      reason: 'NotAllowed',
      message: "the Gateway's allowedListeners do not allow this ListenerSet",
    };
    return [verdict('Accepted', fault, ACCEPTED), verdict('Programmed', fault, ACCEPTED)];
  }
  const invalid = listeners.every(({ programmed }) => !programmed)
    ? { reason: 'ListenersNotValid', message: 'none of its listeners is valid' }
    : undefined;
  const notAccepted = parent.accepted
    ? undefined
    : { reason: 'ParentNotAccepted', message: 'the Gateway is not accepted' };
  const notProgrammed = parent.programmed
    ? undefined
    : { reason: 'ParentNotProgrammed', message: 'the Gateway is not programmed yet' };
  return [
    verdict('Accepted', notAccepted ?? invalid, ACCEPTED),
    verdict('Programmed', invalid ?? notAccepted ?? notProgrammed, {
      reason: 'Programmed',
      message: 'Resource programmed',
    }),
  ];
}
