import { describe, expect, test } from 'bun:test';
import { readDeclarations } from './declaration-reader.ts';
import { gatewayModel, istioModel, kubernetesModel, modelNames } from './model-names.ts';
import { createModelSource } from './model-source.ts';
import { readValidators } from './validator-reader.ts';

const HEAD = '(data,{instancePath="",parentData,parentDataProperty,rootData=data}={}){';
const fault = (keyword: string, params: string) =>
  `schemaPath:"#/x",keyword:"${keyword}",params:{${params}}`;

describe('readValidators', () => {
  const body = (name: string, text: string) =>
    `function ${name}${HEAD}${text};return ${name}.errors=vErrors,0===errors}`;

  test('reads limits, also those the minifier shortened or that hold braces', () => {
    const source = `export const validate=validate0;${body(
      'validate0',
      [
        fault('type', 'type:"integer"'),
        fault('maximum', 'comparison:"<=",limit:0xffffffff'),
        fault('minimum', 'comparison:">=",limit:.5'),
        fault('pattern', 'pattern:"^a{1,2}\\\\.$"'),
      ].join(),
    )}`;
    expect(readValidators(source).root).toEqual({
      type: 'integer',
      maximum: 4294967295,
      minimum: 0.5,
      pattern: '^a{1,2}\\.$',
    });
  });

  test('follows members, items, map values and references', () => {
    const call = (callee: string, place: string) => `${callee}(data${place},{instancePath`;
    const source = [
      'import{validate as validate9}from"./Other.js";export const validate=validate0;',
      body('validate1', fault('type', 'type:"string"')),
      body('validate2', `${fault('type', 'type:"array"')}${call('validate1', '[i0]')}`),
      body('validate3', `${fault('type', 'type:"object"')}${call('validate9', '[key0]')}`),
      body(
        'validate0',
        `${fault('required', 'missingProperty:"a"')}${call('validate1', '.a')}${call('validate2', '["b-c"]')}${call('validate3', '.d')}`,
      ),
    ].join('');
    const file = readValidators(source);
    expect(file.root).toEqual({
      required: ['a'],
      properties: {
        a: { type: 'string' },
        'b-c': { type: 'array', items: { type: 'string' } },
        d: { type: 'object', additionalProperties: {} },
      },
    });
    expect(file.references.map((reference) => reference.file)).toEqual(['./Other.js']);
  });
});

describe('readDeclarations', () => {
  test('keys descriptions by the path of names', () => {
    const source = [
      '/**',
      ' * The \\*type\\*.',
      ' */',
      'export interface IThing {',
      '    /**',
      '     * The spec.',
      '     */',
      '    "spec"?: {',
      '        "list": Array<{',
      '            /**',
      '             * A name.',
      '             */',
      '            "name": string;',
      '        }>;',
      '    };',
      '}',
    ].join('\n');
    expect(readDeclarations(source)).toEqual({
      type: 'The *type*.',
      members: new Map([
        ['spec', 'The spec.'],
        ['spec list name', 'A name.'],
      ]),
    });
  });
});

describe('createModelSource', () => {
  const models = createModelSource(modelNames);

  test('reads kinds of all three packages with types, limits and descriptions', () => {
    const route = models.load(istioModel('networking.istio.io', 'v1', 'VirtualService'));
    const http = route.properties?.spec.properties?.http;
    expect(http?.type).toBe('array');
    expect(http?.description).toContain('HTTP');
    const hostname = models.load(gatewayModel('v1', 'Hostname'));
    expect({ type: hostname.type, maxLength: hostname.maxLength }).toEqual({
      type: 'string',
      maxLength: 253,
    });
    const id = kubernetesModel('io.k8s.api.core.v1.ServicePort');
    expect(id === undefined ? undefined : models.load(id).required).toEqual(['port']);
  });
});
