/** Aligned text tables for people; colour only on a terminal. JSON output never goes through here. */

export interface TableOptions {
  /** Spaces between columns, kubectl's default. */
  gap?: number;
  /** Columns of the terminal: what does not fit there is a block of lines for each row. Undefined: any width will do. */
  width?: number;
}

export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  const gap = ' '.repeat(options.gap ?? 3);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => visibleLength(row[column] ?? ''))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === cells.length - 1
          ? cell
          : cell + ' '.repeat(widths[column] - visibleLength(cell)),
      )
      .join(gap);
  const lines = [line(header), ...rows.map(line)].map((text) => text.trimEnd());
  const { width = Infinity } = options;
  if (lines.some((text) => visibleLength(text) > width)) return blocksOf(header, rows, gap);
  return lines.map((text) => `${text}\n`).join('');
}

/** Each row as lines of title and value, without those that have none. */
function blocksOf(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  gap: string,
): string {
  const titles = Math.max(...header.map((title) => title.length));
  const blocks = rows.map((row) =>
    row
      .map((cell, column) => [header[column], cell])
      .filter(([, cell]) => cell !== '' && cell !== '-')
      .map(([title, cell]) => `${title.padEnd(titles)}${gap}${cell}\n`)
      .join(''),
  );
  return blocks.join('\n');
}

/** Undefined: no terminal, or one that does not say. */
export function terminalWidth(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns || undefined : undefined;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes start with ESC
const COLOUR = /\u001b\[[0-9;]*m/g;

function visibleLength(text: string): number {
  return text.replace(COLOUR, '').length;
}

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim';
const CODES: Record<Colour, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

export type Palette = (colour: Colour, text: string) => string;

/** Colours on a terminal unless NO_COLOR is set (https://no-color.org). */
export function paletteFor(
  stream: { isTTY?: boolean },
  environment: Record<string, string | undefined>,
): Palette {
  const enabled = stream.isTTY === true && environment.NO_COLOR === undefined;
  return (colour, text) => (enabled ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text);
}

/** Kubernetes-style age: 45s, 12m, 3h5m, 4d2h. */
export function formatAge(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 120) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 10) return whole % 60 === 0 ? `${minutes}m` : `${minutes}m${whole % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  return days < 8 && hours % 24 !== 0 ? `${days}d${hours % 24}h` : `${days}d`;
}
