/**
 * Find and hide expressions: `http.errors > 1%`, `mtls < 100%`, `namespace = shop and version ~ v2`, `failing or not traffic`.
 * Pure: text to a test of nodes and edges, or where and why it cannot be read.
 */
import { FIELDS, labelOf, type Subject, type Value, WORDS } from './facts.ts';
import { ExpressionError, lex, type Token } from './lex.ts';

export type Test = (subject: Subject) => boolean;

export interface Expression {
  /** Undefined for an empty text, and for one that cannot be read. */
  readonly test?: Test;
  readonly problem?: string;
}

export function parseExpression(text: string): Expression {
  if (text.trim() === '') return {};
  try {
    const reader = { tokens: lex(text), at: 0 };
    const test = readOr(reader);
    const rest = reader.tokens[reader.at];
    if (rest.kind !== 'end')
      throw new ExpressionError(`"${rest.text}" was not expected here`, rest.at);
    return { test };
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    return { problem: `At ${error.at + 1}: ${error.message}` };
  }
}

interface Reader {
  readonly tokens: readonly Token[];
  at: number;
}

function isWord(token: Token, ...words: string[]): boolean {
  return token.kind === 'word' && words.includes(token.text.toLowerCase());
}

function readOr(reader: Reader): Test {
  let left = readAnd(reader);
  while (isWord(reader.tokens[reader.at], 'or', '||')) {
    reader.at += 1;
    const [first, second] = [left, readAnd(reader)];
    left = (subject) => first(subject) || second(subject);
  }
  return left;
}

function readAnd(reader: Reader): Test {
  let left = readNot(reader);
  while (isWord(reader.tokens[reader.at], 'and', '&&')) {
    reader.at += 1;
    const [first, second] = [left, readNot(reader)];
    left = (subject) => first(subject) && second(subject);
  }
  return left;
}

function readNot(reader: Reader): Test {
  const token = reader.tokens[reader.at];
  if (isWord(token, 'not') || token.text === '!') {
    reader.at += 1;
    const inner = readNot(reader);
    return (subject) => !inner(subject);
  }
  return readOne(reader);
}

function readOne(reader: Reader): Test {
  const token = reader.tokens[reader.at];
  reader.at += 1;
  if (token.kind === 'open') {
    const inner = readOr(reader);
    if (reader.tokens[reader.at].kind !== 'close')
      throw new ExpressionError('a bracket is not closed', token.at);
    reader.at += 1;
    return inner;
  }
  if (token.kind === 'end') throw new ExpressionError('something is missing', token.at);
  if (token.kind !== 'word' && token.kind !== 'text')
    throw new ExpressionError(`"${token.text}" was not expected here`, token.at);
  const operator = reader.tokens[reader.at];
  if (operator.kind === 'operator' && operator.text !== '!')
    return readComparison(reader, token, operator);
  const word = token.kind === 'word' ? WORDS[token.text.toLowerCase()] : undefined;
  return word ?? textTest(token);
}

/** A word alone that is no state is looked for in names. */
function textTest(token: Token): Test {
  if (token.kind === 'word' && token.text.toLowerCase() in FIELDS)
    throw new ExpressionError(
      `${token.text} needs a comparison, as in ${token.text} ${typeof FIELDS[token.text.toLowerCase()].of({}) === 'number' ? '> 1' : '= …'}`,
      token.at,
    );
  const wanted = token.text.toLowerCase();
  return ({ node }) =>
    node !== undefined && `${node.namespace}/${node.name}`.toLowerCase().includes(wanted);
}

function readComparison(reader: Reader, name: Token, operator: Token): Test {
  const readValue = valueReader(name);
  reader.at += 1;
  const operand = reader.tokens[reader.at];
  if (operand.kind !== 'word' && operand.kind !== 'text')
    throw new ExpressionError(`a value has to follow ${operator.text}`, operand.at);
  reader.at += 1;
  const number = numberOf(operand.text);
  const text = operand.text.toLowerCase();
  if (/[<>]/.test(operator.text) && number === undefined)
    throw new ExpressionError(`${operand.text} is not a number`, operand.at);
  return (subject) => compare(readValue(subject), operator.text, { number, text });
}

function valueReader(name: Token): (subject: Subject) => Value {
  const lower = name.text.toLowerCase();
  if (lower.startsWith('label:')) {
    const label = name.text.slice('label:'.length);
    return (subject) => labelOf(subject, label);
  }
  const field = Object.hasOwn(FIELDS, lower) ? FIELDS[lower] : undefined;
  if (field === undefined)
    throw new ExpressionError(
      `there is no field ${name.text}; there are ${Object.keys(FIELDS).join(', ')}, label:NAME`,
      name.at,
    );
  return field.of;
}

/** `1%`, `100ms`, `1.5s`, `20`. */
function numberOf(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)(%|ms|s|\/s)?$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (match[2] === 's' ? 1000 : 1);
}

function compare(
  value: Value,
  operator: string,
  operand: { number: number | undefined; text: string },
): boolean {
  if (value === undefined) return false;
  if (typeof value === 'number')
    return operand.number !== undefined && compareNumbers(value, operator, operand.number);
  const isSame = operator === '=' || operator === '!=';
  const hit = value.some((each) =>
    isSame ? each.toLowerCase() === operand.text : each.toLowerCase().includes(operand.text),
  );
  return operator === '!=' || operator === '!~' ? !hit : (isSame || operator === '~') && hit;
}

function compareNumbers(value: number, operator: string, wanted: number): boolean {
  switch (operator) {
    case '>':
      return value > wanted;
    case '>=':
      return value >= wanted;
    case '<':
      return value < wanted;
    case '<=':
      return value <= wanted;
    case '=':
      return Math.abs(value - wanted) < 1e-9;
    case '!=':
      return Math.abs(value - wanted) >= 1e-9;
    default:
      return false;
  }
}
