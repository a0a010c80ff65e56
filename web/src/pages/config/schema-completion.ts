/** What may be written at a place of a manifest, by its kind's JSON schema: keys that are missing, values of enumerations. Pure. */
import type { FieldPath, YamlPlace } from './yaml-place.ts';

export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly $ref?: string;
  readonly definitions?: Readonly<Record<string, JsonSchema>>;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

export interface Completion {
  readonly label: string;
  /** Written in its place. */
  readonly apply: string;
  readonly detail: string;
  readonly info: string;
  readonly isRequired: boolean;
}

const DEPTH_MAX = 24;

/** All branches that may hold at the path. */
export function schemasAt(root: JsonSchema, path: FieldPath): JsonSchema[] {
  return path.reduce<JsonSchema[]>(
    (here, part) =>
      here.flatMap((schema) => {
        if (typeof part === 'number') return schema.items ? branches(root, schema.items) : [];
        const next = schema.properties?.[part] ?? schema.additionalProperties;
        return typeof next === 'object' ? branches(root, next) : [];
      }),
    branches(root, root),
  );
}

function branches(root: JsonSchema, schema: JsonSchema, depth = 0): JsonSchema[] {
  if (depth > DEPTH_MAX) return [];
  const referred = schema.$ref === undefined ? [] : branchesOf(root, schema.$ref, depth);
  const inner = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return [schema, ...referred, ...inner.flatMap((each) => branches(root, each, depth + 1))];
}

function branchesOf(root: JsonSchema, reference: string, depth: number): JsonSchema[] {
  const name = reference.split('/').at(-1)!;
  const target = root.definitions?.[name] ?? root.$defs?.[name];
  return target === undefined ? [] : branches(root, target, depth + 1);
}

/** `present` are keys that the object has already. */
export function completionsAt(
  root: JsonSchema,
  place: YamlPlace,
  present: ReadonlySet<string>,
): Completion[] {
  if (place.isValue) return valueCompletions(schemasAt(root, [...place.parent, place.key]));
  const found = new Map<string, Completion>();
  for (const schema of schemasAt(root, place.parent))
    for (const [key, raw] of Object.entries(schema.properties ?? {})) {
      if (found.has(key) || (present.has(key) && key !== place.key)) continue;
      const all = branches(root, raw);
      const type = all.map(typeOf).find((each) => each !== '') ?? '';
      found.set(key, {
        label: key,
        apply: `${key}:${continuation(type, place.indent)}`,
        detail: type,
        info: all.map((each) => each.description ?? '').find((each) => each !== '') ?? '',
        isRequired: schema.required?.includes(key) ?? false,
      });
    }
  return [...found.values()].sort(
    (a, b) => Number(b.isRequired) - Number(a.isRequired) || a.label.localeCompare(b.label),
  );
}

function typeOf({ type, enum: values, properties, items }: JsonSchema): string {
  if (values !== undefined) return 'one of';
  if (typeof type === 'string') return type;
  if (type !== undefined) return type.find((each) => each !== 'null') ?? '';
  if (properties !== undefined) return 'object';
  return items === undefined ? '' : 'array';
}

function continuation(type: string, indent: number): string {
  const deeper = ' '.repeat(indent + 2);
  if (type === 'object') return `\n${deeper}`;
  return type === 'array' ? `\n${deeper}- ` : ' ';
}

function valueCompletions(schemas: readonly JsonSchema[]): Completion[] {
  const values = schemas.flatMap(
    (schema) => schema.enum ?? (typeOf(schema) === 'boolean' ? [true, false] : []),
  );
  return [...new Set(values.map(String))].map((label) => ({
    label,
    apply: label,
    detail: '',
    info: '',
    isRequired: false,
  }));
}
