/**
 * Routing cases of Istio and the Gateway API through `tulle why`: the objects through the control plane's derivations, the request through
 * the proxies' decisions. Runs where the cases are beside the checkout.
 */
import { describe, expect, test } from 'bun:test';
import type { WhyRequest } from '#cli/why/contract.ts';
import { foreignCases } from '#test/support/foreign-cases.ts';
import {
  answer,
  type GatewayRow,
  gatewayCase,
  type IstioRow,
  istioCase,
  type PolicyRow,
  policyCase,
  problemsOf,
  type SimulationRow,
  simulationCase,
} from '#test/support/why-cases.ts';

/** id → why it is not applicable. */
const NOT_APPLICABLE: Readonly<Record<string, string>> = {
  'istio-it/0039': 'EnvoyFilter: there is no Envoy to patch',
  'TestAuthz_CustomServer/0410': 'the answer of an external authorizer is not in the request',
  'TestAuthz_CustomServer/0411': 'the answer of an external authorizer is not in the request',
  'gwapi/HTTPRouteTimeoutRequest/01': 'the time that a backend takes is not in the request',
  'gwapi/MeshHTTPRouteNamedRule/01':
    'the case expects the path of another one: no rule rewrites it',
};
const applies = ({ id }: { id: string }) => {
  const reason = NOT_APPLICABLE[id];
  if (reason !== undefined) process.stderr.write(`not applicable: ${id}: ${reason}\n`);
  return reason === undefined;
};

const simulation = foreignCases<SimulationRow>('routing-simulation.json');
describe.skipIf(simulation === undefined)('routing of Istio’s simulation', () => {
  test.each((simulation ?? []).filter(applies).map((row) => [row.id, row.name, row] as const))(
    '%s %s',
    (_id, _name, row) => {
      expect(problemsOf(simulationCase(row))).toEqual([]);
    },
  );
});

const istio = foreignCases<IstioRow>('routing-istio.json');
describe.skipIf(istio === undefined)('routing of Istio’s integration tests', () => {
  const rows = (istio ?? []).filter(applies);
  const modes = rows
    .flatMap((row) => [
      [row.id, row.name, 'ambient', row] as const,
      [row.id, row.name, 'sidecar', row] as const,
    ])
    .filter(([id, , mode]) => applies({ id: `${id} (${mode})` }));
  test.each(modes)('%s %s (%s)', (_id, _name, mode, row) => {
    expect(problemsOf(istioCase(row, mode))).toEqual([]);
  });
});

const gatewayApi = foreignCases<GatewayRow>('routing-gateway-api.json');
describe.skipIf(gatewayApi === undefined)('routing of the Gateway API’s conformance tests', () => {
  test.each((gatewayApi ?? []).filter(applies).map((row) => [row.id, row] as const))(
    '%s',
    (_id, row) => {
      expect(problemsOf(gatewayCase(row))).toEqual([]);
    },
  );
});

/** Objects that people wrote to be found fault with. */
const faulty = foreignCases<{ id: string; object?: unknown }>('validation-webhook.json');
describe.skipIf(faulty === undefined)('objects with mistakes', () => {
  test.each(['ambient', 'sidecar'] as const)('never break an answer (%s)', (mode) => {
    const asked: Partial<WhyRequest>[] = [
      {},
      { gateway: 'istio-system/istio-ingressgateway' },
      { protocol: 'tls', sni: 'a.b' },
    ];
    let answers = 0;
    for (const { object } of faulty ?? []) {
      if (typeof object !== 'object' || object === null) continue;
      for (const part of asked)
        for (const host of ['reviews', 'foo.bar']) {
          const source = { namespace: 'default', serviceAccount: 'web' };
          const request = { mode, source, destination: { host, port: 80 }, ...part };
          const { destinations } = answer([JSON.stringify(object)], request);
          const sum = destinations.reduce((total, { weight }) => total + weight, 0);
          if (destinations.length > 0) expect(sum).toBeCloseTo(100, 6);
          answers += 1;
        }
    }
    expect(answers).toBeGreaterThan(500);
  });
});

const policies = foreignCases<PolicyRow>('authz.json');
describe.skipIf(policies === undefined)('authorization of Istio at sidecars and gateways', () => {
  // What node proxies judge is run by authz.test.ts.
  const rows = (policies ?? []).filter(
    ({ enforcedAt }) => enforcedAt === 'sidecar-or-waypoint' || enforcedAt === 'gateway',
  );
  test.each(rows.filter(applies).map((row) => [row.id, row.name, row] as const))(
    '%s %s',
    (_id, _name, row) => {
      expect(problemsOf(policyCase(row))).toEqual([]);
    },
  );
});
