/**
 * What stands in a manifest where the chart has one of its values. Manifests only ever put parameters together, so a placeholder goes
 * through them unchanged: alone it becomes a node of its type, in a string a piece of that string.
 */
import { isScalar, parseDocument, Scalar, stringify, visit } from 'yaml';
import type { ValueType } from '../values/spec.ts';

type Form = ValueType | 'block';

/** Private use characters: no manifest has them. */
const OPEN = '\ue000';
const CLOSE = '\ue001';

export class Placeholder {
  readonly expression: string;
  readonly form: Form;

  constructor(expression: string, form: Form) {
    this.expression = expression;
    this.form = form;
  }

  /** As a piece of a string. */
  toString(): string {
    return `${OPEN}text ${this.expression}${CLOSE}`;
  }

  /** Alone. */
  toJSON(): string {
    return `${OPEN}${this.form} ${this.expression}${CLOSE}`;
  }
}

/** YAML of a template. */
export function templateOf(manifest: object): string {
  const plain: unknown = JSON.parse(JSON.stringify(manifest));
  const document = parseDocument(stringify(plain, { aliasDuplicateObjects: false, lineWidth: 0 }));
  visit(document, {
    Scalar(_key, node) {
      // Whatever the value is, the string stays one.
      if (isScalar(node) && isComposite(node.value)) node.type = Scalar.QUOTE_SINGLE;
    },
  });
  return document
    .toString({ lineWidth: 0 })
    .split('\n')
    .map((line) => expand(line))
    .join('\n');
}

function isComposite(value: unknown): boolean {
  return typeof value === 'string' && value.includes(`${OPEN}text `);
}

const ALONE = new RegExp(`^( *)(.*?)${OPEN}(\\w+) ([^${CLOSE}]*)${CLOSE}$`);
const WITHIN = new RegExp(`${OPEN}text ([^${CLOSE}]*)${CLOSE}`, 'g');

function expand(line: string): string {
  const [, spaces, before, form, expression] = ALONE.exec(line) ?? [];
  const deeper = (spaces ?? '').length + 2;
  switch (form) {
    case 'object':
    case 'array':
      return `${spaces}${before}{{- toYaml (${expression}) | nindent ${deeper} }}`;
    case 'block':
      return `${spaces}${before}|-\n{{ ${expression} | indent ${deeper} }}`;
    case 'string':
      return `${spaces}${before}{{ ${expression} | quote }}`;
    case 'integer':
    case 'boolean':
    case 'intOrString':
      return `${spaces}${before}{{ ${expression} }}`;
    default:
      // Braces of the manifest's own, as in legends of dashboards, are text.
      return line
        .replaceAll('{{', '{{ "{{" }}')
        .replace(WITHIN, (_all, inner: string) => `{{ ${inner} }}`);
  }
}
