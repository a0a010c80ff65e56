/**
 * CEL of a Telemetry: read by the CEL library, then checked and typed against the attributes that our proxies know, and turned into the
 * bounded tree that travels (model/telemetry/expression). Loops (`exists`, `map`, …) and bytes are refused: a request must not pay for them.
 */
import { parse } from '@bufbuild/cel';
import { RE2JS } from 're2js';
import { messageOf } from '#base/errors.ts';
import {
  ATTRIBUTES,
  type AttributeType,
  isAttribute,
} from '#model/telemetry/expression/attributes.ts';
import type {
  Expression,
  ExpressionNode,
  OperatorName,
} from '#model/telemetry/expression/expression.ts';
import { parseDurationMs } from '../scalars.ts';
import { EXPRESSION_CHARS_MAX, EXPRESSION_NODES_MAX } from './limits.ts';

type ValueType = AttributeType | 'double' | 'null';
type Typed = { readonly node: ExpressionNode; readonly type: ValueType };
type Tree = NonNullable<ReturnType<typeof parse>['expr']>;
type Call = Extract<Tree['exprKind'], { case: 'callExpr' }>['value'];

/** `malformed`: no CEL at all, which Istio refuses as well; else CEL that our proxies cannot judge. */
export interface ExpressionProblem {
  readonly malformed: boolean;
  readonly reason: string;
}

export function compileFilterText(text: string): Expression | ExpressionProblem {
  const read = readExpression(text);
  if ('reason' in read) return read;
  if (read.type !== 'bool')
    return { malformed: true, reason: `it is of type ${read.type}: a filter is true or false` };
  return { text, node: read.node };
}

/** The value of a label. */
export function compileTagText(text: string): Expression | ExpressionProblem {
  const read = readExpression(text);
  if ('reason' in read) return read;
  if (read.type === 'headers') return unknown('all headers are no text: name one of them');
  return { text, node: read.node };
}

function readExpression(text: string): Typed | ExpressionProblem {
  if (text.length > EXPRESSION_CHARS_MAX)
    return unknown(`it has more than ${EXPRESSION_CHARS_MAX} characters`);
  let tree: Tree | undefined;
  try {
    tree = parse(text).expr;
  } catch (error) {
    return { malformed: true, reason: messageOf(error) };
  }
  if (tree === undefined) return { malformed: true, reason: 'it is empty' };
  const reader = new Reader();
  const typed = reader.read(tree);
  return typeof typed === 'string' ? unknown(typed) : typed;
}

const unknown = (reason: string): ExpressionProblem => ({ malformed: false, reason });

/** Functions and operators by CEL's names: what they take, and what they make of it. */
interface Signature {
  readonly op: OperatorName;
  readonly takes: readonly ValueType[];
  readonly gives: ValueType;
}
const COMPARABLE: readonly ValueType[] = ['string', 'int', 'double', 'timestamp', 'duration'];

function same(op: OperatorName, types: readonly ValueType[], gives?: ValueType): Signature[] {
  return types.map((type) => ({ op, takes: [type, type], gives: gives ?? type }));
}

const SIGNATURES: Readonly<Record<string, readonly Signature[]>> = {
  '!_': [{ op: 'not', takes: ['bool'], gives: 'bool' }],
  '-_': [
    { op: 'negate', takes: ['int'], gives: 'int' },
    { op: 'negate', takes: ['double'], gives: 'double' },
  ],
  '_&&_': same('and', ['bool']),
  '_||_': same('or', ['bool']),
  '_==_': same('eq', [...COMPARABLE, 'bool', 'null'], 'bool'),
  '_!=_': same('ne', [...COMPARABLE, 'bool', 'null'], 'bool'),
  '_<_': same('lt', COMPARABLE, 'bool'),
  '_<=_': same('le', COMPARABLE, 'bool'),
  '_>_': same('gt', COMPARABLE, 'bool'),
  '_>=_': same('ge', COMPARABLE, 'bool'),
  '_+_': [...same('concat', ['string']), ...same('add', ['int', 'double', 'duration'])],
  '_-_': same('subtract', ['int', 'double', 'duration']),
  '_*_': same('multiply', ['int', 'double']),
  '_/_': [...same('idiv', ['int']), ...same('divide', ['double'])],
  '_%_': same('modulo', ['int']),
  size: [{ op: 'size', takes: ['string'], gives: 'int' }],
  contains: same('contains', ['string'], 'bool'),
  startsWith: same('startsWith', ['string'], 'bool'),
  endsWith: same('endsWith', ['string'], 'bool'),
  lowerAscii: [{ op: 'lowerAscii', takes: ['string'], gives: 'string' }],
  upperAscii: [{ op: 'upperAscii', takes: ['string'], gives: 'string' }],
  string: (['string', 'int', 'double', 'bool'] as const).map((type) => ({
    op: 'toText',
    takes: [type],
    gives: 'string',
  })),
  int: (['int', 'double', 'string'] as const).map((type) => ({
    op: 'toInt',
    takes: [type],
    gives: 'int',
  })),
  double: (['int', 'double', 'string'] as const).map((type) => ({
    op: 'toNumber',
    takes: [type],
    gives: 'double',
  })),
};

/** A text is why not. */
class Reader {
  #nodes = 0;

  read(tree: Tree): Typed | string {
    this.#nodes += 1;
    if (this.#nodes > EXPRESSION_NODES_MAX) return `it has more than ${EXPRESSION_NODES_MAX} parts`;
    const kind = tree.exprKind;
    switch (kind.case) {
      case 'constExpr':
        return constant(kind.value);
      case 'identExpr':
      case 'selectExpr':
        return this.#select(tree);
      case 'callExpr':
        return this.#call(kind.value);
      case 'comprehensionExpr':
        return 'loops over lists and maps are not run for each request';
      default:
        return 'lists, maps and messages stand only to the right of `in`';
    }
  }

  #select(tree: Tree): Typed | string {
    const { exprKind } = tree;
    if (exprKind.case === 'selectExpr' && exprKind.value.testOnly) return this.#has(exprKind.value);
    const path = pathOf(tree);
    if (path === undefined) return 'only attributes have members';
    if (isAttribute(path)) return { node: { op: 'attribute', name: path }, type: ATTRIBUTES[path] };
    const [, of, name] = /^(request|response)\.headers\.(\w+)$/.exec(path) ?? [];
    if (of !== undefined) return headerOf(of, { op: 'literal', value: name });
    const members = Object.keys(ATTRIBUTES).filter((known) => known.startsWith(`${path}.`));
    if (members.length > 0) return `${path} alone is no value: name one of ${members.join(', ')}`;
    return path.includes('.')
      ? `${path} is no attribute that proxies know`
      : `${path} is unknown; a text has quotes: '${path}'`;
  }

  /** `has(a.b)`: whether it is there. */
  #has(select: { operand?: Tree; field: string }): Typed | string {
    const whole = pathOf(select.operand);
    const path = whole === undefined ? undefined : `${whole}.${select.field}`;
    const [, of, name] = /^(request|response)\.headers\.(\w+)$/.exec(path ?? '') ?? [];
    if (of !== undefined) return has(headerNode(of, { op: 'literal', value: name }));
    if (path === undefined || !isAttribute(path)) return `has(${path ?? '…'}): no such attribute`;
    return has({ op: 'attribute', name: path });
  }

  #call({ function: name, target, args }: Call): Typed | string {
    if (name === '@in') return this.#in(args);
    if (name === '_[_]') return this.#index(args);
    if (name === '_?_:_') return this.#choose(args);
    if (name === 'duration') return durationOf(args);
    const operands = [...(target === undefined ? [] : [target]), ...args];
    if (name === 'matches') return this.#matches(operands);
    const signatures = Object.hasOwn(SIGNATURES, name) ? SIGNATURES[name] : undefined;
    if (signatures === undefined) return `the function ${name} is not known to proxies`;
    const typed = this.#readAll(operands);
    if (typeof typed === 'string') return typed;
    const types = typed.map(({ type }) => type);
    const fits = signatures.find(
      ({ takes }) => takes.length === types.length && takes.every((each, at) => each === types[at]),
    );
    if (fits === undefined) return `${name} does not take ${types.join(' and ')}`;
    return { node: { op: fits.op, args: typed.map(({ node }) => node) }, type: fits.gives };
  }

  #readAll(trees: readonly Tree[]): Typed[] | string {
    const all: Typed[] = [];
    for (const tree of trees) {
      const typed = this.read(tree);
      if (typeof typed === 'string') return typed;
      all.push(typed);
    }
    return all;
  }

  #choose(args: readonly Tree[]): Typed | string {
    const typed = this.#readAll(args);
    if (typeof typed === 'string') return typed;
    const [condition, then, otherwise] = typed;
    if (condition.type !== 'bool') return `the condition of ?: is of type ${condition.type}`;
    if (then.type !== otherwise.type)
      return `?: has values of types ${then.type} and ${otherwise.type}`;
    return { node: { op: 'choose', args: typed.map(({ node }) => node) }, type: then.type };
  }

  /** `request.headers['name']`. */
  #index([operand, key]: readonly Tree[]): Typed | string {
    const path = pathOf(operand);
    const [, of] = /^(request|response)\.headers$/.exec(path ?? '') ?? [];
    if (of === undefined) return `${path ?? 'that'} has no members by name`;
    const name = this.read(key);
    if (typeof name === 'string') return name;
    if (name.type !== 'string') return 'the name of a header is a text';
    return headerOf(of, name.node);
  }

  #in([value, place]: readonly Tree[]): Typed | string {
    const asked = this.read(value);
    if (typeof asked === 'string') return asked;
    const [, of] = /^(request|response)\.headers$/.exec(pathOf(place) ?? '') ?? [];
    if (of !== undefined) {
      if (asked.type !== 'string') return 'the name of a header is a text';
      return has(headerNode(of, asked.node));
    }
    if (place.exprKind.case !== 'listExpr') return '`in` is for lists and for headers';
    const items = this.#readAll(place.exprKind.value.elements);
    if (typeof items === 'string') return items;
    const odd = items.find(({ type }) => type !== asked.type);
    if (odd !== undefined) return `a ${asked.type} is compared with a ${odd.type}`;
    return {
      node: { op: 'in', value: asked.node, list: items.map(({ node }) => node) },
      type: 'bool',
    };
  }

  #matches([value, pattern]: readonly Tree[]): Typed | string {
    const asked = this.read(value);
    if (typeof asked === 'string') return asked;
    if (asked.type !== 'string') return `matches does not take ${asked.type}`;
    const text = this.read(pattern);
    if (typeof text === 'string') return text;
    if (text.node.op !== 'literal' || typeof text.node.value !== 'string')
      return 'the pattern of matches is to be written out';
    try {
      RE2JS.compile(text.node.value);
    } catch (error) {
      return `the pattern of matches is no regular expression: ${messageOf(error)}`;
    }
    return { node: { op: 'matches', value: asked.node, pattern: text.node.value }, type: 'bool' };
  }
}

function constant(value: { constantKind: { case?: string; value?: unknown } }): Typed | string {
  const { case: kind, value: given } = value.constantKind;
  const literal = (type: ValueType, each: string | number | boolean | null): Typed => ({
    node: { op: 'literal', value: each },
    type,
  });
  switch (kind) {
    case 'stringValue':
      return literal('string', String(given));
    case 'boolValue':
      return literal('bool', given === true);
    case 'doubleValue':
      return literal('double', Number(given));
    case 'nullValue':
      return literal('null', null);
    case 'int64Value':
    case 'uint64Value': {
      const number = Number(given);
      return Number.isSafeInteger(number) ? literal('int', number) : `${number} is too large`;
    }
    default:
      return `values of kind ${kind ?? 'none'} are not known to proxies`;
  }
}

function durationOf(args: readonly Tree[]): Typed | string {
  const [only] = args;
  const kind = only?.exprKind;
  const constantKind = kind?.case === 'constExpr' ? kind.value.constantKind : undefined;
  const valueMs =
    constantKind?.case === 'stringValue' ? parseDurationMs(constantKind.value) : undefined;
  if (valueMs === undefined) return "duration() takes a text such as '1.5s'";
  return { node: { op: 'literal', value: valueMs }, type: 'duration' };
}

function headerNode(of: string, name: ExpressionNode): ExpressionNode {
  return { op: 'header', of: of === 'request' ? 'request' : 'response', name };
}

function headerOf(of: string, name: ExpressionNode): Typed {
  return { node: headerNode(of, name), type: 'string' };
}

function has(of: ExpressionNode): Typed {
  return { node: { op: 'has', of }, type: 'bool' };
}

/** `a.b.c` of a chain of names. */
function pathOf(tree: Tree | undefined): string | undefined {
  const kind = tree?.exprKind;
  if (kind?.case === 'identExpr') return kind.value.name;
  if (kind?.case !== 'selectExpr' || kind.value.testOnly) return undefined;
  const operand = pathOf(kind.value.operand);
  return operand === undefined ? undefined : `${operand}.${kind.value.field}`;
}
