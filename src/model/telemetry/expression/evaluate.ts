/**
 * Makes a function of an expression. CEL's errors (a header that is not there, a division by zero) are `undefined` here: no exception is
 * made per request. As in CEL, `&&` and `||` have their answer when either side decides it, whatever became of the other.
 */
import type { RE2JS } from 're2js';
import type { Attributes } from './attributes.ts';
import type { Expression, ExpressionNode, OperatorName } from './expression.ts';

export type ExpressionValue = string | number | boolean | null | undefined;
export type Evaluate = (attributes: Attributes) => ExpressionValue;

/** A pattern that does not compile has been refused by control: it matches nothing here. */
export function compileExpression({ node }: Expression): Evaluate {
  return compileNode(node);
}

/** Whether a filter lets something pass: what cannot be decided does not pass, as in Envoy. */
export function compileFilter(filter: Expression): (attributes: Attributes) => boolean {
  const evaluate = compileNode(filter.node);
  return (attributes) => evaluate(attributes) === true;
}

function compileNode(node: ExpressionNode): Evaluate {
  switch (node.op) {
    case 'literal': {
      const { value } = node;
      return () => value;
    }
    case 'attribute': {
      const { name } = node;
      return (attributes) => attributes.value(name);
    }
    case 'header':
      return header(node);
    case 'has': {
      const of = compileNode(node.of);
      return (attributes) => of(attributes) !== undefined;
    }
    case 'in':
      return member(node);
    case 'matches':
      return matcher(node);
    default:
      return operator(node.op, node.args.map(compileNode));
  }
}

function header({ of, name }: ExpressionNode & { op: 'header' }): Evaluate {
  if (name.op === 'literal') {
    const known = String(name.value).toLowerCase();
    return (attributes) => attributes.header(of, known);
  }
  const asked = compileNode(name);
  return (attributes) => {
    const value = asked(attributes);
    return typeof value === 'string' ? attributes.header(of, value.toLowerCase()) : undefined;
  };
}

function member({ value, list }: ExpressionNode & { op: 'in' }): Evaluate {
  const asked = compileNode(value);
  const items = list.map(compileNode);
  return (attributes) => {
    const found = asked(attributes);
    if (found === undefined) return undefined;
    return items.some((item) => item(attributes) === found);
  };
}

function matcher({ value, pattern }: ExpressionNode & { op: 'matches' }): Evaluate {
  const asked = compileNode(value);
  // Loaded when a filter wants it: it has 6 MiB, and node proxies are small.
  const library = require('re2js') as typeof import('re2js');
  let regex: RE2JS | undefined;
  try {
    regex = library.RE2JS.compile(pattern);
  } catch {
    regex = undefined;
  }
  return (attributes) => {
    const text = asked(attributes);
    if (regex === undefined || typeof text !== 'string') return undefined;
    return regex.matcher(text).find();
  };
}

type Operate = (left: ExpressionValue, right: ExpressionValue) => ExpressionValue;

const numbers =
  (operate: (left: number, right: number) => number | boolean): Operate =>
  (left, right) =>
    typeof left === 'number' && typeof right === 'number' ? operate(left, right) : undefined;

const texts =
  (operate: (left: string, right: string) => string | boolean): Operate =>
  (left, right) =>
    typeof left === 'string' && typeof right === 'string' ? operate(left, right) : undefined;

const ordered =
  (operate: (left: number | string, right: number | string) => boolean): Operate =>
  (left, right) => {
    if (typeof left === 'number' && typeof right === 'number') return operate(left, right);
    if (typeof left === 'string' && typeof right === 'string') return operate(left, right);
    return undefined;
  };

const text = (operate: (value: string) => ExpressionValue): Operate => {
  return (value) => (typeof value === 'string' ? operate(value) : undefined);
};

const known =
  (operate: (left: ExpressionValue, right: ExpressionValue) => boolean): Operate =>
  (left, right) =>
    left === undefined || right === undefined ? undefined : operate(left, right);

/** `undefined` in, `undefined` out. */
const STRICT: Readonly<Record<Exclude<OperatorName, 'and' | 'or' | 'choose'>, Operate>> = {
  not: (value) => (typeof value === 'boolean' ? !value : undefined),
  negate: (value) => (typeof value === 'number' ? -value : undefined),
  eq: known((left, right) => left === right),
  ne: known((left, right) => left !== right),
  lt: ordered((left, right) => left < right),
  le: ordered((left, right) => left <= right),
  gt: ordered((left, right) => left > right),
  ge: ordered((left, right) => left >= right),
  add: numbers((left, right) => left + right),
  concat: texts((left, right) => left + right),
  subtract: numbers((left, right) => left - right),
  multiply: numbers((left, right) => left * right),
  divide: numbers((left, right) => left / right),
  idiv: (left, right) =>
    typeof left === 'number' && typeof right === 'number' && right !== 0
      ? Math.trunc(left / right)
      : undefined,
  modulo: (left, right) =>
    typeof left === 'number' && typeof right === 'number' && right !== 0 ? left % right : undefined,
  size: text((value) => characters(value)),
  contains: texts((whole, part) => whole.includes(part)),
  startsWith: texts((whole, part) => whole.startsWith(part)),
  endsWith: texts((whole, part) => whole.endsWith(part)),
  lowerAscii: text((value) => value.replace(/[A-Z]+/g, (part) => part.toLowerCase())),
  upperAscii: text((value) => value.replace(/[a-z]+/g, (part) => part.toUpperCase())),
  toText: (value) => (value === undefined || value === null ? undefined : String(value)),
  toInt: (value) => {
    if (typeof value === 'number') return Math.trunc(value);
    return typeof value === 'string' && /^[+-]?\d{1,15}$/.test(value) ? Number(value) : undefined;
  },
  toNumber: (value) => {
    if (typeof value === 'number') return value;
    if (typeof value !== 'string' || value.trim() === '') return undefined;
    const parsed = Number(value);
    return Number.isNaN(parsed) ? undefined : parsed;
  },
};

/** Code points, as CEL counts. */
function characters(value: string): number {
  let count = 0;
  for (let at = 0; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if (code < 0xdc00 || code > 0xdfff) count += 1;
  }
  return count;
}

function operator(op: OperatorName, args: readonly Evaluate[]): Evaluate {
  const [first, second, third] = args;
  switch (op) {
    case 'and':
      return (attributes) => {
        const left = first(attributes);
        if (left === false) return false;
        const right = second(attributes);
        if (right === false) return false;
        return left === true && right === true ? true : undefined;
      };
    case 'or':
      return (attributes) => {
        const left = first(attributes);
        if (left === true) return true;
        const right = second(attributes);
        if (right === true) return true;
        return left === false && right === false ? false : undefined;
      };
    case 'choose':
      return (attributes) => {
        const chosen = first(attributes);
        if (typeof chosen !== 'boolean') return undefined;
        return chosen ? second(attributes) : third(attributes);
      };
    default: {
      const operate = STRICT[op];
      if (second === undefined) return (attributes) => operate(first(attributes), undefined);
      return (attributes) => operate(first(attributes), second(attributes));
    }
  }
}
