/**
 * The bytes of every message of Istio's that we read or write, field by field, as protoc wrote them from the published
 * definitions. One row a field: its bytes, and what they say.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { AuthorizationMessage, MatchMessage } from './authorization.ts';
import type { MessageCodec } from './message.ts';
import { AddressMessage, ServiceMessage, WorkloadMessage } from './workload.ts';
import { WorkloadRequest, WorkloadResponse, ZdsHello } from './zds.ts';

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const raw = (hex: string) => fromHex(hex);
const text = (value: string) => Uint8Array.from(Buffer.from(value));

type Row = [hex: string, field: string, value: unknown];

interface Table {
  codec: MessageCodec<never>;
  rows: Row[];
}

const EXTENSION = { name: 'e', config: { type_url: 't', value: text('v') } };
const V6 = raw('20010002000000000000000000000000');

const SERVICE: Row[] = [
  ['0a0770726f64756374', 'name', 'product'],
  ['120473686f70', 'namespace', 'shop'],
  [
    '1a1e70726f647563742e73686f702e7376632e636c75737465722e6c6f63616c',
    'hostname',
    'product.shop.svc.cluster.local',
  ],
  [
    '220c0a046e6574311204c613000b22141210200100020000000000000000000000001830',
    'addresses',
    [
      { network: 'net1', address: raw('c613000b'), length: undefined },
      { network: '', address: V6, length: 48 },
    ],
  ],
  [
    '2a07085010903f18012a0508bb031805',
    'ports',
    [
      { service_port: 80, target_port: 8080, app_protocol: 'HTTP11' },
      { service_port: 443, target_port: 0, app_protocol: 'TLS' },
    ],
  ],
  [
    '32237370696666653a2f2f636c75737465722e6c6f63616c2f6e732f73686f702f73612f78',
    'subject_alt_names',
    ['spiffe://cluster.local/ns/shop/sa/x'],
  ],
  [
    '3a11120c0a046e6574311204c613000c18a075',
    'waypoint',
    {
      hostname: undefined,
      address: { network: 'net1', address: raw('c613000c'), length: undefined },
      hbone_mtls_port: 15008,
    },
  ],
  [
    '42090a0306010210021801',
    'load_balancing',
    {
      routing_preference: ['NETWORK', 'REGION', 'ZONE'],
      mode: 'FAILOVER',
      health_policy: 'ALLOW_ALL',
    },
  ],
  ['4803', 'ip_families', 'DUAL'],
  ['520b0a016512060a0174120176', 'extensions', [EXTENSION]],
  ['5801', 'canonical', true],
  ['6001', 'ingress_use_waypoint', true],
  [
    '6a130a0f0a0a0a0473686f701202777018a075105a',
    'weighted_waypoints',
    [
      {
        destination: {
          hostname: { namespace: 'shop', hostname: 'wp' },
          address: undefined,
          hbone_mtls_port: 15008,
        },
        weight: 90,
      },
    ],
  ],
  ['7001', 'visibility', 'NAMESPACE'],
];

const WORKLOAD: Row[] = [
  ['0a03776562', 'name', 'web'],
  ['120473686f70', 'namespace', 'shop'],
  ['1a04c6120105', 'addresses', [raw('c6120105')]],
  ['22046e657431', 'network', 'net1'],
  ['2802', 'tunnel_protocol', 'LEGACY_ISTIO_MTLS'],
  ['32027464', 'trust_domain', 'td'],
  ['3a027361', 'service_account', 'sa'],
  [
    '420f0a0a0a0473686f701202777018a075',
    'waypoint',
    {
      hostname: { namespace: 'shop', hostname: 'wp' },
      address: undefined,
      hbone_mtls_port: 15008,
    },
  ],
  ['4a026e31', 'node', 'n1'],
  ['520163', 'canonical_name', 'c'],
  ['5a027631', 'canonical_revision', 'v1'],
  ['6003', 'workload_type', 'JOB'],
  ['6a0177', 'workload_name', 'w'],
  ['7001', 'native_tunnel', true],
  // 15 is reserved.
  ['82010673686f702f70', 'authorization_policies', ['shop/p']],
  ['880101', 'status', 'UNHEALTHY'],
  ['9201016b', 'cluster_id', 'k'],
  [
    '9a010b12061204c612020118a175',
    'network_gateway',
    {
      hostname: undefined,
      address: { network: '', address: raw('c6120201'), length: undefined },
      hbone_mtls_port: 15009,
    },
  ],
  ['a2010f6b2f2f506f642f73686f702f776562', 'uid', 'k//Pod/shop/web'],
  ['aa010a64622e6578616d706c65', 'hostname', 'db.example'],
  [
    'b201100a0673686f702f6812060a0408501051',
    'services',
    new Map([
      ['shop/h', { ports: [{ service_port: 80, target_port: 81, app_protocol: 'UNKNOWN' }] }],
    ]),
  ],
  ['ba0105080110f075', 'application_tunnel', { protocol: 'PROXY', port: 15088 }],
  ['c201090a017212017a1a0173', 'locality', { region: 'r', zone: 'z', subzone: 's' }],
  ['c80101', 'network_mode', 'HOST_NETWORK'],
  ['d2010b0a016512060a0174120176', 'extensions', [EXTENSION]],
  // Set, and 0: not the same as unset, which means 1.
  ['da0100', 'capacity', { value: 0 }],
];

const some = (field: Record<string, unknown>) => ({
  exact: undefined,
  prefix: undefined,
  suffix: undefined,
  presence: undefined,
  ...field,
});

const MATCH: Row[] = [
  ['0a030a0161', 'namespaces', [some({ exact: 'a' })]],
  ['1203120162', 'not_namespaces', [some({ prefix: 'b' })]],
  ['1a031a0163', 'principals', [some({ suffix: 'c' })]],
  ['22022200', 'not_principals', [some({ presence: {} })]],
  ['2a080a04c6120000100f', 'source_ips', [{ address: raw('c6120000'), length: 15 }]],
  ['32080a04c61200011020', 'not_source_ips', [{ address: raw('c6120001'), length: 32 }]],
  [
    '3a140a10200100020000000000000000000000001030',
    'destination_ips',
    [{ address: V6, length: 48 }],
  ],
  ['42060a0400000000', 'not_destination_ips', [{ address: raw('00000000'), length: 0 }]],
  ['4a0350903f', 'destination_ports', [80, 8080]],
  ['520101', 'not_destination_ports', [1]],
  [
    '5a0b0a0473686f701203776562',
    'service_accounts',
    [{ namespace: 'shop', serviceAccount: 'web' }],
  ],
  ['62060a0178120179', 'not_service_accounts', [{ namespace: 'x', serviceAccount: 'y' }]],
  ['6a030a0165', 'extensions', [{ name: 'e', config: undefined }]],
];

const AUTHORIZATION: Row[] = [
  ['0a0170', 'name', 'p'],
  ['120473686f70', 'namespace', 'shop'],
  ['1801', 'scope', 'NAMESPACE'],
  ['2001', 'action', 'DENY'],
  [
    // The matches of a clause are its field 2; the second rule has no clause: it matches everything.
    '2a070a0512034a01502a00',
    'rules',
    [
      { clauses: [{ matches: [MatchMessage.create({ destination_ports: [80] })] }] },
      { clauses: [] },
    ],
  ],
  ['3001', 'dry_run', true],
  ['3a030a0165', 'extensions', [{ name: 'e', config: undefined }]],
];

const ZDS_NONE = { add: undefined, keep: undefined, del: undefined, snapshot_sent: undefined };

const ZDS: { title: string; codec: MessageCodec<never>; hex: string; value: unknown }[] = [
  { title: 'hello', codec: ZdsHello as never, hex: '0801', value: { version: 'V1' } },
  {
    title: 'add',
    codec: WorkloadRequest as never,
    hex: '0a150a027531120f0a03776562120473686f701a027361',
    value: {
      ...ZDS_NONE,
      add: {
        uid: 'u1',
        workload_info: { name: 'web', namespace: 'shop', service_account: 'sa' },
      },
    },
  },
  {
    title: 'keep',
    codec: WorkloadRequest as never,
    hex: '2a040a027531',
    value: { ...ZDS_NONE, keep: { uid: 'u1' } },
  },
  {
    title: 'del (its uid is field 2)',
    codec: WorkloadRequest as never,
    hex: '120412027531',
    value: { ...ZDS_NONE, del: { uid: 'u1' } },
  },
  {
    title: 'snapshot sent',
    codec: WorkloadRequest as never,
    hex: '1a00',
    value: { ...ZDS_NONE, snapshot_sent: {} },
  },
  {
    title: 'ack of a failure',
    codec: WorkloadResponse as never,
    hex: '0a040a026e6f',
    value: { ack: { error: 'no' } },
  },
  {
    title: 'ack',
    codec: WorkloadResponse as never,
    hex: '0a00',
    value: { ack: { error: '' } },
  },
];

const TABLES: Record<string, Table> = {
  Service: { codec: ServiceMessage as never, rows: SERVICE },
  Workload: { codec: WorkloadMessage as never, rows: WORKLOAD },
  Match: { codec: MatchMessage as never, rows: MATCH },
  Authorization: { codec: AuthorizationMessage as never, rows: AUTHORIZATION },
};

for (const [name, { codec, rows }] of Object.entries(TABLES)) {
  describe(`bytes of ${name}`, () => {
    for (const [hex, field, value] of rows) {
      test(field, () => {
        const alone = codec.create({ [field]: value } as never);
        expect(codec.decode(fromHex(hex)) as unknown).toEqual(alone);
        expect(toHex(codec.encode(alone))).toBe(hex);
      });
    }

    test('all fields together, in any order', () => {
      const whole = codec.create(
        Object.fromEntries(rows.map(([, field, value]) => [field, value])) as never,
      );
      const inOrder = rows.map(([hex]) => hex).join('');
      const reversed = rows.map(([hex]) => hex).reverse();
      expect(toHex(codec.encode(whole))).toBe(inOrder);
      expect(codec.decode(fromHex(reversed.join(''))) as unknown).toEqual(whole);
    });

    test('fields of a later version are skipped', () => {
      // Numbers 500 (a varint) and 501 (bytes).
      const more = `a01f07${rows[0][0]}aa1f0161`;
      expect(codec.decode(fromHex(more)) as unknown).toEqual(
        codec.create({ [rows[0][1]]: rows[0][2] } as never),
      );
    });
  });
}

describe('bytes of ZDS', () => {
  for (const { title, codec, hex, value } of ZDS) {
    test(title, () => {
      expect(codec.decode(fromHex(hex)) as unknown).toEqual(value);
      expect(toHex(codec.encode(value as never))).toBe(hex);
    });
  }
});

test('of the members of a oneof the last one counts', () => {
  const both = AddressMessage.decode(fromHex('0a050a03776562' + '12030a0173'));
  expect(both).toEqual(
    AddressMessage.create({ service: ServiceMessage.create({ name: 's' }), workload: undefined }),
  );
  expect(MatchMessage.decode(fromHex('0a060a01611a0163'))).toEqual(
    MatchMessage.create({ namespaces: [some({ suffix: 'c' }) as never] }),
  );
});

describe('enum values of a later version are refused with the name of the enum', () => {
  const rows: [title: string, codec: MessageCodec<never>, hex: string, want: string][] = [
    ['tunnel protocol', WorkloadMessage as never, '2803', 'unknown TunnelProtocol value 3'],
    ['workload type', WorkloadMessage as never, '6004', 'unknown WorkloadType value 4'],
    ['status', WorkloadMessage as never, '880102', 'unknown WorkloadStatus value 2'],
    ['network mode', WorkloadMessage as never, 'c80102', 'unknown NetworkMode value 2'],
    [
      'application tunnel',
      WorkloadMessage as never,
      'ba01020802',
      'unknown ApplicationTunnel.Protocol value 2',
    ],
    ['families', ServiceMessage as never, '4804', 'unknown IPFamilies value 4'],
    ['visibility', ServiceMessage as never, '7002', 'unknown Visibility value 2'],
    ['app protocol', ServiceMessage as never, '2a021806', 'unknown AppProtocol value 6'],
    [
      'locality scope',
      ServiceMessage as never,
      '42030a0107',
      'unknown LoadBalancing.Scope value 7',
    ],
    ['balancing mode', ServiceMessage as never, '42021004', 'unknown LoadBalancing.Mode value 4'],
    [
      'health policy',
      ServiceMessage as never,
      '42021802',
      'unknown LoadBalancing.HealthPolicy value 2',
    ],
    ['policy scope', AuthorizationMessage as never, '1803', 'unknown Scope value 3'],
    ['policy action', AuthorizationMessage as never, '2002', 'unknown Action value 2'],
    [
      'negative',
      AuthorizationMessage as never,
      '20ffffffffffffffffff01',
      'unknown Action value -1',
    ],
    ['ZDS version', ZdsHello as never, '0802', 'unknown Version value 2'],
  ];
  for (const [title, codec, hex, want] of rows) {
    test(title, () => expect(codec.decode(fromHex(hex)) as unknown).toBe(want));
  }
});

describe('decode answers with a value or a reason', () => {
  const all = [
    ...Object.values(TABLES),
    { codec: WorkloadRequest as never, rows: [[ZDS[1].hex, '', undefined]] as Row[] },
  ];

  test('when the input is cut anywhere', () => {
    for (const { codec, rows } of all) {
      const whole = fromHex(rows.map(([hex]) => hex).join(''));
      for (let length = 0; length < whole.length; length++) {
        expect(['string', 'object']).toContain(
          typeof (codec as MessageCodec<unknown>).decode(whole.subarray(0, length)),
        );
      }
    }
  });

  test('when bytes of it are changed, and when lengths claim gigabytes', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
        ({ codec, rows }, changes) => {
          const bytes = fromHex(rows.map(([hex]) => hex).join(''));
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          expect(['string', 'object']).toContain(
            typeof (codec as MessageCodec<unknown>).decode(bytes),
          );
        },
      ),
      { numRuns: 2000 },
    );
    for (const hex of [
      '0affffffff0f',
      '1affffffff7f61',
      'b201ffffffff0f',
      '0affffffffffffffffff01',
    ]) {
      expect(typeof WorkloadMessage.decode(fromHex(hex))).toBe('string');
    }
  });
});
