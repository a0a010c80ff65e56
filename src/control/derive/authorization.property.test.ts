/**
 * Conversion and evaluation together against a reference that reads the API object itself. What L4 cannot see is
 * `unknown` there: it must never help an ALLOW and never hinder a DENY.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Authorization } from '#model/authorization/authorization.ts';
import { parseIdentity } from '#model/identity/spiffe.ts';
import { evaluateL4, type L4Connection } from '#policy/l4/evaluate-l4.ts';
import type { AuthorizationPolicySpec } from './authorization.ts';
import { deriveAuthorization } from './authorization.ts';
import type { AuthorizationRuleSpec, OperationSpec, SourceSpec } from './convert-rule.ts';

type Outcome = boolean | 'unknown';
const NAMESPACE = 'shop';

function all(outcomes: readonly Outcome[]): Outcome {
  if (outcomes.includes(false)) return false;
  return outcomes.includes('unknown') ? 'unknown' : true;
}

function any(outcomes: readonly Outcome[]): Outcome {
  if (outcomes.includes(true)) return true;
  return outcomes.includes('unknown') ? 'unknown' : false;
}

function text(pattern: string, value: string): boolean {
  if (pattern === '*') return value !== '';
  if (pattern.startsWith('*')) return value.endsWith(pattern.slice(1));
  if (pattern.endsWith('*')) return value.startsWith(pattern.slice(0, -1));
  return pattern === value;
}

type Test = (value: string) => boolean;

/** Of one name and its negation; HTTP names have no test. */
function field(
  spec: Readonly<Record<string, string[] | undefined>>,
  name: string,
  test: Test | undefined,
): Outcome[] {
  const negated = `not${name[0].toUpperCase()}${name.slice(1)}`;
  const outcomes: Outcome[] = [];
  if (spec[name]) outcomes.push(test ? spec[name].some(test) : 'unknown');
  if (spec[negated]) outcomes.push(test ? !spec[negated].some(test) : 'unknown');
  return outcomes;
}

function testsOf(connection: L4Connection) {
  const { sourcePrincipal } = connection;
  const identity = sourcePrincipal === undefined ? undefined : parseIdentity(sourcePrincipal);
  const principal = sourcePrincipal?.slice('spiffe://'.length);
  const account: Test = (value) => {
    const [namespace, name] = value.includes('/') ? value.split('/') : [NAMESPACE, value];
    return identity?.namespace === namespace && identity.serviceAccount === name;
  };
  // The ranges of this test are whole octets.
  const within =
    (address: string): Test =>
    (value) =>
      value.endsWith('/24')
        ? address.split('.', 3).join() === value.split('.', 3).join()
        : address === value;
  return {
    principal: (value: string) => principal !== undefined && text(value, principal),
    namespace: (value: string) => text(value, identity?.namespace ?? ''),
    trustDomain: (value: string) =>
      identity !== undefined && (value === '*' || value === identity.trustDomain),
    account,
    source: within(connection.sourceIp),
    destination: within(connection.destinationIp),
    port: (value: string) => Number(value) === connection.destinationPort,
  };
}

function ruleOutcome(rule: AuthorizationRuleSpec, connection: L4Connection): Outcome {
  const tests = testsOf(connection);
  const source = (spec: SourceSpec) =>
    all([
      ...field(spec, 'principals', tests.principal),
      ...field(spec, 'namespaces', tests.namespace),
      ...field(spec, 'trustDomains', tests.trustDomain),
      ...field(spec, 'serviceAccounts', tests.account),
      ...field(spec, 'ipBlocks', tests.source),
      ...field(spec, 'requestPrincipals', undefined),
    ]);
  const operation = (spec: OperationSpec) =>
    all([...field(spec, 'ports', tests.port), ...field(spec, 'paths', undefined)]);
  const conditions: Readonly<Record<string, Test | undefined>> = {
    'source.ip': tests.source,
    'source.namespace': tests.namespace,
    'source.principal': tests.principal,
    'source.serviceAccount': tests.account,
    'source.trustDomain': tests.trustDomain,
    'destination.ip': tests.destination,
    'destination.port': tests.port,
  };
  return all([
    ...(rule.from ? [any(rule.from.map((each) => source(each.source ?? {})))] : []),
    ...(rule.to ? [any(rule.to.map((each) => operation(each.operation ?? {})))] : []),
    ...(rule.when ?? []).flatMap(({ key = '', values, notValues }) =>
      field({ values, notValues }, 'values', conditions[key]),
    ),
  ]);
}

/** An ALLOW rule with an HTTP attribute anywhere grants nothing, as Istio does it. */
function usesHttp(rule: AuthorizationRuleSpec): boolean {
  return /requestPrincipals|notRequestPrincipals|aths|request\.headers/.test(JSON.stringify(rule));
}

function allows(specs: readonly AuthorizationPolicySpec[], connection: L4Connection): boolean {
  const matching = ({ rules = [] }: AuthorizationPolicySpec) =>
    rules.map((rule) => ruleOutcome(rule, connection));
  const stopping = specs.filter(({ action }) => action === 'DENY' || action === 'CUSTOM');
  if (stopping.some((spec) => matching(spec).some((outcome) => outcome !== false))) return false;
  const allowing = specs.filter(({ action }) => action === 'ALLOW');
  const granted = ({ rules = [] }: AuthorizationPolicySpec) =>
    rules.some((rule) => !usesHttp(rule) && ruleOutcome(rule, connection) === true);
  return allowing.length === 0 || allowing.some(granted);
}

function decide(specs: readonly AuthorizationPolicySpec[], connection: L4Connection): boolean {
  const policies = specs.flatMap((spec, at): (Authorization | undefined)[] => {
    const object = { metadata: { name: `p${at}`, namespace: NAMESPACE }, spec };
    const options = { rootNamespace: 'istio-system', unenforcedPolicy: 'deny' } as const;
    const { value } = deriveAuthorization(object, options);
    return [value?.authorization, value?.unjudged];
  });
  return evaluateL4(
    policies.filter((policy) => policy !== undefined),
    connection,
  ).allow;
}

const list = (...values: string[]) =>
  fc.subarray(values, { minLength: 1, maxLength: Math.min(2, values.length) });
const PRINCIPALS = ['*', 'cluster.local/ns/shop/sa/web', '*/sa/web', 'other/*', 'cluster.local/*'];
const ACCOUNTS = ['web', 'shop/db', 'other/web'];
const ADDRESSES = ['198.18.1.0/24', '198.18.1.2', '198.18.2.2'];
const PORTS = ['80', '8080'];
/** One to three of the fields: none is what validation refuses. */
const some = <T>(fields: Readonly<Record<string, fc.Arbitrary<string[]>>>) =>
  fc
    .subarray(Object.keys(fields), { minLength: 1, maxLength: 3 })
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, fields[name]]))))
    .map((spec) => spec as T);
const source = some<SourceSpec>({
  principals: list(...PRINCIPALS),
  notPrincipals: list(...PRINCIPALS),
  namespaces: list('shop', '*', 'oth*'),
  notNamespaces: list('shop', '*'),
  serviceAccounts: list(...ACCOUNTS),
  notServiceAccounts: list(...ACCOUNTS),
  notTrustDomains: list('other', 'cluster.local', '*'),
  ipBlocks: list(...ADDRESSES),
  notIpBlocks: list(...ADDRESSES),
  requestPrincipals: list('*'),
});
const operation = some<OperationSpec>({
  ports: list(...PORTS),
  notPorts: list(...PORTS),
  paths: list('/admin'),
  notPaths: list('/admin'),
});
const values: Record<string, string[]> = {
  'source.ip': ADDRESSES,
  'source.namespace': ['shop', '*'],
  'source.principal': PRINCIPALS,
  'source.serviceAccount': ACCOUNTS,
  'source.trustDomain': ['other', 'cluster.local', '*'],
  'destination.ip': ADDRESSES,
  'destination.port': PORTS,
  'request.headers[a]': ['b'],
};
const condition = fc.constantFrom(...Object.keys(values)).chain((key) =>
  fc.oneof(
    list(...values[key]).map((each) => ({ key, values: each })),
    list(...values[key]).map((each) => ({ key, notValues: each })),
  ),
);
const rule: fc.Arbitrary<AuthorizationRuleSpec> = fc.record(
  {
    from: fc.array(
      source.map((each) => ({ source: each })),
      { minLength: 1, maxLength: 2 },
    ),
    to: fc.array(
      operation.map((each) => ({ operation: each })),
      { minLength: 1, maxLength: 2 },
    ),
    when: fc.array(condition, { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const policy: fc.Arbitrary<AuthorizationPolicySpec> = fc.record({
  action: fc.constantFrom('ALLOW', 'DENY', 'CUSTOM', 'AUDIT'),
  rules: fc.array(rule, { maxLength: 2 }),
});
const connection: fc.Arbitrary<L4Connection> = fc.record({
  sourceIp: fc.constantFrom('198.18.1.2', '198.18.1.3', '198.18.3.3'),
  sourcePrincipal: fc.constantFrom(
    undefined,
    'spiffe://cluster.local/ns/shop/sa/web',
    'spiffe://cluster.local/ns/other/sa/web',
    'spiffe://other/ns/shop/sa/db',
  ),
  destinationIp: fc.constantFrom('198.18.2.2', '198.18.1.2'),
  destinationPort: fc.constantFrom(80, 8080),
});

describe('deriveAuthorization and evaluateL4', () => {
  test('decide as the API objects say', () => {
    fc.assert(
      fc.property(fc.array(policy, { maxLength: 3 }), connection, (specs, facts) => {
        expect(decide(specs, facts)).toBe(allows(specs, facts));
      }),
      { numRuns: 3_000 },
    );
  });

  test('a DENY denies wherever it stands among its rules and policies', () => {
    const everyone: AuthorizationRuleSpec = {};
    fc.assert(
      fc.property(
        fc.array(policy),
        fc.array(rule),
        fc.nat(),
        connection,
        (others, rules, at, to) => {
          const mixed = [...rules];
          mixed.splice(at % (rules.length + 1), 0, everyone);
          const specs = [...others];
          specs.splice(at % (others.length + 1), 0, { action: 'DENY', rules: mixed });
          expect(decide(specs, to)).toBe(false);
        },
      ),
    );
  });

  test('an HTTP condition more never lets a connection through that was stopped without it', () => {
    const http = { key: 'request.headers[a]', values: ['b'] };
    fc.assert(
      fc.property(rule, fc.constantFrom('ALLOW', 'DENY'), connection, (one, action, facts) => {
        const narrowed = { ...one, when: [...(one.when ?? []), http] };
        if (decide([{ action, rules: [one] }], facts)) return;
        expect(decide([{ action, rules: [narrowed] }], facts)).toBe(false);
      }),
    );
  });
});
