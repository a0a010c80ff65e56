/**
 * JSON values as CEL values, by schema: integers are int, numbers double, date-time a timestamp. Objects convert
 * member by member when a rule reads them, and every read is paid from a budget so that no rule runs for long.
 */
import { type CelInput, celList, celMap } from '@bufbuild/cel';
import { create, fromJson } from '@bufbuild/protobuf';
import { DurationSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { parseDuration } from '../duration.ts';
import { resolveSchema, type Schema } from '../schema.ts';

export class CelBudgetError extends Error {
  override readonly name = 'CelBudgetError';
}

/** Shared by all rules of one object. */
export class ReadBudget {
  #left: number;

  constructor(reads: number) {
    this.#left = reads;
  }

  spend(count: number): void {
    this.#left -= count;
    if (this.#left < 0) throw new CelBudgetError('operation cancelled: actual cost limit exceeded');
  }
}

type Value = Record<string, unknown>;

/** CEL keywords may not name a field: Kubernetes escapes them as `__namespace__`. */
const RESERVED = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

export function escapeField(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  const escaped = name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(escaped) ? escaped : undefined;
}

export function toCelValue(
  schema: Schema | undefined,
  value: unknown,
  budget: ReadBudget,
): CelInput {
  const node = schema === undefined ? undefined : resolveSchema(schema);
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') return fromText(node, value);
  if (typeof value === 'number') return fromNumber(node, value);
  if (Array.isArray(value)) {
    budget.spend(value.length);
    const items = value.map((item) => toCelValue(node?.items, item, budget));
    return celList(CountedArray.wrap(items, budget));
  }
  return celMap(new LazyMap(node, value as Value, budget));
}

function fromNumber(node: Schema | undefined, value: number): CelInput {
  if (node?.type === 'number') return value;
  return Number.isInteger(value) ? BigInt(value) : value;
}

function fromText(node: Schema | undefined, value: string): CelInput {
  if (node?.type !== 'string' || node.format === undefined) return value;
  if (node.format === 'date-time') return fromJson(TimestampSchema, value.replace(' ', 'T'));
  if (node.format === 'byte') return new Uint8Array(Buffer.from(value, 'base64'));
  if (node.format !== 'duration') return value;
  const total = parseDuration(value) ?? 0;
  const seconds = Math.trunc(total / 1e9);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: total - seconds * 1e9 });
}

/** Each pass over the list is paid for. */
class CountedArray extends Array<CelInput> {
  #budget: ReadBudget | undefined;

  static wrap(items: CelInput[], budget: ReadBudget): CountedArray {
    const array = new CountedArray();
    for (const item of items) array.push(item);
    array.#budget = budget;
    return array;
  }

  override values(): ArrayIterator<CelInput> {
    this.#budget?.spend(this.length);
    return super.values();
  }
}

/** Keys are member names as written in maps, escaped names in objects with properties. */
class LazyMap implements ReadonlyMap<string, CelInput> {
  readonly #node: Schema | undefined;
  readonly #budget: ReadBudget;
  readonly #members: Map<string, { schema: Schema | undefined; value: unknown }>;
  readonly #converted = new Map<string, CelInput>();

  constructor(node: Schema | undefined, value: Value, budget: ReadBudget) {
    this.#node = node;
    this.#budget = budget;
    this.#members = new Map();
    for (const key of Object.keys(value)) {
      const [name, schema] = this.#declare(key);
      // Kubernetes hides members that are null without being nullable: they count as absent.
      if (name !== undefined && value[key] !== null)
        this.#members.set(name, { schema, value: value[key] });
    }
  }

  #declare(key: string): [name: string | undefined, schema: Schema | undefined] {
    const node = this.#node;
    if (node?.properties !== undefined && Object.hasOwn(node.properties, key)) {
      return [escapeField(key), node.properties[key]];
    }
    if (typeof node?.additionalProperties === 'object') return [key, node.additionalProperties];
    return [key, undefined];
  }

  get size(): number {
    return this.#members.size;
  }

  get(key: unknown): CelInput | undefined {
    this.#budget.spend(1);
    if (typeof key !== 'string') return undefined;
    const known = this.#converted.get(key);
    if (known !== undefined) return known;
    const member = this.#members.get(key);
    if (member === undefined) return undefined;
    const converted = toCelValue(member.schema, member.value, this.#budget);
    this.#converted.set(key, converted);
    return converted;
  }

  has(key: string): boolean {
    return this.#members.has(key);
  }

  keys(): MapIterator<string> {
    this.#budget.spend(this.size);
    return this.#members.keys();
  }

  *entries(): MapIterator<[string, CelInput]> {
    for (const key of this.keys()) yield [key, this.get(key) ?? null];
  }

  *values(): MapIterator<CelInput> {
    for (const key of this.keys()) yield this.get(key) ?? null;
  }

  [Symbol.iterator](): MapIterator<[string, CelInput]> {
    return this.entries();
  }

  forEach(visit: (value: CelInput, key: string, map: ReadonlyMap<string, CelInput>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this);
  }
}
