/**
 * The functions that Kubernetes adds to CEL: URLs, IP addresses and CIDRs, quantities, regular expressions, lists and
 * sets. URLs and quantities travel as maps with one private key, since CEL values here have no opaque types.
 */
import {
  type CelFunc,
  type CelInput,
  type CelList,
  type CelMap,
  CelScalar,
  type CelValue,
  celFunc,
  celMap,
  celMethod,
  isCelMap,
  listType,
  mapType,
} from '@bufbuild/cel';
import { strings } from '@bufbuild/cel/ext';
import { isCidr, isIpv4, isIpv6 } from '../formats.ts';
import { compilePattern } from '../pattern.ts';
import { parseGoUrl } from './go-url.ts';
import { parseQuantity } from './quantity.ts';

const { BOOL, INT, STRING, DOUBLE, DYN } = CelScalar;
const ANY_LIST = listType(DYN);
const OPAQUE = mapType(STRING, DYN);
const QUANTITY = '@quantity';

const URL_PARTS: Record<string, string> = {
  getScheme: 'scheme',
  getHost: 'host',
  getHostname: 'hostname',
  getPort: 'port',
  getEscapedPath: 'path',
};

function opaque(entries: Record<string, CelInput>): CelMap {
  return celMap(new Map(Object.entries(entries)));
}

const urls: CelFunc[] = [
  celFunc('isURL', [STRING], BOOL, (text) => parseGoUrl(text) !== undefined),
  celFunc('url', [STRING], OPAQUE, (text) => {
    const url = parseGoUrl(text);
    if (url === undefined) {
      throw new Error(
        `URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`,
      );
    }
    return opaque({ ...url });
  }),
  ...Object.entries(URL_PARTS).map(([method, part]) =>
    celMethod(method, OPAQUE, [], STRING, function () {
      return String(this.get(part) ?? '');
    }),
  ),
];

const addresses: CelFunc[] = [
  celFunc('isIP', [STRING], BOOL, (text) => isIpv4(text) || isIpv6(text)),
  celFunc('isCIDR', [STRING], BOOL, (text) => isCidr(text)),
];

function quantityOf(value: CelValue): number {
  const number = isCelMap(value) ? value.get(QUANTITY) : undefined;
  if (typeof number !== 'number') throw new Error('no such overload: not a quantity');
  return number;
}

const quantities: CelFunc[] = [
  celFunc('isQuantity', [STRING], BOOL, (text) => parseQuantity(text) !== undefined),
  celFunc('quantity', [STRING], OPAQUE, (text) => {
    const number = parseQuantity(text);
    if (number === undefined) throw new Error(`quantity parse error: ${JSON.stringify(text)}`);
    return opaque({ [QUANTITY]: number });
  }),
  celMethod('isGreaterThan', OPAQUE, [OPAQUE], BOOL, function (other) {
    return quantityOf(this) > quantityOf(other);
  }),
  celMethod('isLessThan', OPAQUE, [OPAQUE], BOOL, function (other) {
    return quantityOf(this) < quantityOf(other);
  }),
  celMethod('compareTo', OPAQUE, [OPAQUE], INT, function (other) {
    return BigInt(Math.sign(quantityOf(this) - quantityOf(other)));
  }),
  celMethod('isInteger', OPAQUE, [], BOOL, function () {
    return Number.isSafeInteger(quantityOf(this));
  }),
  celMethod('asInteger', OPAQUE, [], INT, function () {
    return BigInt(quantityOf(this));
  }),
  celMethod('asApproximateFloat', OPAQUE, [], DOUBLE, function () {
    return quantityOf(this);
  }),
];

const searches: CelFunc[] = [
  celMethod('find', STRING, [STRING], STRING, function (pattern) {
    return compilePattern(pattern).find(this) ?? '';
  }),
  celMethod('findAll', STRING, [STRING], listType(STRING), function (pattern) {
    return compilePattern(pattern).findAll(this);
  }),
];

type Ordered = bigint | number | string | boolean;

function ordered(list: CelList): Ordered[] {
  return [...list].map((item) => {
    if (typeof item === 'object')
      throw new Error('no such overload: list items are not comparable');
    return item;
  });
}

function extreme(list: CelList, better: (left: Ordered, right: Ordered) => boolean): CelInput {
  const items = ordered(list);
  if (items.length === 0) throw new Error('min or max called on empty list');
  return items.reduce((best, item) => (better(item, best) ? item : best));
}

function sameItem(left: CelValue, right: CelValue): boolean {
  return left === right || (typeof left === 'object' && textOf(left) === textOf(right));
}

function textOf(value: CelValue): string {
  return JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? `${item}n` : item));
}

function containsAll(left: CelList, right: CelList): boolean {
  const items = [...left];
  return [...right].every((item) => items.some((other) => sameItem(item, other)));
}

const lists: CelFunc[] = [
  celMethod('isSorted', ANY_LIST, [], BOOL, function () {
    const items = ordered(this);
    return items.every((item, index) => index === 0 || items[index - 1] <= item);
  }),
  celMethod('sum', ANY_LIST, [], DYN, function () {
    const items = ordered(this);
    if (items.every((item) => typeof item === 'bigint'))
      return items.reduce((sum, item) => sum + item, 0n);
    return items.reduce<number>((sum, item) => sum + Number(item), 0);
  }),
  celMethod('min', ANY_LIST, [], DYN, function () {
    return extreme(this, (left, right) => left < right);
  }),
  celMethod('max', ANY_LIST, [], DYN, function () {
    return extreme(this, (left, right) => left > right);
  }),
  celMethod('indexOf', ANY_LIST, [DYN], INT, function (wanted) {
    return BigInt([...this].findIndex((item) => sameItem(item, wanted)));
  }),
  celMethod('lastIndexOf', ANY_LIST, [DYN], INT, function (wanted) {
    return BigInt([...this].findLastIndex((item) => sameItem(item, wanted)));
  }),
  celFunc('sets.contains', [ANY_LIST, ANY_LIST], BOOL, (left, right) => containsAll(left, right)),
  celFunc(
    'sets.equivalent',
    [ANY_LIST, ANY_LIST],
    BOOL,
    (left, right) => containsAll(left, right) && containsAll(right, left),
  ),
  celFunc('sets.intersects', [ANY_LIST, ANY_LIST], BOOL, (left, right) =>
    [...left].some((item) => [...right].some((other) => sameItem(item, other))),
  ),
];

/** `int` of text, with Kubernetes' message: the standard one throws a SyntaxError of the engine. */
const casts: CelFunc[] = [
  celFunc('int', [STRING], INT, (text) => {
    if (!/^[+-]?\d+$/.test(text)) throw new Error("type conversion error from 'string' to 'int'");
    return BigInt(text);
  }),
];

export const KUBERNETES_FUNCTIONS: readonly CelFunc[] = [
  ...strings,
  ...urls,
  ...addresses,
  ...quantities,
  ...searches,
  ...lists,
  ...casts,
];
