import { describe, expect, test } from 'bun:test';
import { type ControlObjects, controlAddresses, firstReachable } from './control-address.ts';

const meta = (kind: string) => ({ apiVersion: 'v1', kind, metadata: { name: 'istiod' } });
const node = (address: string) => ({
  ...meta('Node'),
  status: {
    addresses: [
      { type: 'Hostname', address: 'n' },
      { type: 'InternalIP', address },
    ],
  },
});

describe('controlAddresses', () => {
  const objects = (service: object, extra: Partial<ControlObjects> = {}): ControlObjects => ({
    service: { ...meta('Service'), ...service },
    nodes: [],
    slices: [],
    ...extra,
  });
  const slice = {
    ...meta('EndpointSlice'),
    addressType: 'IPv4' as const,
    endpoints: [
      { addresses: ['198.18.1.9'], conditions: { ready: false } },
      { addresses: ['198.18.1.2'], conditions: { ready: true } },
    ],
  };
  const nodePort = { spec: { ports: [{ port: 443 }, { port: 15012, nodePort: 30012 }] } };
  const balancer = {
    status: { loadBalancer: { ingress: [{ ip: '2001:2::1' }, { hostname: 'lb' }] } },
  };
  test.each([
    ['nothing', objects({}), []],
    ['a load balancer', objects(balancer), ['[2001:2::1]:15012', 'lb:15012']],
    ['a node port', objects(nodePort, { nodes: [node('198.18.0.3')] }), ['198.18.0.3:30012']],
    ['no node port', objects({}, { nodes: [node('198.18.0.3')] }), []],
    ['pods that are ready', objects({}, { slices: [slice] }), ['198.18.1.2:15012']],
    [
      'all of it, what lasts longest first',
      objects({ ...balancer, ...nodePort }, { nodes: [node('198.18.0.3')], slices: [slice] }),
      ['[2001:2::1]:15012', 'lb:15012', '198.18.0.3:30012', '198.18.1.2:15012'],
    ],
  ])('%s', (_title, given, want) => expect(controlAddresses(given)).toEqual(want));
});

describe('firstReachable', () => {
  const dial = async (address: string) => {
    if (address !== 'b:1') throw new Error('refused');
    return '198.18.9.2';
  };

  test('takes the first that answers', async () => {
    expect(await firstReachable(dial, ['a:1', 'b:1', 'c:1'])).toEqual({
      address: 'b:1',
      localAddress: '198.18.9.2',
    });
  });

  test('says what each of them answered', async () => {
    const failure = firstReachable(dial, ['a:1', 'c:1']);
    await expect(failure).rejects.toMatchObject({
      code: 'JOIN_NO_CONTROL',
      message: 'cannot reach the control plane: a:1: refused; c:1: refused',
    });
  });
});
