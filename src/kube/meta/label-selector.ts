/**
 * Label selectors in both notations: the query string (`app=web,tier in (a,b),!legacy`) and the LabelSelector
 * object. Both compile to requirements. Kubernetes: apimachinery/pkg/labels.
 */
import type { LabelSelector } from '../client/kinds.ts';

export type Labels = Record<string, string>;

export interface LabelRequirement {
  key: string;
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'GreaterThan' | 'LessThan';
  values: readonly string[];
}

/** Text that is no selector; the message names the place. */
export class SelectorSyntaxError extends Error {
  override readonly name = 'SelectorSyntaxError';
}

const SET_OPERATOR = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/;
const VALUE_OPERATOR = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*(\S*)$/;
const KEY = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;
const LABEL_LENGTH_MAX = 63;

export function parseLabelSelector(text: string): LabelRequirement[] {
  return splitTopLevel(text).map(parseRequirement);
}

export function compileLabelSelector(selector: LabelSelector): LabelRequirement[] {
  const requirements: LabelRequirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {}))
    requirements.push({ key, operator: 'In', values: [value] });
  for (const { key, operator, values } of selector.matchExpressions ?? [])
    requirements.push({ key, operator, values: values ?? [] });
  return requirements;
}

/** Every requirement must hold; no requirement matches everything. */
export function matchLabels(
  requirements: readonly LabelRequirement[],
  labels: Labels = {},
): boolean {
  return requirements.every((requirement) => matchRequirement(requirement, labels));
}

/** The query-string notation of a LabelSelector, as Scale.status.selector shows it. */
export function formatLabelSelector(selector: LabelSelector): string {
  return compileLabelSelector(selector).map(formatRequirement).join(',');
}

export function isLabelKey(text: string): boolean {
  const name = text.slice(text.indexOf('/') + 1);
  return name.length <= LABEL_LENGTH_MAX && KEY.test(text);
}

export function isLabelValue(text: string): boolean {
  return text.length <= LABEL_LENGTH_MAX && VALUE.test(text);
}

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(',')})`;
    case 'NotIn':
      return `${key} notin (${values.join(',')})`;
    case 'GreaterThan':
      return `${key}>${values[0]}`;
    case 'LessThan':
      return `${key}<${values[0]}`;
  }
}

function matchRequirement({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'GreaterThan':
      return value !== undefined && Number.parseInt(value, 10) > Number(values[0]);
    case 'LessThan':
      return value !== undefined && Number.parseInt(value, 10) < Number(values[0]);
  }
}

/** Commas inside parentheses separate values, not requirements. */
function splitTopLevel(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index <= text.length; index++) {
    const char = text[index];
    if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (index === text.length || (char === ',' && depth === 0)) {
      parts.push(text.slice(start, index).trim());
      start = index + 1;
    }
  }
  if (depth !== 0) throw new SelectorSyntaxError(`unbalanced parentheses in "${text}"`);
  return parts.filter((part) => part !== '' || parts.length > 1);
}

function parseRequirement(part: string): LabelRequirement {
  const set = SET_OPERATOR.exec(part);
  if (set !== null) {
    const values = set[3].split(',').map((value) => checkValue(value.trim()));
    return { key: checkKey(set[1]), operator: set[2] === 'in' ? 'In' : 'NotIn', values };
  }
  const comparison = VALUE_OPERATOR.exec(part);
  if (comparison !== null) {
    const [, key, sign, value] = comparison;
    if (sign === '>' || sign === '<') {
      if (!/^-?\d+$/.test(value)) throw new SelectorSyntaxError(`"${value}" is not an integer`);
      const operator = sign === '>' ? 'GreaterThan' : 'LessThan';
      return { key: checkKey(key), operator, values: [value] };
    }
    const operator = sign === '!=' ? 'NotIn' : 'In';
    return { key: checkKey(key), operator, values: [checkValue(value)] };
  }
  if (part.startsWith('!'))
    return { key: checkKey(part.slice(1).trim()), operator: 'DoesNotExist', values: [] };
  return { key: checkKey(part), operator: 'Exists', values: [] };
}

function checkKey(key: string): string {
  if (!isLabelKey(key))
    throw new SelectorSyntaxError(`unable to parse requirement: invalid key "${key}"`);
  return key;
}

function checkValue(value: string): string {
  if (!isLabelValue(value))
    throw new SelectorSyntaxError(`unable to parse requirement: invalid label value "${value}"`);
  return value;
}
