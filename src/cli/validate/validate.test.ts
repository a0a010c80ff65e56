import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseManifests } from '#kube/manifests.ts';
import { validateManifests } from './validate.ts';

const judge = (text: string, namespace?: string) =>
  validateManifests(parseManifests(text, 'a.yaml'), { namespace });

const saidOf = (text: string) =>
  judge(text).flatMap(({ findings }) =>
    findings.map(({ layer, level, path, message }) => `${layer} ${level} ${path}: ${message}`),
  );

const ROUTE = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web}}]}]
`;

const WIDGETS = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
`;
const WIDGET = `
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
spec: {size: large}
`;

describe('a document by itself', () => {
  const rows: [string, string, string[]][] = [
    ['a right one', ROUTE, []],
    [
      'a misspelt member',
      ROUTE.replace('hosts:', 'hostz:'),
      ['schema error spec.hostz: unknown field'],
    ],
    [
      'a wrong type: the mesh’s own rules do not read it',
      ROUTE.replace('[web]', '7'),
      [
        'schema error spec.hosts: Invalid value: "integer": spec.hosts in body must be of type array: "integer"',
      ],
    ],
    [
      'what only the mesh refuses',
      ROUTE.replace('route: [', 'redirect: {uri: /}, route: ['),
      ['semantic error spec.http[0].route: route and redirect exclude each other'],
    ],
    [
      'a bad name',
      ROUTE.replace('name: web', 'name: Web'),
      [
        expect.stringMatching(
          /^schema error metadata\.name: Invalid value: "Web": a lowercase RFC/,
        ),
      ],
    ],
    [
      'a version that its group does not have',
      ROUTE.replace('io/v1', 'io/v2'),
      ['schema error apiVersion: there is no VirtualService in networking.istio.io/v2'],
    ],
    [
      'a kind that its group does not have',
      ROUTE.replace('VirtualService', 'VirtualServce'),
      ['schema error kind: there is no kind VirtualServce in networking.istio.io/v1'],
    ],
    [
      'a kind that Kubernetes does not have',
      'apiVersion: apps/v1\nkind: Deploiment\nmetadata: {name: x}\n',
      ['schema error kind: there is no kind Deploiment in apps/v1'],
    ],
    [
      'a version of Kubernetes that is not modelled',
      'apiVersion: autoscaling/v2beta2\nkind: HorizontalPodAutoscaler\nmetadata: {name: x}\n',
      [
        'schema warning kind: nothing is known of HorizontalPodAutoscaler in autoscaling/v2beta2: it was not checked',
      ],
    ],
    [
      'a kind of Kubernetes that the lab does not serve',
      'apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: x}\nspec: {replicas: many}\n',
      [
        'schema error spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
        'schema error spec.selector: Required value',
        'schema error spec.template: Required value',
      ],
    ],
    [
      'a kind that nobody here knows',
      WIDGET,
      ['schema warning kind: nothing is known of Widget in example.com/v1: it was not checked'],
    ],
    [
      'the same with its definition, which may stand behind it',
      `${WIDGET}---${WIDGETS}`,
      [
        'schema error spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
      ],
    ],
    [
      'a definition that is not structural',
      WIDGETS.replace('size: {type: integer}', 'size: {}'),
      [expect.stringContaining('.properties[size].type: Required value')],
    ],
  ];
  for (const [title, text, want] of rows)
    test(title, () => expect(saidOf(text).sort()).toEqual([...want].sort()));
});

test('rows are in the order of the documents, with where they stand and whose namespace they are in', () => {
  const rows = judge(
    `${ROUTE}---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---${ROUTE.replace(', namespace: shop', '')}`,
    'other',
  );
  expect(
    rows.map(({ index, kind, namespace, name, valid, reference }) => [
      index,
      kind,
      namespace,
      name,
      valid,
      reference,
    ]),
  ).toEqual([
    [0, 'VirtualService', 'shop', 'web', true, 'a.yaml:2'],
    [1, 'Namespace', undefined, 'shop', true, 'a.yaml:9'],
    [2, 'VirtualService', 'other', 'web', true, 'a.yaml:13'],
  ]);
});

describe('the command', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-validate-'));
  const run = (text: string, ...args: string[]) => {
    const file = join(directory, 'a.yaml');
    writeFileSync(file, text);
    const child = Bun.spawnSync(['./tulle', 'validate', '-f', file, ...args]);
    return {
      status: child.exitCode,
      text: child.stdout.toString(),
      errors: child.stderr.toString(),
    };
  };
  const IDLE_FAULT = ROUTE.replace('http: [{', 'http: [{fault: {abort: {httpStatus: 500}}, ');

  test('says each finding with its place and its remedy, counts, and ends with 1', () => {
    const { status, text } = run(ROUTE.replace('hosts:', 'hostz:'));
    expect(status).toBe(1);
    expect(text.replace(directory, '')).toStartWith(
      '/a.yaml:2  VirtualService shop/web\n  error    spec.hostz: unknown field\n           try: correct its name',
    );
    expect(text).toEndWith('\ninvalid: 1 of 1 document\n');
  }, 30_000);

  test('ends with 0 when nothing reaches the threshold', () => {
    expect(run(ROUTE)).toEqual({ status: 0, text: 'valid: 1 document\n', errors: '' });
    expect(run(WIDGET).status).toBe(0);
    expect(run(WIDGET, '--failure-threshold', 'Warning').status).toBe(1);
    expect(run(WIDGET, '--failure-threshold', 'worse')).toEqual({
      status: 2,
      text: '',
      errors: 'error: --failure-threshold worse: error, warning or info\n',
    });
  }, 30_000);

  test('prints rows as JSON', () => {
    const { status, text } = run(IDLE_FAULT, '-o', 'json');
    expect(status).toBe(0);
    const [{ valid, findings }] = JSON.parse(text);
    expect(valid).toBe(true);
    expect(findings).toEqual([
      {
        layer: 'semantic',
        level: 'warning',
        path: 'spec.http[0].fault.abort.percentage',
        message: 'no request is aborted without percentage',
        hint: 'set percentage, or remove the abort',
      },
    ]);
    rmSync(directory, { recursive: true });
  }, 30_000);
});
