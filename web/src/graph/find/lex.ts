/** Words of a find or hide expression. Pure. */

export interface Token {
  readonly kind: 'word' | 'operator' | 'text' | 'open' | 'close' | 'end';
  readonly text: string;
  /** Where it begins. */
  readonly at: number;
}

export class ExpressionError extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const PATTERN = /\s*(?:(!=|!~|>=|<=|[=><~!])|(\()|(\))|"([^"]*)"|'([^']*)'|([^\s()=!<>~"']+))/y;

export function lex(source: string): Token[] {
  const tokens: Token[] = [];
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < source.trimEnd().length) {
    const before = PATTERN.lastIndex;
    const match = PATTERN.exec(source);
    if (match === null) throw new ExpressionError('a quote is not closed', before);
    const [whole, operator, open, close, double, single, word] = match;
    const at = before + whole.length - whole.trimStart().length;
    const text = operator ?? open ?? close ?? double ?? single ?? word;
    const isQuoted = double !== undefined || single !== undefined;
    const kind = operator
      ? 'operator'
      : open
        ? 'open'
        : close
          ? 'close'
          : isQuoted
            ? 'text'
            : 'word';
    tokens.push({ kind, text, at });
  }
  return [...tokens, { kind: 'end', text: '', at: source.length }];
}
