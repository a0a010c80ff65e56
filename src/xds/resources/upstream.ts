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

const RESOLUTIONS: ReadonlySet<unknown> = new Set([
  'static',
  'dns',
  'dns-round-robin',
  'passthrough',
  'dynamic-dns',
]);

export const UPSTREAM: ResourceType<Upstream> = {
  typeUrl: 'type.googleapis.com/tulle.v1.Upstream',
  name: serviceKey,
  encode: encodeJson,
  decode(bytes): Decoded<Upstream> {
    const json = decodeJson(bytes);
    if (typeof json === 'string') return { reason: json };
    const missing =
      missingText(json, ['namespace', 'hostname']) ??
      missingList(json, ['ports', 'subsets', 'endpoints']);
    if (missing !== undefined) return { reason: `field ${missing} is missing or malformed` };
    if (json.resolution !== undefined && !RESOLUTIONS.has(json.resolution))
      return { reason: `unknown resolution ${String(json.resolution)}` };
    if (json.variants !== undefined && missingList(json, ['variants']) !== undefined)
      return { reason: 'field variants is malformed' };
    for (const holder of policyHolders(json)) {
      const reason = policyProblem(holder.policy);
      if (reason !== undefined) return { reason };
    }
    for (const endpoint of json.endpoints as Record<string, unknown>[]) {
      const reason = endpointProblem(endpoint);
      if (reason !== undefined) return { reason };
    }
    return { value: json as unknown as Upstream };
  },
  aliases: () => [],
};

/** The upstream itself, its subsets, and the same for each proxy that has rules of its own. */
function policyHolders(json: Record<string, unknown>): Record<string, unknown>[] {
  const whole = [json, ...((json.variants ?? []) as Record<string, unknown>[])];
  return whole.flatMap((each) => [each, ...((each.subsets ?? []) as Record<string, unknown>[])]);
}

/** What this proxy does not know it must not do without: the last good upstream stays. */
function policyProblem(policy: unknown): string | undefined {
  if (!isObject(policy) || !isObject(policy.connectionPool)) return 'a traffic policy is missing';
  const { loadBalancer, hash, tls } = policy;
  if (!BALANCERS.has(loadBalancer)) return `unknown load balancer ${String(loadBalancer)}`;
  if (hash !== undefined) {
    if (!isObject(hash) || missingList(hash, ['keys']) !== undefined)
      return 'a hash policy without keys';
    if (hash.algorithm !== 'ring-hash' && hash.algorithm !== 'maglev')
      return `unknown hash algorithm ${String(hash.algorithm)}`;
    const { size } = hash;
    if (!(Number.isInteger(size) && Number(size) > 0))
      return `a hash table of size ${String(size)}`;
  }
  // Unknown TLS must not be read as none.
  if (tls !== undefined && !(isObject(tls) && (tls.mode === 'simple' || tls.mode === 'mutual')))
    return 'unknown TLS settings';
  return undefined;
}

function endpointProblem(endpoint: Record<string, unknown>): string | undefined {
  const missing = missingText(endpoint, ['uid', 'address', 'principal']);
  if (missing !== undefined) return `an endpoint without ${missing}`;
  // An unknown protocol must not be read as plaintext.
  if (endpoint.protocol !== 'hbone' && endpoint.protocol !== 'none') {
    return `endpoint ${endpoint.uid}: unknown protocol ${String(endpoint.protocol)}`;
  }
  return isObject(endpoint.ports) ? undefined : `endpoint ${endpoint.uid}: no port map`;
}
