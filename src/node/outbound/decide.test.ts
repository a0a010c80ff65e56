import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import { type GatewayAddress, neededWaypoint, type Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { completeService, completeWorkload } from '../config/static-file.ts';
import { type MeshAddress, MeshSnapshot } from '../state/mesh-snapshot.ts';
import { decideOutbound, withAddress } from './decide.ts';

type Extra = Parameters<typeof completeWorkload>[0];
const workload = (name: string, extra: Partial<Extra>): Workload =>
  completeWorkload(
    { name, namespace: 'shop', serviceAccount: name, protocol: 'hbone', ...extra },
    'cluster.local',
  );
const service = (name: string, extra: Partial<Service>): Service =>
  completeService({ name, namespace: 'shop', ...extra });
const vip = (address: string) => [{ network: '', address }];
const key = (name: string) => `shop/${name}.shop.svc.cluster.local`;
const http = [{ servicePort: 80, targetPort: 8080, appProtocol: 'http' as const }];
const id = (name: string) => `spiffe://cluster.local/ns/shop/sa/${name}`;

const waypointOf = (name: string): GatewayAddress => ({
  service: { namespace: 'shop', hostname: `${name}.shop.svc.cluster.local` },
  hbonePort: 15008,
});
/** The virtual address of the waypoint's service. */
const wayByAddress = { address: { network: '', address: '198.19.0.9' }, hbonePort: 15008 };
const web = workload('web', { addresses: ['198.18.1.2', 'fd00::2'] });
const waypointPod = workload('way-1', {
  addresses: ['198.18.1.9'],
  services: { [key('way')]: [{ servicePort: 15008, targetPort: 15008 }] },
} as Partial<Extra>);
const snapshot = new MeshSnapshot({
  version: 1,
  authorizations: [],
  addresses: [
    web,
    waypointPod,
    workload('product', {
      addresses: ['198.18.2.2', 'fd00::22'],
      services: { [key('product')]: [{ servicePort: 80, targetPort: 9090 }] },
    } as Partial<Extra>),
    workload('legacy', {
      addresses: ['198.18.2.3'],
      protocol: 'none',
      services: { [key('legacy')]: [] },
    } as Partial<Extra>),
    workload('sick', {
      addresses: ['198.18.2.4'],
      healthy: false,
      services: { [key('sick')]: [], [key('headless')]: [] },
    } as Partial<Extra>),
    workload('guarded', { addresses: ['198.18.2.5'], waypoint: waypointOf('way') }),
    workload('guarded-by-address', { addresses: ['198.18.2.6'], waypoint: wayByAddress }),
    workload('sandwiched', {
      addresses: ['198.18.1.10'],
      applicationTunnel: { protocol: 'proxy', port: 15088 },
      services: { [key('bread')]: [] },
    } as Partial<Extra>),
    workload('host', { addresses: ['198.18.0.1'], hostNetwork: true }),
    workload('on-node', {
      addresses: ['198.18.0.1'],
      protocol: 'none',
      hostNetwork: true,
      services: { [key('on-node')]: [{ servicePort: 80, targetPort: 9100 }] },
    } as Partial<Extra>),
    workload('on-claimed-node', {
      addresses: ['198.18.0.2'],
      protocol: 'none',
      hostNetwork: true,
      services: { [key('on-claimed-node')]: [{ servicePort: 80, targetPort: 9100 }] },
    } as Partial<Extra>),
    workload('external', {
      hostname: 'db.example',
      protocol: 'none',
      services: { [key('external')]: [{ servicePort: 80, targetPort: 5432 }] },
    } as Partial<Extra>),
    workload('tunnel-by-name', {
      hostname: 'vm.example',
      services: { [key('tunnel-by-name')]: [{ servicePort: 80, targetPort: 80 }] },
    } as Partial<Extra>),
    workload('listed', {
      uid: 'Kubernetes/networking.istio.io/ServiceEntry/shop/listed/198.18.2.2',
      addresses: ['198.18.2.2'],
      protocol: 'none',
      services: { [key('listed')]: [{ servicePort: 80, targetPort: 9090 }] },
    } as Partial<Extra>),
    ...['198.18.0.2', '203.0.113.50', '203.0.113.51'].map((address) =>
      workload(`claim-${address}`, {
        uid: `Kubernetes/networking.istio.io/WorkloadEntry/x/${address}`,
        namespace: address === '203.0.113.51' ? 'shop' : 'hostile',
        addresses: [address],
      }),
    ),
    workload('outside', {
      uid: 'Kubernetes/networking.istio.io/ServiceEntry/shop/outside/203.0.113.50',
      addresses: ['203.0.113.50'],
      protocol: 'none',
      services: { [key('outside')]: [{ servicePort: 80, targetPort: 80 }] },
    } as Partial<Extra>),
    workload('machine', {
      uid: 'Kubernetes/networking.istio.io/ServiceEntry/shop/machine/203.0.113.51',
      addresses: ['203.0.113.51'],
      protocol: 'none',
      services: { [key('machine')]: [{ servicePort: 80, targetPort: 80 }] },
    } as Partial<Extra>),
    workload('dual', {
      addresses: ['198.18.2.9', 'fd00::29'],
      services: Object.fromEntries(
        ['dual', 'dual-six'].map((name) => [key(name), [{ servicePort: 80, targetPort: 80 }]]),
      ),
    } as Partial<Extra>),
    workload('in-range', {
      addresses: ['203.0.113.8'],
      services: { [key('range')]: [{ servicePort: 80, targetPort: 9090 }] },
    } as Partial<Extra>),
    workload('rpc-a', {
      addresses: ['198.18.2.10'],
      services: { [key('rpc')]: [{ servicePort: 80, targetPort: 7001 }] },
    } as Partial<Extra>),
    workload('rpc-without', {
      addresses: ['198.18.2.11'],
      services: { [key('rpc')]: [] },
    } as Partial<Extra>),
  ]
    .map((each): MeshAddress => ({ kind: 'workload', workload: each }))
    .concat(
      [
        service('product', {
          addresses: vip('198.19.0.1'),
          ports: http,
          subjectAltNames: [id('old'), 'dns.name'],
        }),
        service('legacy', { addresses: vip('198.19.0.2'), ports: http }),
        service('sick', { addresses: vip('198.19.0.3'), ports: http }),
        service('routed', {
          addresses: vip('198.19.0.4'),
          ports: http,
          waypoint: waypointOf('way'),
        }),
        service('on-claimed-node', { addresses: vip('198.19.0.21'), ports: http }),
        service('outside', { addresses: vip('198.19.0.18'), ports: http }),
        service('machine', { addresses: vip('198.19.0.19'), ports: http }),
        service('bread', { addresses: vip('198.19.0.16') }),
        service('within', {
          addresses: vip('198.19.0.17'),
          ports: http,
          waypoint: waypointOf('bread'),
        }),
        service('unready', {
          addresses: vip('198.19.0.5'),
          ports: http,
          waypoint: waypointOf('gone'),
        }),
        service('pass', {
          addresses: vip('198.19.0.6'),
          ports: http,
          loadBalancing: { mode: 'passthrough', scopes: [], includeUnhealthy: false },
        }),
        service('published', {
          addresses: vip('198.19.0.7'),
          ports: http,
          loadBalancing: { mode: 'unspecified', scopes: [], includeUnhealthy: true },
        }),
        service('on-node', { addresses: vip('198.19.0.10'), ports: http }),
        service('external', { addresses: vip('240.240.0.1'), ports: http }),
        service('tunnel-by-name', { addresses: vip('240.240.0.2'), ports: http }),
        service('listed', { addresses: vip('198.19.0.11'), ports: http }),
        service('dual', { addresses: [...vip('198.19.0.12'), ...vip('fd00:1::12')], ports: http }),
        service('dual-six', { addresses: vip('198.19.0.13'), ports: http, ipFamilies: 'ipv6' }),
        service('rpc', {
          addresses: vip('198.19.0.14'),
          ports: [{ servicePort: 80, targetPort: 0, appProtocol: 'grpc' }],
        }),
        service('needing', {
          addresses: vip('198.19.0.15'),
          ports: http,
          waypoint: neededWaypoint({
            kind: 'AuthorizationPolicy',
            namespace: 'shop',
            name: 'only',
          }),
        }),
        service('range', {
          addresses: [{ network: '', address: '203.0.113.0', length: 28 }],
          ports: http,
          loadBalancing: { mode: 'passthrough', scopes: [], includeUnhealthy: true },
        }),
        service('way', {
          ports: [{ servicePort: 15008, targetPort: 15008, appProtocol: 'unknown' }],
          addresses: vip('198.19.0.9'),
        }),
      ].map((each): MeshAddress => ({ kind: 'service', service: each })),
    ),
});

const decide = (address: string, port: number, source = web) =>
  decideOutbound(snapshot, { source, original: { address, port } }, seededRandom(1));

describe('decideOutbound', () => {
  const rows: { title: string; to: [string, number]; want: object }[] = [
    {
      title:
        'a service goes to an endpoint at its own target port, with the extra names that are SPIFFE',
      to: ['198.19.0.1', 80],
      want: {
        kind: 'hbone',
        via: 'endpoint',
        destination: { address: '198.18.2.2', port: 15008 },
        authority: '198.18.2.2:9090',
        expected: [id('product'), id('old')],
      },
    },
    {
      title: 'an endpoint that is not captured gets plain TCP at its target port',
      to: ['198.19.0.2', 80],
      want: { kind: 'tcp', destination: { address: '198.18.2.3', port: 8080 } },
    },
    {
      title: 'a service without healthy endpoint is refused, never sent to the bare address',
      to: ['198.19.0.3', 80],
      want: { kind: 'refuse', code: 'NODE_NO_UPSTREAM' },
    },
    {
      title: 'a port that the service does not have is refused',
      to: ['198.19.0.1', 81],
      want: {
        kind: 'refuse',
        code: 'NODE_NO_UPSTREAM',
        reason: expect.stringMatching(/\S+ has no port 81, but 80$/),
      },
    },
    {
      title: 'a service with a waypoint goes there with the address untranslated',
      to: ['198.19.0.4', 80],
      want: {
        kind: 'hbone',
        via: 'waypoint',
        destination: { address: '198.18.1.9', port: 15008 },
        authority: '198.19.0.4:80',
        expected: [id('way-1')],
      },
    },
    {
      title: 'a waypoint behind a proxy of its own needs no port for tunnels in its service',
      to: ['198.19.0.17', 80],
      want: { via: 'waypoint', destination: { address: '198.18.1.10', port: 15008 } },
    },
    {
      title: 'which is no service for anybody else',
      to: ['198.19.0.16', 15008],
      want: { kind: 'refuse', code: 'NODE_NO_UPSTREAM' },
    },
    {
      title: 'a waypoint that is not there closes the path',
      to: ['198.19.0.5', 80],
      want: { kind: 'refuse', code: 'NODE_WAYPOINT_UNREADY' },
    },
    {
      title: 'a passthrough service without endpoints goes to the original address',
      to: ['198.19.0.6', 80],
      want: { kind: 'tcp', destination: { address: '198.19.0.6', port: 80 } },
    },
    {
      title: 'a pod address goes to that pod, port as dialled',
      to: ['198.18.2.2', 7000],
      want: {
        kind: 'hbone',
        via: 'endpoint',
        authority: '198.18.2.2:7000',
        expected: [id('product')],
      },
    },
    {
      title: 'an IPv6 pod address is bracketed in the authority',
      to: ['fd00::22', 7000],
      want: {
        kind: 'hbone',
        destination: { address: 'fd00::22', port: 15008 },
        authority: '[fd00::22]:7000',
      },
    },
    {
      title: 'a pod with a waypoint of its own is reached through it',
      to: ['198.18.2.5', 80],
      want: { kind: 'hbone', via: 'waypoint', authority: '198.18.2.5:80', expected: [id('way-1')] },
    },
    {
      title: 'a waypoint that is named by the address of its service is the same waypoint',
      to: ['198.18.2.6', 80],
      want: { via: 'waypoint', destination: { address: '198.18.1.9' }, expected: [id('way-1')] },
    },
    {
      title: 'an uncaptured pod address is plain TCP',
      to: ['198.18.2.3', 80],
      want: { kind: 'tcp', destination: { address: '198.18.2.3', port: 80 } },
    },
    {
      title: 'the address of host-network pods names none of them',
      to: ['198.18.0.1', 80],
      want: { kind: 'tcp', workload: undefined },
    },
    {
      title: 'what is not in the mesh passes through',
      to: ['203.0.113.99', 443],
      want: {
        kind: 'tcp',
        destination: { address: '203.0.113.99', port: 443 },
        service: undefined,
      },
    },
    {
      title: 'an address within the range of a passthrough service passes through in its name',
      to: ['203.0.113.9', 443],
      want: {
        kind: 'tcp',
        destination: { address: '203.0.113.9', port: 443 },
        service: { name: 'range' },
      },
    },
    {
      title: 'nor does an endpoint that it lists change the address or the port',
      to: ['203.0.113.7', 80],
      want: { kind: 'tcp', destination: { address: '203.0.113.7', port: 80 } },
    },
    {
      title: 'a pod of the mesh within the range is reached by tunnel',
      to: ['203.0.113.8', 80],
      want: {
        kind: 'hbone',
        authority: '203.0.113.8:80',
        expected: [id('in-range')],
        service: { name: 'range' },
      },
    },
    {
      title: 'an endpoint on the host network is plain TCP to the node',
      to: ['198.19.0.10', 80],
      want: { kind: 'tcp', destination: { address: '198.18.0.1', port: 9100 } },
    },
    {
      title: 'an entry of another namespace that claims the address of an endpoint changes nothing',
      to: ['198.19.0.18', 80],
      want: { kind: 'tcp', destination: { address: '203.0.113.50', port: 80 } },
    },
    {
      title: 'nor one that claims the address of a node',
      to: ['198.19.0.21', 80],
      want: { kind: 'tcp', destination: { address: '198.18.0.2', port: 9100 } },
    },
    {
      title: 'a machine of the same namespace that is listed by its address is reached by tunnel',
      to: ['198.19.0.19', 80],
      want: { kind: 'hbone', authority: '203.0.113.51:80' },
    },
    {
      title: 'an endpoint that is known by name is looked up',
      to: ['240.240.0.1', 80],
      want: { kind: 'tcp', hostname: 'db.example', destination: { address: '', port: 5432 } },
    },
    {
      title: 'so is one that is reached by tunnel: it stays a tunnel',
      to: ['240.240.0.2', 80],
      want: {
        kind: 'hbone',
        hostname: 'vm.example',
        destination: { address: '', port: 15008 },
        expected: [id('tunnel-by-name')],
      },
    },
    {
      title: 'an entry that lists a captured pod leads to the pod, with its identity',
      to: ['198.19.0.11', 80],
      want: { kind: 'hbone', authority: '198.18.2.2:9090', expected: [id('product')] },
    },
    {
      title: 'the family that the client chose is kept',
      to: ['fd00:1::12', 80],
      want: { kind: 'hbone', authority: '[fd00::29]:80' },
    },
    {
      title: 'the families of the service count more',
      to: ['198.19.0.13', 80],
      want: { kind: 'hbone', authority: '[fd00::29]:80' },
    },
    {
      title: 'a named port leads to those that have it, at their own number',
      to: ['198.19.0.14', 80],
      want: { kind: 'hbone', authority: '198.18.2.10:7001' },
    },
    {
      title: 'a policy that needs a waypoint stops the traffic and is named',
      to: ['198.19.0.15', 80],
      want: {
        kind: 'refuse',
        code: 'NODE_WAYPOINT_UNREADY',
        reason: expect.stringContaining('authorizationpolicy shop/only needs a waypoint') as string,
      },
    },
    {
      title: 'its own port on loopback is a loop',
      to: ['127.0.0.1', 15001],
      want: { kind: 'refuse', code: 'NODE_LOOP' },
    },
    {
      title: 'its own port on the pod address is a loop',
      to: ['198.18.1.2', 15008],
      want: { kind: 'refuse', code: 'NODE_LOOP' },
    },
  ];
  for (const { title, to, want } of rows) {
    test(title, () => expect(decide(...to)).toMatchObject(want));
  }

  test('withAddress puts what was found where the name stood, and into the authority of a tunnel', () => {
    const found = (address: string, port: number) => {
      const verdict = decide(address, port);
      if (verdict.kind === 'refuse') throw new Error(verdict.reason);
      return withAddress(verdict, 'fd00::7');
    };
    expect(found('240.240.0.1', 80)).toMatchObject({
      kind: 'tcp',
      hostname: undefined,
      destination: { address: 'fd00::7', port: 5432 },
    });
    expect(found('240.240.0.2', 80)).toMatchObject({
      kind: 'hbone',
      hostname: undefined,
      destination: { address: 'fd00::7', port: 15008 },
      authority: '[fd00::7]:80',
    });
  });

  test('the waypoint itself goes straight to the endpoints of what it serves', () => {
    expect(decide('198.18.2.5', 80, waypointPod)).toMatchObject({ via: 'endpoint' });
    expect(decide('198.18.2.6', 80, waypointPod)).toMatchObject({ via: 'endpoint' });
  });

  test('weighted waypoints share the connections', () => {
    const heavy = waypointOf('way');
    const light = waypointOf('gone');
    const weightedWaypoints = [
      { destination: heavy, weight: 75 },
      { destination: light, weight: 25 },
    ];
    const canary = service('canary', {
      addresses: vip('198.19.0.20'),
      ports: http,
      waypoint: heavy,
      weightedWaypoints,
    });
    const addresses: MeshAddress[] = [
      { kind: 'service', service: canary },
      ...[...snapshot.workloads.values()].map((each) => ({
        kind: 'workload' as const,
        workload: each,
      })),
      ...[...snapshot.services.values()].map((each) => ({
        kind: 'service' as const,
        service: each,
      })),
    ];
    const both = new MeshSnapshot({ version: 2, addresses, authorizations: [] });
    const random = seededRandom(5);
    const original = { address: '198.19.0.20', port: 80 };
    let light25 = 0;
    for (let turn = 0; turn < 2_000; turn++)
      if (decideOutbound(both, { source: web, original }, random).kind === 'refuse') light25++;
    expect(light25 / 2_000).toBeGreaterThan(0.22);
    expect(light25 / 2_000).toBeLessThan(0.28);
  });

  test('every verdict gives a reason', () => {
    for (const { to } of rows) expect(decide(...to).reason.length).toBeGreaterThan(10);
  });
});

describe('decideOutbound across networks', () => {
  const far = (name: string, extra: Partial<Extra>) => workload(name, { network: 'far', ...extra });
  const eastWest = { address: { network: 'far', address: '198.18.9.1' }, hbonePort: 15_008 };
  const member = (name: string) =>
    ({ services: { [key(name)]: [{ servicePort: 80, targetPort: 8080 }] } }) as Partial<Extra>;
  const decideAcross = (services: Service[], workloads: Workload[], to: string) => {
    const addresses: MeshAddress[] = [
      ...[web, ...workloads].map((each) => ({ kind: 'workload' as const, workload: each })),
      ...services.map((each) => ({ kind: 'service' as const, service: each })),
    ];
    const across = new MeshSnapshot({ version: 1, authorizations: [], addresses });
    return decideOutbound(
      across,
      { source: web, original: { address: to, port: 80 } },
      seededRandom(1),
    );
  };
  const gateway = far('gateway', { addresses: ['198.18.9.1'] });
  const names = { subjectAltNames: [id('far'), 'dns.name'] };

  test('an endpoint of another network is reached through its gateway, by the name of the service', () => {
    const exported = service('exported', { addresses: vip('198.19.0.1'), ports: http, ...names });
    const split = far('split', { networkGateway: eastWest, ...member('exported') });
    expect(decideAcross([exported], [gateway, split], '198.19.0.1')).toMatchObject({
      kind: 'hbone',
      via: 'gateway',
      destination: { address: '198.18.9.1', port: 15_008 },
      authority: 'exported.shop.svc.cluster.local:80',
      expected: [id('gateway')],
      inner: [id('far')],
    });
  });

  test('one that has an address there but no gateway is refused: here that address is somebody else', () => {
    const exported = service('exported', { addresses: vip('198.19.0.1'), ports: http, ...names });
    const bare = far('bare', { addresses: ['198.18.1.9'], ...member('exported') });
    expect(decideAcross([exported], [gateway, bare], '198.19.0.1')).toMatchObject({
      kind: 'refuse',
      code: 'NODE_NO_UPSTREAM',
    });
  });

  test('a waypoint of another network stands behind the gateway, and proves the names of its own service', () => {
    const routed = service('routed', {
      addresses: vip('198.19.0.2'),
      ports: http,
      waypoint: waypointOf('way'),
    });
    const way = service('way', {
      ports: [{ servicePort: 15_008, targetPort: 15_008, appProtocol: 'unknown' }],
      subjectAltNames: [id('way')],
    });
    const pod = far('way-1', {
      networkGateway: eastWest,
      services: { [key('way')]: [{ servicePort: 15_008, targetPort: 15_008 }] },
    } as Partial<Extra>);
    expect(decideAcross([routed, way], [gateway, pod], '198.19.0.2')).toMatchObject({
      via: 'gateway',
      authority: 'routed.shop.svc.cluster.local:80',
      inner: [id('way')],
    });
  });

  test('a gateway that is known by name is looked up, and asked for the service all the same', () => {
    const exported = service('exported', { addresses: vip('198.19.0.1'), ports: http, ...names });
    const named = far('named', { hostname: 'lb.example' });
    const networkGateway = {
      service: { namespace: 'shop', hostname: 'lb.example' },
      hbonePort: 15_443,
    };
    const split = far('split', { networkGateway, ...member('exported') });
    const verdict = decideAcross([exported], [named, split], '198.19.0.1');
    expect(verdict).toMatchObject({
      via: 'gateway',
      hostname: 'lb.example',
      expected: [id('named')],
    });
    if (verdict.kind === 'refuse') throw new Error(verdict.reason);
    expect(withAddress(verdict, '203.0.113.5')).toMatchObject({
      destination: { address: '203.0.113.5', port: 15_443 },
      authority: 'exported.shop.svc.cluster.local:80',
    });
  });

  test('a gateway that is a service itself is dialled on the port of its workload', () => {
    const exported = service('exported', { addresses: vip('198.19.0.1'), ports: http, ...names });
    const ew = service('ew', {
      ports: [{ servicePort: 15_008, targetPort: 15_009, appProtocol: 'unknown' }],
    });
    const ewPod = far('ew-1', {
      addresses: ['198.18.9.2'],
      services: { [key('ew')]: [{ servicePort: 15_008, targetPort: 15_009 }] },
    } as Partial<Extra>);
    const split = far('split', { networkGateway: waypointOf('ew'), ...member('exported') });
    expect(decideAcross([exported, ew], [ewPod, split], '198.19.0.1')).toMatchObject({
      via: 'gateway',
      destination: { address: '198.18.9.2', port: 15_009 },
      expected: [id('ew-1')],
    });
  });
});
