/**
 * Field selectors (`metadata.name=web,status.phase!=Running`). Which fields a kind supports is the caller's
 * table; an absent field reads as the empty string, as in Kubernetes (apimachinery/pkg/fields).
 */

import { SelectorSyntaxError } from './label-selector.ts';
import { readPath } from './object.ts';

export interface FieldRequirement {
  path: string;
  negated: boolean;
  value: string;
}

export function parseFieldSelector(text: string): FieldRequirement[] {
  return splitUnescaped(text).map((part) => {
    const match = /^([^=!]+)(==|!=|=)(.*)$/s.exec(part);
    if (match === null)
      throw new SelectorSyntaxError(`invalid selector: '${text}'; can't understand '${part}'`);
    const [, path, sign, value] = match;
    return { path: path.trim(), negated: sign === '!=', value: value.replace(/\\([\\,=])/g, '$1') };
  });
}

export function matchFields(requirements: readonly FieldRequirement[], object: unknown): boolean {
  return requirements.every(({ path, negated, value }) => {
    const actual = readPath(object, path.split('.'));
    const text = actual === undefined || actual === null ? '' : String(actual);
    return (text === value) !== negated;
  });
}

function splitUnescaped(text: string): string[] {
  const parts: string[] = [];
  let current = '';
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '\\') current += text[index] + (text[++index] ?? '');
    else if (text[index] === ',') {
      parts.push(current);
      current = '';
    } else current += text[index];
  }
  parts.push(current);
  return parts.filter((part) => part !== '');
}
