/** TLS of BackendTLSPolicies laid over what DestinationRules say of a service: of both, the policy's TLS is in force. Pure. */
import type { TrafficPolicy, UpstreamTls } from '#model/route/route-table.ts';
import type { DestinationPolicies } from './destination-rule.ts';

export function withBackendTls(
  policies: DestinationPolicies,
  tlsByPort: ReadonlyMap<number, UpstreamTls>,
): DestinationPolicies {
  const overlay = (whole: TrafficPolicy, byPort: Readonly<Record<number, TrafficPolicy>> = {}) => {
    const result: Record<number, TrafficPolicy> = { ...byPort };
    for (const [port, tls] of tlsByPort) result[port] = { ...(byPort[port] ?? whole), tls };
    return result;
  };
  return {
    ...policies,
    portPolicies: overlay(policies.policy, policies.portPolicies),
    subsets: policies.subsets.map((subset) => ({
      ...subset,
      portPolicies: overlay(subset.policy, subset.portPolicies),
    })),
  };
}
