/**
 * Istio Gateways (networking.istio.io): each checked on its own, then those that one proxy serves made its `GatewayConfig`:
 * plan the ports, bind each VirtualService, put it together. The mesh graph does the same step by step.
 */
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import type { Compiled, Finding } from './finding.ts';
import { Findings } from './finding.ts';
import type { ContributionContext } from './gateway-contribution.ts';
import { contributionOf } from './gateway-contribution.ts';
import type { IstioGatewayObject, IstioGatewaySpec } from './gateway-kinds.ts';
import type { GatewayPlanInput } from './gateway-plan.ts';
import { planGateways } from './gateway-plan.ts';
import { assembleGateway } from './gateway-servers.ts';
import { ISTIO_GATEWAY } from './gateway-shape.ts';
import type { ObjectIdentity } from './istio-kinds.ts';
import { identityOf } from './istio-kinds.ts';
import type { CompiledServer } from './istio-server.ts';
import { compileServer } from './istio-server.ts';
import { readShape } from './shape.ts';
import type { TargetLookup } from './target.ts';
import { checkIstioGateway } from './validate-istio-gateway.ts';
import type { CompiledVirtualService } from './virtual-service.ts';
import { inForceOrder } from './virtual-service.ts';

/** Istio's own way to say that a Gateway is for the proxies behind Services, by host name, instead of a selector. */
const SERVICE_ANNOTATION = 'internal.istio.io/gateway-service';

export interface CompiledIstioGateway extends ObjectIdentity {
  /** Labels of the proxies that serve it; none = every gateway. */
  readonly selector: Readonly<Record<string, string>>;
  /** Host names of the Services whose proxies serve it, instead of `selector`. */
  readonly services: readonly string[];
  readonly servers: readonly CompiledServer[];
}

export function compileIstioGateway(object: IstioGatewayObject): Compiled<CompiledIstioGateway> {
  const identity = identityOf(object);
  const findings = new Findings('Gateway', identity);
  const spec = (readShape(object.spec ?? {}, ISTIO_GATEWAY, 'spec', findings) ??
    {}) as IstioGatewaySpec;
  if (!findings.failed) checkIstioGateway(spec, identity.name, findings);
  if (findings.failed) return { value: undefined, findings: findings.list };
  const services = object.metadata.annotations?.[SERVICE_ANNOTATION];
  const value: CompiledIstioGateway = {
    ...identity,
    selector: spec.selector ?? {},
    services: services?.split(',').map((name) => name.trim()) ?? [],
    servers: (spec.servers ?? []).flatMap(
      (server, at) =>
        (server && compileServer(server, at, { namespace: identity.namespace, findings })) ?? [],
    ),
  };
  return { value, findings: findings.list };
}

export interface IstioGatewaysInput
  extends GatewayPlanInput,
    TargetLookup,
    Omit<ContributionContext, 'lookup'> {
  /** Delegates merged. */
  readonly virtualServices: Iterable<CompiledVirtualService>;
  /** Whether a Secret is there, by `namespace/name`. */
  readonly hasSecret?: (key: string) => boolean;
}

/** What the proxy listens on, without listeners when no Gateway chooses it. */
export function compileIstioGateways(input: IstioGatewaysInput): {
  readonly config: GatewayConfig;
  readonly findings: readonly Finding[];
} {
  const plan = planGateways(input);
  const { defaultRetries } = input;
  const contributions = [...input.virtualServices]
    .sort(inForceOrder(input.proxy.namespace))
    .flatMap((each) => contributionOf(each, plan, { lookup: input, defaultRetries }) ?? []);
  return assembleGateway(plan, contributions, input.hasSecret);
}
