/** tulle.v1.Upstream: one destination with its policies and endpoints, as JSON of the model. */
import type { Upstream } from '#model/route/route-table.ts';
import { serviceKey } from '#model/service/service.ts';
import { decodeJson, encodeJson, isObject, missingList, missingText } from './json.ts';
import type { Decoded, ResourceType } from './resource-type.ts';

const BALANCERS: ReadonlySet<unknown> = new Set([
  'least-request',
  'round-robin',
  'random',
  'passthrough',
]);

export const UPSTREAM: ResourceType<Upstream> = {
  typeUrl: 'type.googleapis.com/tulle.v1.Upstream',
  versioned: true,
  name: serviceKey,
  encode: encodeJson,
  decode(bytes): Decoded<Upstream> {
    const json = decodeJson(bytes);
    if (typeof json === 'string') return { reason: json };
    const missing =
      missingText(json, ['namespace', 'hostname']) ??
      missingList(json, ['ports', 'subsets', 'endpoints']);
    if (missing !== undefined) return { reason: `field ${missing} is missing or malformed` };
    const subsets = json.subsets as Record<string, unknown>[];
    for (const holder of [json, ...subsets]) {
      const { policy } = holder;
      if (!isObject(policy) || !isObject(policy.connectionPool)) {
        return { reason: 'a traffic policy is missing' };
      }
      if (!BALANCERS.has(policy.loadBalancer)) {
        return { reason: `unknown load balancer ${String(policy.loadBalancer)}` };
      }
    }
    for (const endpoint of json.endpoints as Record<string, unknown>[]) {
      const reason = endpointProblem(endpoint);
      if (reason !== undefined) return { reason };
    }
    return { value: json as unknown as Upstream };
  },
  aliases: () => [],
};

function endpointProblem(endpoint: Record<string, unknown>): string | undefined {
  const missing = missingText(endpoint, ['uid', 'address', 'principal']);
  if (missing !== undefined) return `an endpoint without ${missing}`;
  // An unknown protocol must not be read as plaintext.
  if (endpoint.protocol !== 'hbone' && endpoint.protocol !== 'none') {
    return `endpoint ${endpoint.uid}: unknown protocol ${String(endpoint.protocol)}`;
  }
  return isObject(endpoint.ports) ? undefined : `endpoint ${endpoint.uid}: no port map`;
}
