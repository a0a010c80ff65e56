/** Exports: what a chart, table or graph shows, as a file. Everything is made in the browser. */
import { Download } from 'lucide-react';
import { MenuItem, Popover } from './popover.tsx';

export interface ExportChoice {
  readonly format: 'PNG' | 'SVG' | 'CSV' | 'JSON';
  readonly make: () => Blob | string | Promise<Blob | string>;
}

const TYPES = {
  PNG: 'image/png',
  SVG: 'image/svg+xml',
  CSV: 'text/csv',
  JSON: 'application/json',
} as const;

/** `name` without ending. */
export function ExportMenu({ name, choices }: { name: string; choices: readonly ExportChoice[] }) {
  const save = async (choice: ExportChoice) => {
    const made = await choice.make();
    download(
      `${name}.${choice.format.toLowerCase()}`,
      typeof made === 'string' ? new Blob([made], { type: TYPES[choice.format] }) : made,
    );
  };
  return (
    <Popover label="Export" look="quiet" align="end" button={<Download aria-hidden="true" />}>
      {(close) =>
        choices.map((choice) => (
          <MenuItem
            key={choice.format}
            onClick={() => {
              close();
              void save(choice);
            }}
          >
            Save as {choice.format}
          </MenuItem>
        ))
      }
    </Popover>
  );
}

function download(name: string, blob: Blob): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}

/** RFC 4180; what a spreadsheet would take for a formula is quoted as text. */
export function toCsv(
  header: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
): string {
  return `${[header, ...rows].map((row) => row.map(csvCell).join(',')).join('\r\n')}\r\n`;
}

function csvCell(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** An SVG element of the page with the colours that it has there, on its own. */
export function svgText(element: SVGSVGElement): string {
  const copy = element.cloneNode(true) as SVGSVGElement;
  const shown = [element, ...element.querySelectorAll('*')];
  const copied = [copy, ...copy.querySelectorAll('*')] as SVGElement[];
  for (const [at, each] of shown.entries()) {
    const style = getComputedStyle(each);
    for (const name of [
      'fill',
      'stroke',
      'color',
      'font-family',
      'font-size',
      'opacity',
      'stroke-width',
    ])
      copied[at].style.setProperty(name, style.getPropertyValue(name));
  }
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  return new XMLSerializer().serializeToString(copy);
}
