import { expect, test } from 'bun:test';
import { addressOfRow, addressOfText, pathOf } from './object-address.ts';

const text = (apiVersion: string, kind: string, metadata: string) =>
  `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n${metadata}`;

test('addressOfText reads kind, namespace and name', () => {
  expect(addressOfText(text('v1', 'Service', '  name: a\n  namespace: shop\n')).address).toEqual({
    kind: 'Service',
    namespace: 'shop',
    name: 'a',
  });
  expect(addressOfText(text('v1', 'Service', '  name: a\n')).address?.namespace).toBe('default');
  expect(addressOfText(text('v1', 'Namespace', '  name: a\n')).address?.namespace).toBe('-');
});

test('addressOfText tells the two kinds of Gateway apart', () => {
  expect(
    addressOfText(text('networking.istio.io/v1', 'Gateway', '  name: a\n')).address?.kind,
  ).toBe('Gateway.networking.istio.io');
  expect(
    addressOfText(text('gateway.networking.k8s.io/v1', 'Gateway', '  name: a\n')).address?.kind,
  ).toBe('Gateway');
});

test('addressOfText says what is missing', () => {
  expect(addressOfText('kind: Service\n').problem).toBe(
    'The text says neither apiVersion nor kind',
  );
  expect(addressOfText(text('v1', 'Service', '  labels: {}\n')).problem).toBe(
    'The object has no metadata.name yet',
  );
});

test('pathOf escapes what a name may hold', () => {
  expect(
    pathOf(addressOfRow({ kind: 'GatewayClass', apiVersion: 'x', namespace: '', name: 'a/b' })),
  ).toBe('GatewayClass/-/a%2Fb');
});
