import { describe, expect, test } from 'bun:test';
import type { EndpointSlice, Service } from '#kube/client/kinds.ts';
import { renderRuleset, virtualPorts } from './ruleset.ts';

function service(name: string, spec: Service['spec']): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'shop', name }, spec };
}

function slice(
  name: string,
  endpoints: EndpointSlice['endpoints'],
  ports: EndpointSlice['ports'],
): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: 'shop',
      name: `${name}-1`,
      labels: { 'kubernetes.io/service-name': name },
    },
    addressType: 'IPv4',
    endpoints,
    ports,
  };
}

const web = service('web', {
  clusterIP: '198.19.0.9',
  ports: [{ name: 'http', port: 80, targetPort: 8080 }],
});
const ready = (address: string) => ({ addresses: [address], conditions: { ready: true } });
const http = [{ name: 'http', port: 8080, protocol: 'TCP' }];

describe('virtualPorts', () => {
  const ROWS = [
    {
      title: 'ready endpoints',
      endpoints: [ready('198.18.1.3'), ready('198.18.1.2')],
      want: ['198.18.1.2', '198.18.1.3'],
    },
    {
      title: 'no endpoint that is not ready',
      endpoints: [ready('198.18.1.2'), { addresses: ['198.18.1.3'], conditions: { ready: false } }],
      want: ['198.18.1.2'],
    },
    {
      title: 'a terminating endpoint that still serves when it is the last',
      endpoints: [
        {
          addresses: ['198.18.1.3'],
          conditions: { ready: false, serving: true, terminating: true },
        },
      ],
      want: ['198.18.1.3'],
    },
    {
      title: 'no terminating endpoint while another is ready',
      endpoints: [
        ready('198.18.1.2'),
        {
          addresses: ['198.18.1.3'],
          conditions: { ready: false, serving: true, terminating: true },
        },
      ],
      want: ['198.18.1.2'],
    },
    {
      title: 'an endpoint without conditions (ready by default)',
      endpoints: [{ addresses: ['198.18.1.2'] }],
      want: ['198.18.1.2'],
    },
    { title: 'nothing when there is none', endpoints: [], want: [] },
  ];
  for (const row of ROWS) {
    test(`has ${row.title}`, () => {
      const [port] = virtualPorts([web], [slice('web', row.endpoints, http)]);
      expect(port).toMatchObject({ address: '198.19.0.9', port: 80, protocol: 'tcp' });
      expect(port.endpoints.map((endpoint) => endpoint.address)).toEqual(row.want);
    });
  }

  test('leaves out headless, external and IPv6 services', () => {
    const others = [
      service('headless', { clusterIP: 'None', ports: [{ port: 80 }] }),
      service('external', { externalName: 'example.test' }),
      service('six', { clusterIP: 'fd00::1', ports: [{ port: 80 }] }),
    ];
    expect(virtualPorts(others, [])).toEqual([]);
  });

  test('takes the slice port of the same name and protocol', () => {
    const dns = service('dns', {
      clusterIP: '198.19.0.8',
      ports: [
        { name: 'udp', port: 53, protocol: 'UDP' },
        { name: 'tcp', port: 53, protocol: 'TCP' },
      ],
    });
    const ports = [
      { name: 'udp', port: 1053, protocol: 'UDP' },
      { name: 'tcp', port: 2053, protocol: 'TCP' },
    ];
    const found = virtualPorts([dns], [slice('dns', [ready('198.18.1.2')], ports)]);
    expect(found.map((entry) => [entry.protocol, entry.endpoints[0].port])).toEqual([
      ['tcp', 2053],
      ['udp', 1053],
    ]);
  });
});

describe('renderRuleset', () => {
  test('is the same text for the same services in another order', () => {
    const second = service('api', {
      clusterIP: '198.19.0.10',
      ports: [{ name: 'http', port: 80 }],
    });
    const slices = [
      slice('web', [ready('198.18.1.2')], http),
      slice('api', [ready('198.18.1.3')], http),
    ];
    const one = renderRuleset(virtualPorts([web, second], slices));
    const two = renderRuleset(virtualPorts([second, web], slices.toReversed()));
    expect(one).toBe(two);
  });

  test('is taken by nft and kept whole', () => {
    const slices = [slice('web', [ready('198.18.1.2'), ready('198.18.1.3')], http)];
    for (const ruleset of [renderRuleset(virtualPorts([web], slices)), renderRuleset([])]) {
      const result = Bun.spawnSync(
        [
          'unshare',
          '--net',
          'sh',
          '-c',
          'cat > /dev/shm/$$; nft -f /dev/shm/$$ && nft -f /dev/shm/$$; status=$?; rm /dev/shm/$$; nft list ruleset; exit $status',
        ],
        { stdin: new TextEncoder().encode(ruleset), stderr: 'pipe' },
      );
      expect(result.stderr.toString()).toBe('');
      expect(result.exitCode).toBe(0);
      expect(result.stdout.toString()).toContain('chain refuse-forward');
    }
  });

  test('a service without endpoints is in no map, so it is refused', () => {
    const ruleset = renderRuleset(virtualPorts([web], []));
    expect(ruleset).not.toContain('198.19.0.9');
    expect(ruleset).toContain('reject with tcp reset');
  });
});
