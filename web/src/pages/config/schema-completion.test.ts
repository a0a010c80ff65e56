import { describe, expect, test } from 'bun:test';
import { completionsAt, type JsonSchema } from './schema-completion.ts';
import { placeAt } from './yaml-place.ts';

const schema: JsonSchema = {
  type: 'object',
  properties: {
    kind: { type: 'string', enum: ['PeerAuthentication'] },
    spec: {
      type: 'object',
      required: ['mtls'],
      properties: {
        mtls: { $ref: '#/definitions/Mtls' },
        action: { anyOf: [{ enum: ['ALLOW', 'DENY'] }, { type: 'integer' }] },
        rules: {
          type: 'array',
          items: {
            oneOf: [
              { properties: { from: { type: 'array' } } },
              { properties: { to: { type: 'array' } } },
            ],
          },
        },
        isOn: { type: 'boolean' },
        portLevel: { type: 'object', additionalProperties: { $ref: '#/definitions/Mtls' } },
        loop: { $ref: '#/definitions/Loop' },
      },
    },
  },
  definitions: {
    Mtls: {
      type: 'object',
      description: 'How peers authenticate.',
      properties: { mode: { enum: ['STRICT', 'PERMISSIVE'] } },
    },
    Loop: { $ref: '#/definitions/Loop' },
  },
};

const at = (text: string, present: string[] = []) =>
  completionsAt(schema, placeAt(text.replace('|', ''), text.indexOf('|')), new Set(present));
const labels = (text: string, present: string[] = []) =>
  at(text, present).map((each) => each.label);

describe('completionsAt', () => {
  test('completionsAt lists the keys of the object, required ones first, without those it has', () => {
    expect(labels('spec:\n  |', ['isOn'])).toEqual([
      'mtls',
      'action',
      'loop',
      'portLevel',
      'rules',
    ]);
  });

  test('completionsAt continues an object and a list on the next line', () => {
    const [mtls, , , , rules] = at('spec:\n  |', ['isOn']);
    expect(mtls).toMatchObject({
      apply: 'mtls:\n    ',
      detail: 'object',
      info: 'How peers authenticate.',
      isRequired: true,
    });
    expect(rules.apply).toBe('rules:\n    - ');
  });

  test('completionsAt offers the values of an enumeration and of a boolean', () => {
    expect(labels('spec:\n  mtls:\n    mode: |')).toEqual(['STRICT', 'PERMISSIVE']);
    expect(labels('spec:\n  action: |')).toEqual(['ALLOW', 'DENY']);
    expect(labels('spec:\n  isOn: |')).toEqual(['true', 'false']);
    expect(labels('spec:\n  portLevel:\n    8080:\n      mode: |')).toEqual([
      'STRICT',
      'PERMISSIVE',
    ]);
  });

  test('completionsAt of several branches offers the keys of all', () => {
    expect(labels('spec:\n  rules:\n    - |')).toEqual(['from', 'to']);
  });

  test('completionsAt of a schema that refers to itself ends', () => {
    expect(labels('spec:\n  loop:\n    |')).toEqual([]);
  });
});
