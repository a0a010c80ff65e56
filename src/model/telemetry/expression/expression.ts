/**
 * A CEL expression in the form in which it travels: parsed, checked and typed by control (config/compile/telemetry/expression.ts), so that
 * a proxy needs no parser. A tree of bounded size without loops: what it costs is known before it runs.
 */
import type { AttributeName } from './attributes.ts';

export interface Expression {
  /** As it was written. */
  readonly text: string;
  readonly node: ExpressionNode;
}

export type ExpressionNode =
  | { readonly op: 'literal'; readonly value: string | number | boolean | null }
  | { readonly op: 'attribute'; readonly name: AttributeName }
  | { readonly op: 'header'; readonly of: 'request' | 'response'; readonly name: ExpressionNode }
  /** Whether there is a value. */
  | { readonly op: 'has'; readonly of: ExpressionNode }
  /** Whether the value is one of them. */
  | { readonly op: 'in'; readonly value: ExpressionNode; readonly list: readonly ExpressionNode[] }
  | { readonly op: 'matches'; readonly value: ExpressionNode; readonly pattern: string }
  | { readonly op: OperatorName; readonly args: readonly ExpressionNode[] };

/** `idiv` and `add` with texts are what the types of their operands made of CEL's `/` and `+`. */
export const OPERATORS = [
  'not',
  'negate',
  'and',
  'or',
  'choose',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
  'add',
  'concat',
  'subtract',
  'multiply',
  'divide',
  'idiv',
  'modulo',
  'size',
  'contains',
  'startsWith',
  'endsWith',
  'lowerAscii',
  'upperAscii',
  'toText',
  'toInt',
  'toNumber',
] as const;
export type OperatorName = (typeof OPERATORS)[number];
