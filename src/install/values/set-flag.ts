/**
 * `--set a.b=c` as Helm writes it: dots separate members (`\.` is a dot of the name), `[0]` an element of a list, commas several
 * assignments, `{a,b}` a list. What the value becomes is said by the type of the row, so `image.tag=1.10` stays text.
 */
import { MeshError } from '#base/errors.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { VALUE_ROWS } from './spec.ts';
import type { Tree } from './values.ts';

/** Helm refuses larger ones (pkg/strvals MaxIndex): a list is filled up to the index. */
const INDEX_MAX = 1024;

/** A tree with the assignments of one flag. Throws INSTALL_SET. */
export function parseSet(text: string): Tree {
  const tree: Tree = {};
  for (const assignment of splitTop(text, ',')) {
    const equals = assignment.indexOf('=');
    if (equals < 1) throw malformed(text, `${JSON.stringify(assignment)} has no NAME=VALUE`);
    const path = pathOf(assignment.slice(0, equals), text);
    assign(tree, path, typedValue(path, assignment.slice(equals + 1)));
  }
  return tree;
}

type Step = string | number;

function pathOf(text: string, flag: string): Step[] {
  return splitTop(text, '.').flatMap((part): Step[] => {
    const [, name, indexes] = /^(.*?)((?:\[\d+\])*)$/.exec(part) ?? [];
    if (name === undefined || name === '') throw malformed(flag, `${text} has an empty name`);
    const numbers = [...indexes.matchAll(/\d+/g)].map(Number);
    if (numbers.some((each) => each > INDEX_MAX)) {
      throw malformed(flag, `${text} has an index above ${INDEX_MAX}`);
    }
    return [name.replaceAll('\\', ''), ...numbers];
  });
}

function assign(tree: Tree, path: readonly Step[], value: unknown): void {
  let node = tree as Record<Step, unknown>;
  for (const [index, step] of path.slice(0, -1).entries()) {
    node[step] ??= typeof path[index + 1] === 'number' ? [] : {};
    node = node[step] as Record<Step, unknown>;
  }
  node[path[path.length - 1]] = value;
}

function typedValue(path: readonly Step[], text: string): unknown {
  const type = VALUE_ROWS.find((row) => row.path === path.join('.'))?.type;
  if (type === 'string') return text.replaceAll('\\,', ',');
  if (text.startsWith('{') && text.endsWith('}')) {
    const inner = text.slice(1, -1);
    return inner === '' ? [] : splitTop(inner, ',').map(scalarOf);
  }
  return scalarOf(text);
}

function scalarOf(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null') return null;
  return /^-?(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : text.replaceAll('\\', '');
}

/** Not where a backslash stands before it, nor within braces. */
function splitTop(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    const letter = text[index];
    if (letter === '\\' && index + 1 < text.length) {
      part += letter + text[++index];
      continue;
    }
    if (letter === '{') depth += 1;
    if (letter === '}') depth -= 1;
    if (letter === separator && depth === 0) {
      parts.push(part);
      part = '';
    } else part += letter;
  }
  return [...parts, part];
}

function malformed(flag: string, reason: string): MeshError {
  return new MeshError('INSTALL_SET', `--set ${flag}: ${reason}`, {
    side: 'config',
    hint: INSTALL_ERRORS.INSTALL_SET,
  });
}
