import { describe, expect, test } from 'bun:test';
import type { JsonObject } from '#kube/meta/object.ts';
import { cloneJson } from '#kube/meta/object.ts';
import { createSchemaProvider } from './provider.ts';

const provider = createSchemaProvider();
for (const crd of provider.builtinCrds()) expect(provider.addCrd(crd)).toEqual([]);

function refusals(kind: string, spec: JsonObject): string[] {
  const group = kind.startsWith('X') ? 'gateway.networking.x-k8s.io' : 'gateway.networking.k8s.io';
  const version = kind.startsWith('X') ? 'v1alpha1' : 'v1';
  const of = { group, version, kind, resource: '', namespaced: true };
  const object = cloneJson({
    apiVersion: `${group}/${version}`,
    kind,
    metadata: { name: 'x' },
    spec,
  });
  provider.applyDefaults(of, object);
  return provider.validate(of, object, undefined).map(({ message }) => message);
}

const listener = (tls: JsonObject) => ({ name: 'a', port: 443, protocol: 'HTTPS', tls });
const gateway = (tls: JsonObject): JsonObject => ({
  gatewayClassName: 'c',
  listeners: [listener(tls)],
});
const listenerSet = (tls: JsonObject): JsonObject => ({
  parentRef: { name: 'g' },
  listeners: [listener(tls)],
});
const backends = [{ backendRefs: [{ name: 'a', port: 80 }] }];
const tlsRoute = (...hostnames: string[]): JsonObject => ({ hostnames, rules: backends });
const budget = (interval: string): JsonObject => ({
  targetRefs: [{ group: '', kind: 'Service', name: 'a' }],
  retryConstraint: { budget: { interval } },
});
const rate = (interval: string): JsonObject => ({
  targetRefs: [{ group: '', kind: 'Service', name: 'a' }],
  retryConstraint: { minRetryRate: { count: 1, interval } },
});
const CERTIFICATES = 'certificateRefs or options must be specified when mode is Terminate';
const BUDGET = 'interval cannot be greater than one hour or less than one second';
const RATE = 'interval cannot be greater than one hour';

describe('rules of the Gateway API', () => {
  /** [title, kind, spec, part of the only refusal] */
  const rows: [string, string, JsonObject, string | undefined][] = [
    ['TLS with a certificate', 'Gateway', gateway({ certificateRefs: [{ name: 'a' }] }), undefined],
    ['TLS with options', 'Gateway', gateway({ options: { a: 'b' } }), undefined],
    ['TLS with nothing', 'Gateway', gateway({ certificateRefs: [] }), CERTIFICATES],
    ['TLS of a ListenerSet with nothing', 'ListenerSet', listenerSet({}), CERTIFICATES],
    [
      'two listeners of one name',
      'ListenerSet',
      {
        parentRef: { name: 'g' },
        listeners: [1, 2].map((port) => ({ name: 'a', port, protocol: 'HTTP' })),
      },
      'Listener name must be unique within the Gateway',
    ],
    ['names and wildcards', 'TLSRoute', tlsRoute('a.example.com', '*.example.com'), undefined],
    ['an address', 'TLSRoute', tlsRoute('1.2.3.4'), 'Hostnames cannot contain an IP'],
    [
      'a wildcard in the middle',
      'TLSRoute',
      tlsRoute('a.*.example.com'),
      'Wildcards on hostnames must be the first label',
    ],
    ['a budget of an hour', 'XBackendTrafficPolicy', budget('1h'), undefined],
    ['a budget of less than a second', 'XBackendTrafficPolicy', budget('500ms'), BUDGET],
    ['a budget of more than an hour', 'XBackendTrafficPolicy', budget('2h'), BUDGET],
    ['a rate without time', 'XBackendTrafficPolicy', rate('0s'), RATE],
    ['a rate of more than an hour', 'XBackendTrafficPolicy', rate('61m'), RATE],
  ];
  for (const [title, kind, spec, refusal] of rows)
    test(`${kind}: ${title}`, () => {
      const found = refusals(kind, spec);
      if (refusal === undefined) expect(found).toEqual([]);
      else
        expect(
          found.some((message) => message.includes(refusal)) ? [] : [refusal, ...found],
        ).toEqual([]);
    });
});
