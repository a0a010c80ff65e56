import { describe, expect, test } from 'bun:test';
import { queryOf, questionOf, requestOf, withRequest } from './question.ts';

const question = questionOf(
  new URLSearchParams('from=shop/web&host=products&headers=x-canary: true'),
);

describe('requestOf', () => {
  test('requestOf a filled form is what the API is asked', () => {
    expect(requestOf(question).request).toEqual({
      source: { namespace: 'shop', serviceAccount: 'web' },
      destination: { host: 'products', port: 80 },
      method: 'GET',
      path: '/',
      headers: { 'x-canary': 'true' },
    });
  });

  test('requestOf takes an address, a namespace alone, and a gateway in place of a client', () => {
    expect(requestOf({ ...question, from: '10.0.0.7' }).request?.source).toEqual({
      ip: '10.0.0.7',
    });
    expect(requestOf({ ...question, from: 'legacy' }).request?.source).toEqual({
      namespace: 'legacy',
    });
    const atGateway = requestOf({ ...question, gateway: 'shop/edge' }).request;
    expect(atGateway?.gateway).toBe('shop/edge');
    expect(atGateway?.source).toBeUndefined();
  });

  test('requestOf says what is missing or wrong', () => {
    expect(requestOf({ ...question, host: ' ' }).problem).toContain('Say where the request goes');
    expect(requestOf({ ...question, port: '99999' }).problem).toBe(
      '99999 is not a port: 1 to 65535',
    );
  });
});

test('queryOf leaves defaults out, and questionOf reads it back', () => {
  expect(queryOf(question)).toMatchObject({
    from: 'shop/web',
    host: 'products',
    port: undefined,
    method: undefined,
  });
  const query = new URLSearchParams(
    Object.entries(queryOf(question)).filter(([, value]) => value !== undefined) as [
      string,
      string,
    ][],
  );
  expect(questionOf(query)).toEqual(question);
});

test('withRequest keeps who asks', () => {
  const next = withRequest(question, {
    destination: { host: 'pay', port: 8080 },
    method: 'POST',
    path: '/a',
  });
  expect(next).toMatchObject({
    from: 'shop/web',
    host: 'pay',
    port: '8080',
    method: 'POST',
    path: '/a',
    headers: '',
  });
});
