/**
 * The lines of one proxy's exposition (Prometheus text 0.0.4) for an answer that holds those of many: each sample gets the labels that
 * tell which proxy it is of. What is no sample is dropped: one proxy's broken answer must not spoil those of the others.
 */

/** A name, labels with quoted values, a value, perhaps a time. */
const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"{}]|"(?:[^"\\]|\\.)*")*)\})?\s+([+-]?(?:\d[\d.eE+-]*|Inf|NaN))(?:\s+-?\d+)?$/;
const COMMENT = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: (.*))?$/;
const TYPES: ReadonlySet<string> = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);

export class Relabel {
  readonly #labels: readonly (readonly [name: string, text: string])[];
  readonly #all: string;
  /** Metrics whose help and type have been told, by whichever proxy was the first. */
  readonly #told: Set<string>;
  /** Lines that were no samples. */
  dropped = 0;

  constructor(labels: Readonly<Record<string, string>>, told: Set<string>) {
    this.#labels = Object.entries(labels).map(([name, value]) => [
      name,
      `${name}="${escapeValue(value)}"`,
    ]);
    this.#all = this.#labels.map(([, text]) => text).join(',');
    this.#told = told;
  }

  /** Without line break; empty for what is left out. */
  line(text: string): string {
    if (text === '') return '';
    if (text.startsWith('#')) return this.#comment(text);
    const match = SAMPLE.exec(text);
    if (match === null) {
      this.dropped += 1;
      return '';
    }
    const [, name, own = '', value] = match;
    const labels = own.replace(/,\s*$/, '');
    return `${name}{${this.#added(labels)}${labels === '' ? '' : `,${labels}`}} ${value}\n`;
  }

  /** A label that the series has already is its own. */
  #added(labels: string): string {
    const isTaken = (name: string) =>
      labels.startsWith(`${name}="`) || labels.includes(`,${name}="`);
    if (!this.#labels.some(([name]) => isTaken(name))) return this.#all;
    const free = this.#labels.filter(([name]) => !isTaken(name));
    // At least one stays, so that commas are right whatever the series has.
    return free.map(([, text]) => text).join(',') || 'federated="true"';
  }

  #comment(text: string): string {
    const [, kind, name, rest = ''] = COMMENT.exec(text) ?? [];
    if (kind === undefined) return '';
    const key = `${kind} ${name}`;
    if (this.#told.has(key) || (kind === 'TYPE' && !TYPES.has(rest))) return '';
    this.#told.add(key);
    return `${text}\n`;
  }
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
