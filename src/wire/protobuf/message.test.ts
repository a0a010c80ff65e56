import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { AuthorizationMessage } from './authorization.ts';
import { IstioCertificateRequest, IstioCertificateResponse } from './certificate.ts';
import { DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node, Resource } from './discovery.ts';
import {
  enumeration,
  field,
  int64,
  type MessageCodec,
  map,
  message,
  optional,
  repeated,
  string,
  uint32,
} from './message.ts';
import { Any, Status, Struct, structOf, structString } from './well-known.ts';
import { AddressMessage, WorkloadMessage } from './workload.ts';

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const ip = (...bytes: number[]) => new Uint8Array(bytes);

/** Bytes as `buf convert` 1.75 wrote them from JSON and the published field numbers. */
interface Golden {
  title: string;
  hex: string;
  codec: MessageCodec<unknown>;
  value: unknown;
  /** Where our order of fields differs: we write by number, it writes oneof members last. */
  written: string;
}

function golden<T>(
  title: string,
  codec: MessageCodec<T>,
  value: T,
  hex: string,
  written = hex,
): Golden {
  return { title, codec: codec as MessageCodec<unknown>, value, hex, written };
}

const GOLDENS: Golden[] = [
  golden(
    'first request of a stream',
    DeltaDiscoveryRequest,
    DeltaDiscoveryRequest.create({
      node: Node.create({
        id: 'ztunnel~198.18.1.2~a.istio-system~istio-system.svc.cluster.local',
        metadata: structOf({ NODE_NAME: 'node1' }),
      }),
      type_url: 'type.googleapis.com/istio.workload.Address',
      initial_resource_versions: new Map([['Kubernetes//Pod/shop/web', '1f']]),
    }),
    '0a5a0a407a74756e6e656c7e3139382e31382e312e327e612e697374696f2d73797374656d7e697374696f2d73797374656d2e7376632e636c75737465722e6c6f63616c1a160a140a094e4f44455f4e414d4512071a056e6f646531122a747970652e676f6f676c65617069732e636f6d2f697374696f2e776f726b6c6f61642e416464726573732a1e0a184b756265726e657465732f2f506f642f73686f702f77656212023166',
  ),
  golden(
    'NACK with subscriptions',
    DeltaDiscoveryRequest,
    DeltaDiscoveryRequest.create({
      type_url: 't',
      resource_names_subscribe: ['*'],
      resource_names_unsubscribe: ['*'],
      response_nonce: 'n7',
      error_detail: Status.create({ message: 'a: bad' }),
    }),
    '1201741a012a22012a32026e373a081206613a20626164',
  ),
  golden(
    'response with an alias and a removal',
    DeltaDiscoveryResponse,
    DeltaDiscoveryResponse.create({
      resources: [
        Resource.create({
          version: '1',
          name: 'a',
          resource: Any.create({ type_url: 't', value: ip(1, 2) }),
          aliases: ['/198.18.0.1'],
        }),
      ],
      type_url: 't',
      nonce: 'n',
      removed_resources: ['b'],
    }),
    '121c0a013112070a0174120201021a0161220b2f3139382e31382e302e312201742a016e320162',
  ),
  golden(
    'certificate response',
    IstioCertificateResponse,
    { cert_chain: ['leaf', 'root'] },
    '0a046c6561660a04726f6f74',
  ),
  golden(
    'workload',
    AddressMessage,
    AddressMessage.create({
      workload: WorkloadMessage.create({
        uid: 'Kubernetes//Pod/shop/web-1',
        name: 'web-1',
        namespace: 'shop',
        addresses: [ip(198, 18, 1, 5)],
        tunnel_protocol: 'HBONE',
        service_account: 'web',
        node: 'node1',
        canonical_name: 'web',
        canonical_revision: 'v1',
        workload_type: 'POD',
        workload_name: 'web',
        cluster_id: 'Kubernetes',
        status: 'UNHEALTHY',
        authorization_policies: ['shop/deny'],
        services: new Map([
          [
            'shop/web.shop.svc.cluster.local',
            { ports: [{ service_port: 80, target_port: 8080, app_protocol: 'UNKNOWN' as const }] },
          ],
        ]),
        locality: { region: 'r', zone: 'z', subzone: '' },
        waypoint: {
          hostname: { namespace: 'shop', hostname: 'wp.shop.svc.cluster.local' },
          address: undefined,
          hbone_mtls_port: 15008,
        },
        capacity: { value: 3 },
      }),
    }),
    '0acd010a057765622d31120473686f701a04c612010528013a03776562422618a0750a210a0473686f70121977702e73686f702e7376632e636c75737465722e6c6f63616c4a056e6f64653152037765625a02763160026a0377656282010973686f702f64656e7988010192010a4b756265726e65746573a2011a4b756265726e657465732f2f506f642f73686f702f7765622d31b2012a0a1f73686f702f7765622e73686f702e7376632e636c75737465722e6c6f63616c12070a05085010903fc201060a017212017ada01020803',
    '0acd010a057765622d31120473686f701a04c612010528013a0377656242260a210a0473686f70121977702e73686f702e7376632e636c75737465722e6c6f63616c18a0754a056e6f64653152037765625a02763160026a0377656282010973686f702f64656e7988010192010a4b756265726e65746573a2011a4b756265726e657465732f2f506f642f73686f702f7765622d31b2012a0a1f73686f702f7765622e73686f702e7376632e636c75737465722e6c6f63616c12070a05085010903fc201060a017212017ada01020803',
  ),
  golden(
    'authorization',
    AuthorizationMessage,
    AuthorizationMessage.create({
      name: 'deny',
      namespace: 'shop',
      scope: 'WORKLOAD_SELECTOR',
      action: 'DENY',
      rules: [
        {
          clauses: [
            {
              matches: [
                {
                  namespaces: [],
                  not_namespaces: [],
                  principals: [match({ exact: '' })],
                  not_principals: [match({ presence: {} })],
                  source_ips: [{ address: ip(198, 18, 0, 0), length: 15 }],
                  not_source_ips: [],
                  destination_ips: [],
                  not_destination_ips: [],
                  destination_ports: [80, 8080],
                  not_destination_ports: [],
                  service_accounts: [{ namespace: 'shop', serviceAccount: 'web' }],
                  not_service_accounts: [],
                  extensions: [],
                },
              ],
            },
          ],
        },
        { clauses: [] },
      ],
    }),
    '0a0464656e79120473686f70180220012a280a2612241a020a00220222002a080a04c6120000100f4a0350903f5a0b0a0473686f7012037765622a00',
  ),
];

function match(some: { exact?: string; presence?: Record<never, never> }) {
  return { exact: undefined, prefix: undefined, suffix: undefined, presence: undefined, ...some };
}

describe('messages agree with a foreign encoder', () => {
  for (const { title, codec, value, hex, written } of GOLDENS) {
    test(`${title}: decode`, () => expect(codec.decode(fromHex(hex))).toEqual(value));
    test(`${title}: encode`, () => expect(toHex(codec.encode(value))).toBe(written));
  }

  test('certificate request with every kind of Struct value', () => {
    const hex =
      '0a0370656d1880a305226c0a3f0a14496d706572736f6e617465644964656e7469747912271a257370696666653a2f2f636c75737465722e6c6f63616c2f6e732f73686f702f73612f7765620a070a0162120220010a100a016c120b32090a031a01780a0208000a0e0a016e120911000000000000f83f';
    const request = IstioCertificateRequest.decode(fromHex(hex));
    if (typeof request === 'string') throw new Error(request);
    expect(request.validity_duration).toBe(86400);
    expect(structString(request.metadata, 'ImpersonatedIdentity')).toBe(
      'spiffe://cluster.local/ns/shop/sa/web',
    );
    const fields = request.metadata?.fields;
    expect(fields?.get('n')?.number_value).toBe(1.5);
    expect(fields?.get('b')?.bool_value).toBe(true);
    expect(fields?.get('l')?.list_value?.values.map((item) => item.string_value)).toEqual([
      'x',
      undefined,
    ]);
    expect(toHex(IstioCertificateRequest.encode(request))).toBe(hex);
  });
});

describe('message', () => {
  const Colour = enumeration('Colour', ['RED', 'GREEN']);
  const Small = message('Small', {
    name: field(1, string),
    colour: field(2, Colour),
    ports: repeated(3, uint32),
    note: optional(4, string),
    labels: map(5, string),
    count: field(6, int64),
  });

  for (const { title, hex, want } of [
    { title: 'unknown enum value', hex: '1005', want: 'unknown Colour value 5' },
    { title: 'wrong wire type', hex: '0801', want: 'Small.name has wire type 0' },
    { title: 'string past the end', hex: '0a05 61', want: undefined },
    { title: 'packed list past the end', hex: '1a05 01', want: 'Small.ports is cut short' },
    { title: 'broken UTF-8', hex: '0a01 ff', want: undefined },
    { title: 'lone tag', hex: '08', want: undefined },
    { title: 'field number 0', hex: '0000', want: undefined },
  ]) {
    test(`decode refuses ${title}`, () => {
      const got = Small.decode(fromHex(hex));
      expect(typeof got).toBe('string');
      if (want !== undefined) expect(got).toBe(want);
    });
  }

  test('decode skips unknown fields and takes unpacked lists and map entries without a value', () => {
    expect(Small.decode(fromHex('7a0161 1801 1802 2a03 0a0161 3001'))).toEqual(
      Small.create({ ports: [1, 2], labels: new Map([['a', '']]), count: 1 }),
    );
  });

  test('decode refuses a Struct nested without end', () => {
    let bytes = new Uint8Array();
    for (let depth = 0; depth < 200; depth++) bytes = wrap(wrap(wrap(bytes, 0x2a), 0x12), 0x0a);
    expect(Struct.decode(bytes)).toContain('nested too deep');
  });

  test('decode of encode is the identity', () => {
    const values = fc.record({
      name: fc.string({ unit: 'grapheme' }),
      colour: fc.constantFrom<'RED' | 'GREEN'>('RED', 'GREEN'),
      ports: fc.array(fc.integer({ min: 0, max: 0xffffffff })),
      note: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
      labels: fc
        .array(fc.tuple(fc.string(), fc.string()))
        .map((entries) => new Map(entries) as Map<string, string>),
      count: fc.maxSafeInteger(),
    });
    fc.assert(
      fc.property(values, (value) => expect(Small.decode(Small.encode(value))).toEqual(value)),
    );
  });

  test('decode never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const codec of [Small, AddressMessage, AuthorizationMessage, DeltaDiscoveryRequest]) {
          expect(['string', 'object']).toContain(typeof codec.decode(bytes));
        }
      }),
    );
  });
});

function wrap(bytes: Uint8Array, tag: number): Uint8Array<ArrayBuffer> {
  const length: number[] = [];
  let rest = bytes.length;
  while (rest > 127) {
    length.push((rest & 127) | 128);
    rest >>>= 7;
  }
  length.push(rest);
  return new Uint8Array([tag, ...length, ...bytes]);
}
