/** The text of an object, judged: as YAML, by its kind's schema, and by what compiles it; each finding with its line. */
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import type { Schema } from '#config/schema/schema.ts';
import { validateValue } from '#config/schema/validate.ts';
import { loadCrds } from '#crds/crd-cache.ts';
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import type { Finding } from '../api/config.ts';
import { refOf } from '../config-kinds.ts';
import type { ConsoleDeps } from './console-deps.ts';

export interface JudgedText {
  /** Undefined: the text is no object. */
  readonly object: (KubeObject & { spec?: object }) | undefined;
  readonly findings: readonly Finding[];
}

const INVALID = 'IST0106';

export function judgeText(text: string, judge: ConsoleDeps['judge']): JudgedText {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines }) as Document.Parsed[];
  const [document, ...others] = documents.filter(({ contents }) => contents !== null);
  if (document === undefined) return nothing('the text is empty', 'write one object');
  const broken = [...document.errors, ...others.flatMap(({ errors }) => errors)][0];
  if (broken !== undefined) {
    const [first] = broken.message.split('\n');
    return nothing(first.replace(/ at line.*$/, ''), 'correct the YAML', broken.linePos?.[0].line);
  }
  if (others.length > 0)
    return nothing(`${others.length + 1} objects are in the text`, 'give one at a time');
  const object = objectIn(document);
  if (typeof object === 'string')
    return nothing(object, 'write apiVersion, kind, metadata.name and spec');
  const ref = refOf(object);
  if (ref === undefined)
    return nothing(
      `${object.apiVersion} ${object.kind} does not configure the mesh`,
      'GET /api/v1/config lists the kinds in use',
    );
  const namespace = object.metadata.namespace;
  const resource = `${object.kind} ${namespace === undefined ? '' : `${namespace}/`}${object.metadata.name}`;
  const bySchema = schemaFindings(object, ref, resource);
  // What has the wrong shape cannot be compiled, and would be said twice.
  const all = bySchema.length > 0 ? bySchema : (judge(object) ?? []);
  return { object, findings: all.map((finding) => withLine(finding, document, lines)) };
}

function nothing(message: string, hint: string, line?: number): JudgedText {
  const finding = { code: INVALID, level: 'error', message, resource: '', path: '', hint } as const;
  return { object: undefined, findings: [{ ...finding, ...(line !== undefined && { line }) }] };
}

function objectIn(document: Document.Parsed): KubeObject | string {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return `the text cannot be read: ${String(error).slice(0, 100)}`;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return 'the text is no object';
  const { apiVersion, kind, metadata } = value as Partial<KubeObject>;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string')
    return 'apiVersion or kind is missing';
  if (typeof metadata !== 'object' || metadata === null || typeof metadata.name !== 'string')
    return 'metadata.name is missing';
  return value as KubeObject;
}

function schemaFindings(object: KubeObject, ref: ResourceRef, resource: string): Finding[] {
  const schema = openApiSchema(ref, object.apiVersion.split('/')[1]);
  if (schema === undefined) return [];
  return validateValue(schema, object).map(({ field, message }) => ({
    code: INVALID,
    level: 'error',
    message,
    resource,
    path: field,
    hint: 'correct the field',
  }));
}

function withLine(finding: Finding, document: Document.Parsed, lines: LineCounter): Finding {
  const offset = offsetOf(document, finding.path);
  return offset === undefined ? finding : { ...finding, line: lines.linePos(offset).line };
}

/** Where the member stands, or the nearest one above it that is there. */
function offsetOf(document: Document.Parsed, path: string): number | undefined {
  const keys = [...path.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map(([, name, index]) =>
    index === undefined ? name : Number(index),
  );
  for (let length = keys.length; length > 0; length--) {
    const parent = document.getIn(keys.slice(0, length - 1), true) ?? document.contents;
    const last = keys[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && key.value === last);
      if (isScalar(pair?.key)) return pair.key.range?.[0];
    }
    const node = document.getIn(keys.slice(0, length), true) as
      | { range?: [number, number, number] }
      | undefined;
    if (node?.range !== undefined) return node.range[0];
  }
  return undefined;
}

/** JSON schema for completion in an editor. */
export function schemaOf(ref: ResourceRef): object | undefined {
  const schema = openApiSchema(ref);
  if (schema === undefined) return undefined;
  const { properties = {} } = schema as { properties?: Record<string, Schema> };
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: ref.kind,
    ...schema,
    type: 'object',
    required: ['apiVersion', 'kind', 'metadata'],
    properties: {
      ...properties,
      apiVersion: { type: 'string', const: `${ref.group}/${ref.version}` },
      kind: { type: 'string', const: ref.kind },
      metadata: METADATA_SCHEMA,
    },
  };
}

const TEXTS = { type: 'object', additionalProperties: { type: 'string' } };
const METADATA_SCHEMA = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string' },
    namespace: { type: 'string' },
    labels: TEXTS,
    annotations: TEXTS,
  },
};

let crds: ReturnType<typeof loadCrds> | undefined;

function openApiSchema(ref: ResourceRef, version = ref.version): Schema | undefined {
  crds ??= loadCrds();
  const crd = crds.find(({ spec }) => spec.group === ref.group && spec.names.kind === ref.kind);
  return crd?.spec.versions.find(({ name }) => name === version)?.schema?.openAPIV3Schema;
}
