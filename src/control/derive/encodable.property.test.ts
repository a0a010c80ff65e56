/**
 * Whatever an API server lets in, what is derived of it can be told to proxies and is understood by them: one object that
 * could not be would hold up what is pushed for all others.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type * as Kinds from '#kube/client/kinds.ts';
import { ADDRESS, type AddressValue } from '#xds/resources/address.ts';
import { deriveEndpointSlice } from './endpoint-slice.ts';
import { DEFAULT_MESH } from './mesh.ts';
import { type BoundService, deriveService } from './service.ts';
import {
  checkedServiceEntry,
  deriveServiceEntry,
  type ServiceEntryObject,
} from './service-entry.ts';
import { deriveWaypoint } from './waypoint.ts';
import {
  checkedWorkloadEntry,
  deriveInlineEndpoints,
  derivePod,
  deriveWorkloadEntry,
  type WorkloadEntryObject,
} from './workload.ts';

const UNBOUND = { waypoint: undefined, key: undefined, condition: undefined };
const CONTEXT = { mesh: DEFAULT_MESH, waypoint: undefined, policies: [] };

const address = fc.constantFrom(
  '198.18.7.1',
  '2001:db8::1',
  '::ffff:198.18.7.1',
  '198.18.7.900',
  '1',
  'db.example',
  'unix:///run/db.sock',
  '',
);
const number = fc.constantFrom(
  0,
  1,
  80,
  65_535,
  65_536,
  -1,
  0xffffffff,
  2 ** 32,
  1.5,
  null,
  undefined,
);
const text = fc.constantFrom('', 'http', 'None', 'é', 'x'.repeat(300), undefined);
const port = fc.record(
  { name: text, port: number, number, targetPort: fc.oneof(number, text), protocol: text },
  { requiredKeys: [] },
);
const ports = fc.option(fc.array(port, { maxLength: 3 }), { nil: undefined });
const metadata = fc.constant({ name: 'a', namespace: 'shop' });

/** Told, and read as it was meant by who is told. */
function isUnderstood(value: AddressValue): void {
  const read = ADDRESS.decode(ADDRESS.encode(value));
  expect('reason' in read ? read.reason : undefined).toBeUndefined();
}

function isUnderstoodBound(bound: BoundService): void {
  isUnderstood({ kind: 'service', service: bound.service });
}

const SELECTING: BoundService | undefined = deriveService(
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'any', namespace: 'shop' },
    spec: { selector: { app: 'a' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  },
  { mesh: DEFAULT_MESH, namespace: undefined, binding: UNBOUND },
);
const services = SELECTING === undefined ? [] : [SELECTING];

describe('what is derived of it is understood by proxies, whatever it says:', () => {
  test('an EndpointSlice', () => {
    const slice = fc.record({
      metadata,
      addressType: fc.constantFrom('IPv4', 'IPv6'),
      ports,
      endpoints: fc.array(
        fc.record({
          addresses: fc.array(address, { maxLength: 2 }),
          nodeName: text,
          zone: text,
          conditions: fc.constantFrom({}, { ready: false }, null),
        }),
        { maxLength: 2 },
      ),
    });
    fc.assert(
      fc.property(slice, (object) => {
        for (const service of services) {
          const found = deriveEndpointSlice(object as never, { mesh: DEFAULT_MESH, service });
          for (const [, { workload }] of found) isUnderstood({ kind: 'workload', workload });
        }
      }),
      { numRuns: 2000 },
    );
  });
  const resolution = fc.constantFrom(
    'NONE',
    'STATIC',
    'DNS',
    'DNS_ROUND_ROBIN',
    'DYNAMIC_DNS',
    undefined,
  );
  const endpoint = fc.record(
    {
      address,
      weight: number,
      network: text,
      locality: fc.constantFrom('', 'r', 'r/z/s/more', '///'),
      serviceAccount: text,
      ports: fc.dictionary(fc.constantFrom('http', 'x'), number as fc.Arbitrary<unknown>),
      labels: fc.constant({ app: 'a' }),
    },
    { requiredKeys: [] },
  );

  test('a WorkloadEntry', () => {
    fc.assert(
      fc.property(metadata, endpoint, (about, spec) => {
        const { value } = checkedWorkloadEntry({
          metadata: about,
          spec,
        } as never as WorkloadEntryObject);
        const found = value && deriveWorkloadEntry(value, { ...CONTEXT, services });
        if (found) isUnderstood({ kind: 'workload', workload: found.workload });
      }),
      { numRuns: 5000 },
    );
  });

  test('a ServiceEntry', () => {
    const spec = fc.record(
      {
        hosts: fc.array(fc.constantFrom('a.example', '*.b.example', '*', ''), { maxLength: 2 }),
        addresses: fc.array(
          fc.constantFrom(
            '198.18.9.1',
            '198.18.9.0/24',
            '2001:DB8::/48',
            '198.18.9.0/40',
            'x',
            '/',
          ),
          { maxLength: 2 },
        ),
        ports,
        resolution,
        endpoints: fc.array(endpoint, { maxLength: 2 }),
        subjectAltNames: fc.array(fc.constantFrom('', 'spiffe://x', 'é')),
      },
      { requiredKeys: [] },
    );
    const status = fc.option(
      fc.record({
        addresses: fc.array(
          fc.record(
            {
              value: fc.constantFrom(
                '240.240.0.1',
                '2001:2::1',
                'x',
                '',
                '1.2.3.4/99',
                '1.2.3.4/x',
              ),
              host: fc.constantFrom('a.example', 'other'),
            },
            { requiredKeys: [] },
          ),
          { maxLength: 2 },
        ),
      }),
      { nil: undefined },
    );
    fc.assert(
      fc.property(metadata, spec, status, (about, said, at) => {
        const object = { metadata: about, spec: said, status: at } as never as ServiceEntryObject;
        const { value } = checkedServiceEntry(object);
        if (value === undefined) return;
        const context = { mesh: DEFAULT_MESH, binding: UNBOUND, visibility: 'public' } as const;
        const bound = deriveServiceEntry(value, context).map(([, each]) => each);
        for (const each of bound) isUnderstoodBound(each);
        const inline = deriveInlineEndpoints(value, { mesh: DEFAULT_MESH, services: bound });
        for (const [, { workload }] of inline) isUnderstood({ kind: 'workload', workload });
      }),
      { numRuns: 10_000 },
    );
  });

  test('the status of a pod', () => {
    const status = fc.record(
      {
        phase: text,
        podIP: address,
        podIPs: fc.array(fc.record({ ip: address }), { maxLength: 2 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(status, (said) => {
        const pod = {
          metadata: { name: 'a', namespace: 'shop', labels: { app: 'a' } },
          spec: { containers: [] },
          status: said,
        } as never as Kinds.Pod;
        const found = derivePod(pod, { ...CONTEXT, services });
        if (found) isUnderstood({ kind: 'workload', workload: found.workload });
      }),
      { numRuns: 2000 },
    );
  });

  test('the address in the status of a waypoint', () => {
    const at = fc.record({
      type: fc.constantFrom('IPAddress', 'Hostname', undefined),
      value: address,
    });
    fc.assert(
      fc.property(fc.array(at, { maxLength: 2 }), (addresses) => {
        const gateway = {
          metadata: { name: 'w', namespace: 'shop' },
          spec: { gatewayClassName: 'istio-waypoint' },
          status: { addresses },
        } as never as Kinds.Gateway;
        const waypoint = deriveWaypoint(gateway, undefined, DEFAULT_MESH)?.address;
        for (const { service } of services)
          isUnderstood({ kind: 'service', service: { ...service, waypoint } });
      }),
      { numRuns: 1000 },
    );
  });
});
