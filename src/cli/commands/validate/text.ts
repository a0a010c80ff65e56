/** What `tulle validate` says to people: the documents with findings, then how many there were. */
import type { Colour, Palette } from '../../output/table.ts';
import type { Level, ValidatedDocument, ValidationFinding } from '../../validate/validate.ts';

const COLOURS: Record<Level, Colour> = { error: 'red', warning: 'yellow', info: 'cyan' };
const LEVEL_WIDTH = 'warning'.length;

export function validationText(documents: readonly ValidatedDocument[], paint: Palette): string {
  if (documents.length === 0) return 'there is no document in it\n';
  const noted = documents.filter(({ findings }) => findings.length > 0);
  const blocks = noted.map((document) => block(document, paint));
  return [...blocks, summary(documents, paint)].join('\n');
}

function block({ reference, kind, namespace, name, findings }: ValidatedDocument, paint: Palette) {
  const object = `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
  const lines = findings.flatMap((finding) => linesOf(finding, paint));
  return `${paint('bold', reference)}  ${object}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function linesOf({ level, path, message, hint }: ValidationFinding, paint: Palette): string[] {
  const head = paint(COLOURS[level], level.padEnd(LEVEL_WIDTH));
  const indent = ' '.repeat(LEVEL_WIDTH + 2);
  return [
    `${head}  ${path === '' ? '' : `${path}: `}${message}`,
    ...(hint === undefined ? [] : [`${indent}${paint('dim', 'try:')} ${hint}`]),
  ];
}

function summary(documents: readonly ValidatedDocument[], paint: Palette): string {
  const invalid = documents.filter(({ valid }) => !valid).length;
  const count = documents.length === 1 ? '1 document' : `${documents.length} documents`;
  return invalid === 0
    ? `${paint('green', 'valid')}: ${count}\n`
    : `${paint('red', 'invalid')}: ${invalid} of ${count}\n`;
}
