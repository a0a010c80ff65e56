/** docs/openapi.json says what the server serves: addresses, members, and answers of the running one. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import type { Schema as KubeSchema } from '#config/schema/schema.ts';
import { validateValue } from '#config/schema/validate.ts';
import { startConsoleRig } from '#test/support/console-rig.ts';
import { OPENAPI_FILE, openApi, renderOpenApi, routesOfConsole } from './openapi.ts';
import { type Schema, schemasOf } from './types.ts';

const DOCUMENT = openApi();
const schemas = DOCUMENT.components.schemas;

/** With what it refers to in place. */
function inlined(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(inlined);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $ref, ...rest } = schema as Schema;
  if (typeof $ref === 'string') {
    const name = $ref.slice('#/components/schemas/'.length);
    expect(Object.keys(schemas)).toContain(name);
    return { ...(inlined(schemas[name]) as Schema), ...rest };
  }
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, inlined(value)]));
}

test('the file is what the source says', () => {
  expect(readFileSync(OPENAPI_FILE, 'utf8')).toBe(renderOpenApi());
});

test('operations have names of their own', () => {
  const ids = Object.values(DOCUMENT.paths).flatMap((methods) =>
    Object.values(methods).map((each) => (each as { operationId: string }).operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
});

describe('answers of the running server', () => {
  const VALUES: Readonly<Record<string, string>> = {
    version: '3',
    namespace: 'shop',
    name: 'cart',
    pod: 'cart-1',
    traceId: 'a'.repeat(32),
    kind: 'VirtualService',
  };
  const reads = routesOfConsole().filter(
    ({ method, path }) => method === 'GET' && !/events|tap$/.test(path),
  );
  test.each(reads.map((route) => [route.path] as const))('%s', async (path) => {
    await using rig = startConsoleRig();
    const isObject = path.startsWith('/api/v1/config/{');
    const address = path.replace(/\{(\w+)\}/g, (_, name: string) =>
      isObject && name === 'name'
        ? 'only-web'
        : isObject && name === 'kind'
          ? 'AuthorizationPolicy'
          : VALUES[name],
    );
    const response = await rig.ask(
      path.endsWith('/series') ? `${address}?node=workload/shop/cart` : address,
    );
    expect(response.status).toBe(200);
    const operation = DOCUMENT.paths[path].get as {
      responses: { 200: { content: { 'application/json': { schema: Schema } } } };
    };
    const schema = inlined(
      operation.responses[200].content['application/json'].schema,
    ) as KubeSchema;
    expect(validateValue(schema, await response.json())).toEqual([]);
    const refused = await rig.ask(`${address}?nonsense=1`);
    expect(validateValue(inlined(schemas.ErrorAnswer) as KubeSchema, await refused.json())).toEqual(
      [],
    );
  });
});

describe('schemasOf', () => {
  test('reads what the files use', () => {
    const text = `
      /** A thing. */
      export interface B extends Omit<A, 'gone'> { readonly list: readonly (number | null)[]; readonly of: Readonly<Record<'x' | 'y', A>>; }
      export interface A { /** Kept. */ readonly kept?: string; readonly gone: boolean; readonly in: { readonly deep: 'one' | 'two' }; }
      export type Kind = 'p' | 'q';`;
    expect(schemasOf([text])).toMatchObject({
      B: {
        description: 'A thing.',
        properties: {
          kept: { type: 'string', description: 'Kept.' },
          list: { type: 'array', items: { type: 'number', nullable: true } },
          of: { additionalProperties: { $ref: '#/components/schemas/A' } },
          in: { properties: { deep: { enum: ['one', 'two'] } } },
        },
        required: ['in', 'list', 'of'],
      },
      Kind: { type: 'string', enum: ['p', 'q'] },
    });
  });

  test.each(['export type A = keyof B;', 'export interface A { readonly a: string'])(
    'refuses %p',
    (text) => {
      expect(() => schemasOf([text])).toThrow();
    },
  );
});
