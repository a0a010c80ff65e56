/**
 * Takes the descriptions of fields from the packages' declaration files. They are printed by the TypeScript compiler,
 * so indentation gives the nesting: a path of member names is all that is needed, arrays and unions fall away.
 */

export interface Declarations {
  /** Description of the type itself. */
  type: string | undefined;
  /** By path of member names joined by a blank; the first alternative of a union wins. */
  members: Map<string, string>;
}

const MEMBER = /^( +)"((?:[^"\\]|\\.)*)"\??: /;
const MAP_KEY = /^( +)\[key: string\]: /;

export function readDeclarations(source: string): Declarations {
  const members = new Map<string, string>();
  let type: string | undefined;
  let comment: string[] | undefined;
  let last: string | undefined;
  const open: { indent: number; path: string }[] = [];
  for (const line of source.split('\n')) {
    const text = line.trimStart();
    if (text.startsWith('/**')) comment = [];
    else if (comment !== undefined && text.startsWith('*/')) {
      last = comment.join('\n').trim();
      comment = undefined;
    } else if (comment !== undefined) comment.push(unescapeComment(text.replace(/^\* ?/, '')));
    else if (text.startsWith('export interface') || text.startsWith('export type I')) {
      if (type === undefined) type = last ?? '';
      last = undefined;
    } else if (text.startsWith('export declare class')) break;
    else last = readMember(line, last, open, members);
  }
  return { type: type === '' ? undefined : type, members };
}

function readMember(
  line: string,
  description: string | undefined,
  open: { indent: number; path: string }[],
  members: Map<string, string>,
): string | undefined {
  const match = MEMBER.exec(line) ?? MAP_KEY.exec(line);
  if (match === null) return description;
  const indent = match[1].length;
  while (open.length > 0 && open[open.length - 1].indent >= indent) open.pop();
  const parent = open.length === 0 ? '' : open[open.length - 1].path;
  const name = match[2];
  const path = name === undefined ? parent : parent === '' ? name : `${parent} ${name}`;
  open.push({ indent, path });
  if (name !== undefined && description !== undefined && !members.has(path))
    members.set(path, description);
  return undefined;
}

/** The generator escapes what Markdown would take for markup. */
function unescapeComment(text: string): string {
  return text.replace(/\\([*_<>])/g, '$1').replaceAll('*\\/', '*/');
}
