import { expect, test } from 'bun:test';
import { structString } from '#wire/protobuf/well-known.ts';
import { nodeMessage, parseNodeId } from './node.ts';

test('parseNodeId reads what nodeMessage writes, pod names with dots too', () => {
  const node = nodeMessage({
    type: 'waypoint',
    ip: '198.18.1.2',
    podName: 'wp.v1-0',
    podNamespace: 'shop',
    metadata: { GATEWAY_NAME: 'wp', NODE_NAME: undefined },
  });
  expect(node.id).toBe('waypoint~198.18.1.2~wp.v1-0.shop~shop.svc.cluster.local');
  expect(parseNodeId(node.id)).toEqual({
    type: 'waypoint',
    ip: '198.18.1.2',
    podName: 'wp.v1-0',
    podNamespace: 'shop',
  });
  expect(structString(node.metadata, 'GATEWAY_NAME')).toBe('wp');
  expect(structString(node.metadata, 'NAMESPACE')).toBe('shop');
  expect(node.metadata?.fields.has('NODE_NAME')).toBe(false);
});

for (const id of [
  '',
  'ztunnel',
  'ztunnel~1.1.1.1~pod~x',
  '~1.1.1.1~a.b~x',
  'a~b~c.d~e~f',
  'a~b~.d~e',
  'a~b~c.~e',
]) {
  test(`parseNodeId refuses ${JSON.stringify(id)}`, () => expect(parseNodeId(id)).toBeUndefined());
}
