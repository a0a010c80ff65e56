import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiObject, JsonObject } from '#kube/meta/object.ts';
import { cloneJson } from '#kube/meta/object.ts';
import type { OpenApiKind, SchemaKind } from '../schema-provider.ts';
import { createSchemaProvider } from './provider.ts';

const provider = createSchemaProvider();
for (const crd of provider.builtinCrds()) expect(provider.addCrd(crd)).toEqual([]);

function kindOf(object: ApiObject): SchemaKind {
  const [group, version] = object.apiVersion.includes('/')
    ? object.apiVersion.split('/')
    : ['', object.apiVersion];
  return { group, version, kind: object.kind, resource: '', namespaced: true };
}

function admit(given: ApiObject, old?: ApiObject): string[] {
  const object = cloneJson(given);
  const kind = kindOf(object);
  const unknown = provider.unknownFields(kind, object, true).map((path) => `unknown ${path}`);
  provider.applyDefaults(kind, object);
  const findings = provider.validate(kind, object, old);
  return [...unknown, ...findings.map(({ field, message }) => `${field}: ${message}`)];
}

function istio(kind: string, spec: JsonObject, apiVersion = 'networking.istio.io/v1'): ApiObject {
  return { apiVersion, kind, metadata: { name: 'x' }, spec };
}

const rows: { title: string; object: ApiObject; want: string[] }[] = [
  {
    title: 'a LocalRateLimit and its defaults',
    object: istio(
      'LocalRateLimit',
      {
        targetRefs: [{ kind: 'Service', name: 'p' }],
        limits: [{ requests: 1, unit: 'Second' }],
      },
      'tulle.dev/v1',
    ),
    want: [],
  },
  {
    title: 'a LocalRateLimit with a key Header without header, and a route of a Service',
    object: istio(
      'LocalRateLimit',
      {
        targetRefs: [{ kind: 'Service', name: 'p', sectionName: 'r' }],
        limits: [{ requests: 0, unit: 'Week', key: 'Header' }],
      },
      'tulle.dev/v1',
    ),
    want: [
      'spec.limits[0].requests: Invalid value: 0: spec.limits[0].requests in body should be greater than or equal to 1',
      'spec.limits[0].unit: Unsupported value: "Week": supported values: "Second", "Minute", "Hour", "Day"',
      'spec.targetRefs[0]: Invalid value: "object": sectionName names a route: only VirtualService, HTTPRoute and GRPCRoute have some',
      'spec.limits[0]: Invalid value: "object": header goes with key Header, and key Header with it',
    ],
  },
  {
    title: 'a LoadShedding that sheds nothing',
    object: istio('LoadShedding', { targetRefs: [{ kind: 'Service', name: 'p' }] }, 'tulle.dev/v1'),
    want: [
      'spec: Invalid value: "object": one of maxRequests, adaptive and eventLoopLag is needed',
    ],
  },
  {
    title: 'a VirtualService of every version',
    object: istio(
      'VirtualService',
      { hosts: ['a'], http: [{ timeout: '1s' }] },
      'networking.istio.io/v1beta1',
    ),
    want: [],
  },
  {
    title: 'unknown members are named',
    object: istio('VirtualService', { hostz: ['a'], http: [{ rooute: [] }] }),
    want: ['unknown spec.hostz', 'unknown spec.http[0].rooute'],
  },
  {
    title: 'a missing host',
    object: istio('DestinationRule', {}),
    want: ['spec.host: Required value'],
  },
  {
    title: 'a duration that is none',
    object: istio('VirtualService', { http: [{ timeout: 'soon' }] }),
    want: [
      'spec.http[0].timeout: Invalid value: "string": Failed to parse duration: invalid syntax evaluating rule: must be a valid duration greater than 1ms',
    ],
  },
  {
    title: 'two matchers at once',
    object: istio('VirtualService', { http: [{ match: [{ uri: { exact: '/', prefix: '/' } }] }] }),
    want: [
      'spec.http[0].match[0].uri: Invalid value: "": "spec.http[0].match[0].uri" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
  },
  {
    title: 'a Pod without containers',
    object: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: {} },
    want: ['spec.containers: Required value'],
  },
  {
    title: 'a misspelt member of a Pod',
    object: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'x', label: {} } as unknown as ApiObject['metadata'],
      spec: { containers: [{ name: 'c', imag: 'x' }] },
    },
    want: ['unknown metadata.label', 'unknown spec.containers[0].imag'],
  },
  {
    title: 'nulls of built-in kinds count as absent',
    object: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'x' },
      spec: {
        replicas: null,
        selector: {},
        template: { metadata: { creationTimestamp: null }, spec: { containers: [] } },
      },
    },
    want: [],
  },
];

describe('createSchemaProvider', () => {
  for (const row of rows) test(row.title, () => expect(admit(row.object)).toEqual(row.want));

  test('fills the defaults of Gateway API', () => {
    const route = istio(
      'HTTPRoute',
      { parentRefs: [{ name: 'g' }] },
      'gateway.networking.k8s.io/v1',
    );
    provider.applyDefaults(kindOf(route), route);
    expect(route.spec).toEqual({
      parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' }],
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }],
    });
  });

  test('keeps the controller of a GatewayClass', () => {
    const made = istio('GatewayClass', { controllerName: 'a.b/c' }, 'gateway.networking.k8s.io/v1');
    const changed = istio(
      'GatewayClass',
      { controllerName: 'a.b/d' },
      'gateway.networking.k8s.io/v1',
    );
    expect(admit(changed, made)).toEqual([
      'spec.controllerName: Invalid value: "string": field is immutable',
    ]);
  });

  test('serves a CRD of a user, and refuses one that is not structural', () => {
    const crd = (schema: JsonObject): ApiObject => ({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'widgets.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { kind: 'Widget', plural: 'widgets' },
        versions: [
          { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } },
        ],
      },
    });
    const size = { type: 'integer', minimum: 1 };
    const spec = { type: 'object', properties: { size } };
    expect(
      provider
        .addCrd(crd({ type: 'object', properties: { spec: {} } }))
        .map((finding) => finding.field),
    ).toEqual(['spec.versions[0].schema.openAPIV3Schema.properties[spec].type']);
    expect(provider.addCrd(crd({ type: 'object', properties: { spec } }))).toEqual([]);
    const widget = istio('Widget', { size: 0 }, 'example.com/v1');
    expect(admit(widget)).toEqual([
      'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
    ]);
    provider.removeCrd(crd({}));
    expect(admit(widget)).toEqual([]);
  });
});

const served: OpenApiKind[] = [
  ['', 'v1', 'Pod', 'pods'],
  ['apps', 'v1', 'Deployment', 'deployments'],
  ['networking.istio.io', 'v1', 'VirtualService', 'virtualservices'],
].map(([group, version, kind, resource]) => ({
  group,
  version,
  kind,
  resource,
  namespaced: true,
  subresources: ['status'],
  verbs: ['get', 'list', 'create', 'update', 'patch', 'delete'],
}));

/** Every reference of a document leads somewhere. */
function danglingReferences(document: unknown, definitions: JsonObject): string[] {
  const text = JSON.stringify(document);
  const names = [...text.matchAll(/"\$ref":"#\/(?:components\/schemas|definitions)\/([^"]+)"/g)];
  return names.map((match) => match[1]).filter((name) => !Object.hasOwn(definitions, name));
}

describe('OpenAPI', () => {
  test('v3 lists its groups and describes them without dangling references', () => {
    expect(Object.keys(provider.openApiV3Index(served).paths as JsonObject)).toEqual([
      'api/v1',
      'apis/apps/v1',
      'apis/networking.istio.io/v1',
    ]);
    const document = provider.openApiV3Group('api/v1', served) as JsonObject;
    const { schemas } = document.components as { schemas: Record<string, JsonObject> };
    expect(danglingReferences(document, schemas)).toEqual([]);
    const containers = (
      schemas['io.k8s.api.core.v1.PodSpec'].properties as Record<string, JsonObject>
    ).containers;
    expect(containers['x-kubernetes-patch-merge-key']).toBe('name');
    expect(String(containers.description)).toContain('List of containers');
    expect(schemas['io.k8s.api.core.v1.Pod']['x-kubernetes-group-version-kind']).toEqual([
      { group: '', version: 'v1', kind: 'Pod' },
    ]);
  });

  test('v3 says fieldValidation and dryRun, and offers strategic merge to built-in kinds only', () => {
    const patchOf = (path: string, item: string) => {
      const document = provider.openApiV3Group(path, served) as {
        paths: Record<string, JsonObject>;
      };
      return document.paths[item].patch as {
        parameters: { name: string }[];
        requestBody: { content: JsonObject };
      };
    };
    const deployment = patchOf(
      'apis/apps/v1',
      '/apis/apps/v1/namespaces/{namespace}/deployments/{name}',
    );
    expect(deployment.parameters.map(({ name }) => name)).toEqual([
      'dryRun',
      'fieldManager',
      'fieldValidation',
      'force',
    ]);
    const strategic = 'application/strategic-merge-patch+json';
    expect(Object.keys(deployment.requestBody.content)).toContain(strategic);
    const route = patchOf(
      'apis/networking.istio.io/v1',
      '/apis/networking.istio.io/v1/namespaces/{namespace}/virtualservices/{name}',
    );
    expect(Object.keys(route.requestBody.content)).not.toContain(strategic);
  });

  test('v2 has every kind in one document', () => {
    const document = provider.openApiV2(served) as { definitions: JsonObject };
    expect(danglingReferences(document, document.definitions)).toEqual([]);
    expect(Object.keys(document.definitions)).toContain('io.istio.networking.v1.VirtualService');
  });

  test('is undefined for a group that nobody serves', () => {
    expect(provider.openApiV3Group('apis/none/v1', served)).toBeUndefined();
  });
});

interface Case {
  id: string;
  expect: 'valid' | 'invalid';
  errorContains?: string | null;
  errorsContain?: string[];
  object: ApiObject;
}

const folder = process.env.TULLE_CASES ?? join(import.meta.dir, '../../../../shared/cases');

for (const file of ['validation-crd.json', 'validation-gateway-api.json']) {
  const path = join(folder, file);
  if (!existsSync(path)) {
    console.warn(`SKIPPED: ${file} is not at ${folder}; set TULLE_CASES to run these cases`);
    test.skip(`${file} (no cases at TULLE_CASES)`, () => undefined);
    continue;
  }
  describe(file, () => {
    for (const row of JSON.parse(readFileSync(path, 'utf8')) as Case[]) {
      test(row.id, () => {
        const found = admit(row.object).filter((text) => !text.startsWith('unknown '));
        if (row.expect === 'valid') {
          expect(found).toEqual([]);
          return;
        }
        expect(found.length).toBeGreaterThan(0);
        const wanted = row.errorsContain ?? (row.errorContains ? [row.errorContains] : []);
        const missing = wanted.filter((part) => !found.some((text) => text.includes(part)));
        expect({ missing, found: missing.length > 0 ? found : [] }).toEqual({
          missing: [],
          found: [],
        });
      });
    }
  });
}
