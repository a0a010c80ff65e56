/** What the painter needs of a canvas. A canvas has it by itself; svg-pen.ts writes the same as text. */

export interface Pen {
  fillStyle: unknown;
  strokeStyle: unknown;
  lineWidth: number;
  lineCap: CanvasLineCap;
  globalAlpha: number;
  font: string;
  textAlign: CanvasTextAlign;
  textBaseline: CanvasTextBaseline;
  lineDashOffset: number;
  beginPath(): void;
  closePath(): void;
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  bezierCurveTo(ax: number, ay: number, bx: number, by: number, x: number, y: number): void;
  arc(x: number, y: number, radius: number, from: number, to: number): void;
  roundRect(x: number, y: number, width: number, height: number, radius: number): void;
  fill(): void;
  stroke(): void;
  fillText(text: string, x: number, y: number): void;
  setLineDash(dashes: number[]): void;
}

const UNITS = 0.58;
/** By code: asked for each letter of a thousand names whenever they are painted. */
const UNITS_BY_CODE = Float64Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if ("iljtfrI.,:;|!'()[]/ ".includes(character)) return 0.31;
  if ('mwMW%@'.includes(character)) return 0.86;
  return character >= 'A' && character <= 'Z' ? 0.68 : UNITS;
});

/** Near enough for the console's sans, without asking a canvas. */
export function textWidth(text: string, size: number, isStrong = false): number {
  let units = 0;
  for (let at = 0; at < text.length; at += 1) units += UNITS_BY_CODE[text.charCodeAt(at)] ?? UNITS;
  return units * size * (isStrong ? 1.06 : 1);
}

/** Cut in the middle: both ends of names say most. */
export function fitted(text: string, width: number, size: number, isStrong = false): string {
  if (textWidth(text, size, isStrong) <= width) return text;
  for (let kept = text.length - 1; kept > 3; kept -= 1) {
    const head = Math.ceil(kept * 0.6);
    const cut = `${text.slice(0, head)}…${text.slice(text.length - (kept - head))}`;
    if (textWidth(cut, size, isStrong) <= width) return cut;
  }
  return '';
}

const fonts = new Map<string, string>();

export function setFont(pen: Pen, size: number, isStrong = false): void {
  const key = `${size} ${isStrong}`;
  let font = fonts.get(key);
  if (font === undefined) {
    font = `${isStrong ? 600 : 400} ${size}px "Inter Variable", system-ui, sans-serif`;
    fonts.set(key, font);
  }
  pen.font = font;
}
