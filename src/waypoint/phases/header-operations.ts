/**
 * The header operations of a route or a destination, applied to a head: set, add, remove, as Istio documents for each level. Values
 * with command operators are parsed once for each operations object, which lives as long as its snapshot.
 */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import {
  formatHeader,
  type HeaderFormat,
  type HeaderFormatFacts,
  parseHeaderFormat,
} from '#model/route/header-format.ts';
import type { HeaderOperations } from '#model/route/route-table.ts';

interface HeaderValue {
  readonly name: string;
  readonly text: string;
  /** Undefined when the text holds no operator. */
  readonly format: HeaderFormat | undefined;
}

interface CompiledOperations {
  readonly set: readonly HeaderValue[];
  readonly add: readonly HeaderValue[];
  readonly remove: readonly string[];
  /** `Host` or `:authority` of `set`. */
  readonly authority: HeaderValue | undefined;
}

/** Framing and hop-by-hop fields belong to the connections (RFC 9110 §7.6.1): no configuration changes them. */
const UNCHANGEABLE = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

const compiled = new WeakMap<HeaderOperations, CompiledOperations>();

/** All but the authority. */
export function applyOperations(
  head: MessageHead,
  operations: HeaderOperations,
  facts: HeaderFormatFacts,
): void {
  const { set, add, remove } = compiledOf(operations);
  for (const value of set) {
    const text = render(value, facts);
    // An operator that yields nothing leaves the field as it is (Envoy's keep_empty_value).
    if (text !== '' || value.format === undefined) head.set(value.name, text);
  }
  for (const value of add) {
    const text = render(value, facts);
    if (text !== '' || value.format === undefined) head.add(value.name, text);
  }
  for (const name of remove) head.remove(name);
}

/** The host that the operations set; undefined when they set none. */
export function authorityOf(
  operations: HeaderOperations | undefined,
  facts: HeaderFormatFacts,
): string | undefined {
  const authority = operations && compiledOf(operations).authority;
  const text = authority && render(authority, facts);
  return text === '' ? undefined : text;
}

function render({ text, format }: HeaderValue, facts: HeaderFormatFacts): string {
  return format === undefined ? text : formatHeader(format, facts);
}

function compiledOf(operations: HeaderOperations): CompiledOperations {
  let found = compiled.get(operations);
  if (found === undefined) {
    found = compile(operations);
    compiled.set(operations, found);
  }
  return found;
}

function compile(operations: HeaderOperations): CompiledOperations {
  const set = valuesOf(operations.set);
  const isHost = ({ name }: HeaderValue) => name === 'host' || name === ':authority';
  return {
    set: set.filter(isChangeable),
    add: valuesOf(operations.add).filter(isChangeable),
    remove: operations.remove
      .map((name) => name.toLowerCase())
      .filter((name) => isChangeable({ name })),
    authority: set.find(isHost),
  };
}

function valuesOf(values: Readonly<Record<string, string>>): HeaderValue[] {
  return Object.entries(values).map(([name, text]) => {
    const format = text.includes('%') ? parseHeaderFormat(text) : undefined;
    const isFormat = format !== undefined && !('problem' in format);
    return { name: name.toLowerCase(), text, format: isFormat ? format : undefined };
  });
}

function isChangeable({ name }: { readonly name: string }): boolean {
  return name !== 'host' && !name.startsWith(':') && !UNCHANGEABLE.has(name);
}
