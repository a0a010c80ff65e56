import { expect, test } from 'bun:test';
import { nodeName, resourceHref, shortName } from './ids.ts';

test('nodeName takes ids apart', () => {
  expect(nodeName('workload/shop/web')).toEqual({
    kind: 'workload',
    namespace: 'shop',
    name: 'web',
  });
  expect(nodeName('app/shop/products/v2').name).toBe('products v2');
  expect(nodeName('external/api.example.com:443')).toEqual({
    kind: 'external',
    namespace: '',
    name: 'api.example.com:443',
  });
  expect(nodeName('unknown').name).toBe('unknown client');
});

test('shortName leaves out the namespace that the reader is in', () => {
  expect(shortName('workload/shop/web', 'shop')).toBe('web');
  expect(shortName('workload/shop/web', 'pay')).toBe('shop/web');
});

test('resourceHref leads to the page of a resource, and nowhere for other words', () => {
  expect(resourceHref('VirtualService shop/products')).toBe('/config/VirtualService/shop/products');
  expect(resourceHref('GatewayClass istio')).toBe('/config/GatewayClass/-/istio');
  expect(resourceHref('default')).toBeUndefined();
});
