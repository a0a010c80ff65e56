import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { Schema } from '#config/schema/schema.ts';
import type { ApiObject, JsonObject } from '#kube/meta/object.ts';
import { applyObject } from './apply.ts';
import { decodeFields, encodeFields, equalSets, paths } from './field-set.ts';
import { trackUpdate } from './track.ts';
import { fieldsOf } from './typed-value.ts';

const item: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    protocol: { type: 'string', default: 'TCP' },
    port: { type: 'integer' },
  },
};
const schema: Schema = {
  type: 'object',
  properties: {
    metadata: {
      type: 'object',
      properties: { labels: { type: 'object', additionalProperties: { type: 'string' } } },
    },
    spec: {
      type: 'object',
      properties: {
        replicas: { type: 'integer' },
        paused: { type: 'boolean' },
        ports: {
          type: 'array',
          items: item,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name', 'protocol'],
        },
        finalizers: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        http: { type: 'array', items: { type: 'object' } },
      },
    },
  },
};

const kind = { group: 'apps', version: 'v1', kind: 'Thing', resource: 'things', namespaced: true };

function object(spec: JsonObject, labels?: Record<string, string>): ApiObject {
  const metadata = { name: 'x', ...(labels === undefined ? {} : { labels }) };
  return { apiVersion: 'apps/v1', kind: 'Thing', metadata, spec };
}

function apply(live: ApiObject | undefined, patch: ApiObject, manager: string, force = false) {
  return applyObject(schema, {
    kind,
    live,
    patch,
    manager,
    force,
    subresource: '',
    time: '2026-01-01T00:00:00Z',
  });
}

function applied(
  live: ApiObject | undefined,
  patch: ApiObject,
  manager: string,
  force = false,
): ApiObject {
  const result = apply(live, patch, manager, force);
  if ('conflicts' in result) throw new Error(JSON.stringify(result.conflicts));
  return result.object;
}

function update(live: ApiObject | undefined, updated: ApiObject, manager: string): ApiObject {
  const request = {
    kind,
    live,
    updated,
    manager,
    operation: 'Update' as const,
    subresource: '',
    time: '2026-01-02T00:00:00Z',
  };
  return trackUpdate(schema, request);
}

function ownersOf(value: ApiObject): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const entry of value.metadata.managedFields ?? []) {
    found[`${entry.manager}/${entry.operation}`] = [...paths(decodeFields(entry.fieldsV1))].map(
      (path) => path.join(' '),
    );
  }
  return found;
}

describe('applyObject', () => {
  test('creates an object owned by its applier', () => {
    const made = applied(undefined, object({ replicas: 1 }), 'a');
    expect(made.spec).toEqual({ replicas: 1 });
    expect(ownersOf(made)).toEqual({ 'a/Apply': ['f:spec f:replicas'] });
  });

  test('removes a field that its applier drops', () => {
    const made = applied(undefined, object({ replicas: 1, paused: true }), 'a');
    expect(applied(made, object({ replicas: 1 }), 'a').spec).toEqual({ replicas: 1 });
  });

  test('keeps a dropped field that another applier shares', () => {
    const shared = applied(
      applied(undefined, object({ paused: true }), 'a'),
      object({ paused: true }),
      'b',
    );
    const left = applied(shared, object({}), 'a');
    expect(left.spec).toEqual({ paused: true });
    expect(ownersOf(left)['b/Apply']).toEqual(['f:spec f:paused']);
  });

  test('refuses to change what another manager owns, in the words of Kubernetes', () => {
    const made = update(undefined, object({ http: [{ a: 1 }] }), 'kubectl-client-side-apply');
    expect(apply(made, object({ http: [{ a: 2 }] }), 'kubectl')).toEqual({
      conflicts: [
        {
          manager: 'kubectl-client-side-apply',
          field: '.spec.http',
          message: 'conflict with "kubectl-client-side-apply" using apps/v1',
        },
      ],
    });
  });

  test('takes the field over when forced', () => {
    const made = update(undefined, object({ replicas: 1 }), 'kubectl');
    const forced = applied(made, object({ replicas: 2 }), 'b', true);
    expect(forced.spec).toEqual({ replicas: 2 });
    expect(ownersOf(forced)).toEqual({ 'b/Apply': ['f:spec f:replicas'] });
  });

  test('merges keyed lists by key, with the default of a missing key', () => {
    const first = applied(undefined, object({ ports: [{ name: 'a', port: 1 }] }), 'a');
    const both = applied(first, object({ ports: [{ name: 'b', protocol: 'UDP', port: 2 }] }), 'b');
    expect(both.spec).toEqual({
      ports: [
        { name: 'a', port: 1 },
        { name: 'b', protocol: 'UDP', port: 2 },
      ],
    });
    expect(apply(both, object({ ports: [{ name: 'a', protocol: 'TCP', port: 9 }] }), 'c')).toEqual({
      conflicts: [
        {
          manager: 'a',
          field: '.spec.ports[name="a",protocol="TCP"].port',
          message: 'conflict with "a"',
        },
      ],
    });
    expect(applied(both, object({}), 'b').spec).toEqual({ ports: [{ name: 'a', port: 1 }] });
  });

  test('unites sets', () => {
    const first = applied(undefined, object({ finalizers: ['a'] }), 'a');
    const both = applied(first, object({ finalizers: ['b'] }), 'b');
    expect(both.spec).toEqual({ finalizers: ['a', 'b'] });
    expect(applied(both, object({}), 'a').spec).toEqual({ finalizers: ['b'] });
  });
});

describe('trackUpdate', () => {
  test('moves ownership to whoever changes a field', () => {
    const made = applied(undefined, object({ replicas: 1, paused: true }), 'a');
    const scaled = update(made, { ...made, spec: { replicas: 3, paused: true } }, 'hpa');
    expect(ownersOf(scaled)).toEqual({
      'a/Apply': ['f:spec f:paused'],
      'hpa/Update': ['f:spec f:replicas'],
    });
  });

  test('forgets owners of removed fields', () => {
    const made = update(undefined, object({ replicas: 1, paused: true }), 'a');
    const cut = update(made, { ...made, spec: { replicas: 1 } }, 'b');
    expect(ownersOf(cut)).toEqual({ 'a/Update': ['f:spec f:replicas'] });
  });

  test('changes nothing when nothing changed', () => {
    const made = update(undefined, object({ replicas: 1 }), 'a');
    expect(update(made, made, 'b')).toEqual(made);
  });

  test('honours managedFields that the client wrote: the move from client-side to server-side apply', () => {
    const made = update(
      undefined,
      object({ replicas: 1, paused: true }),
      'kubectl-client-side-apply',
    );
    const entries = (made.metadata.managedFields ?? []).map((entry) => ({
      ...entry,
      manager: 'kubectl',
      operation: 'Apply' as const,
    }));
    const moved = update(
      made,
      { ...made, metadata: { ...made.metadata, managedFields: entries } },
      'x',
    );
    expect(ownersOf(moved)).toEqual({ 'kubectl/Apply': ['f:spec f:paused', 'f:spec f:replicas'] });
    expect(applied(moved, object({ replicas: 1 }), 'kubectl').spec).toEqual({ replicas: 1 });
  });

  test('forgets all owners on [{}]', () => {
    const made = update(undefined, object({ replicas: 1 }), 'a');
    const reset = update(
      made,
      { ...made, metadata: { ...made.metadata, managedFields: [{}] } },
      'a',
    );
    expect(reset.metadata.managedFields).toBeUndefined();
  });
});

const specs = fc.record(
  {
    replicas: fc.integer({ min: 0, max: 3 }),
    paused: fc.boolean(),
    ports: fc.uniqueArray(
      fc.record({ name: fc.constantFrom('a', 'b', 'c'), port: fc.integer({ min: 1, max: 3 }) }),
      { selector: (port) => port.name },
    ),
    finalizers: fc.uniqueArray(fc.constantFrom('f', 'g', 'h')),
    http: fc.array(fc.record({ n: fc.integer({ min: 0, max: 2 }) }), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);

describe('properties of apply', () => {
  test('applying twice is applying once', () => {
    fc.assert(
      fc.property(specs, specs, (base, spec) => {
        const live = update(undefined, object(base), 'base');
        const once = applied(live, object(spec), 'a', true);
        expect(applied(once, object(spec), 'a')).toEqual(once);
      }),
    );
  });

  test('an applier can always take back all that it alone applied', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const made = applied(undefined, object(spec), 'a');
        const gone = applied(made, object({}), 'a').spec ?? {};
        expect(gone).toEqual({});
      }),
    );
  });

  test('disjoint owners commute', () => {
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), (replicas, paused) => {
        const left = applied(
          applied(undefined, object({ replicas }), 'a'),
          object({ paused }),
          'b',
        );
        const right = applied(
          applied(undefined, object({ paused }), 'b'),
          object({ replicas }),
          'a',
        );
        expect(left.spec).toEqual(right.spec);
        expect(ownersOf(left)).toEqual(ownersOf(right));
      }),
    );
  });

  test('FieldsV1 survives writing and reading', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const set = fieldsOf(schema, object(spec));
        expect(equalSets(decodeFields(encodeFields(set)), set)).toBe(true);
      }),
    );
  });
});
