/** A pen that writes SVG: the same painting as a file that stays sharp. */
import type { Pen } from './pen.ts';

const escaped = (text: string) =>
  text.replace(
    /[<>&"]/g,
    (sign) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[sign]!,
  );
const n = (value: number) => String(Math.round(value * 100) / 100);

export class SvgPen implements Pen {
  fillStyle: unknown = '#000';
  strokeStyle: unknown = '#000';
  lineWidth = 1;
  lineCap: CanvasLineCap = 'butt';
  globalAlpha = 1;
  font = '';
  textAlign: CanvasTextAlign = 'left';
  textBaseline: CanvasTextBaseline = 'alphabetic';
  lineDashOffset = 0;
  #dashes: number[] = [];
  #path: string[] = [];
  readonly #parts: string[] = [];

  beginPath(): void {
    this.#path = [];
  }
  closePath(): void {
    this.#path.push('Z');
  }
  moveTo(x: number, y: number): void {
    this.#path.push(`M${n(x)} ${n(y)}`);
  }
  lineTo(x: number, y: number): void {
    this.#path.push(`L${n(x)} ${n(y)}`);
  }
  bezierCurveTo(ax: number, ay: number, bx: number, by: number, x: number, y: number): void {
    this.#path.push(`C${n(ax)} ${n(ay)} ${n(bx)} ${n(by)} ${n(x)} ${n(y)}`);
  }
  /** Only whole circles are drawn. */
  arc(x: number, y: number, radius: number): void {
    this.#path.push(
      `M${n(x - radius)} ${n(y)}a${n(radius)} ${n(radius)} 0 1 1 ${n(2 * radius)} 0a${n(radius)} ${n(radius)} 0 1 1 ${n(-2 * radius)} 0Z`,
    );
  }
  roundRect(x: number, y: number, width: number, height: number, radius: number): void {
    const r = Math.min(radius, width / 2, height / 2);
    const corner = `a${n(r)} ${n(r)} 0 0 1`;
    this.#path.push(
      `M${n(x + r)} ${n(y)}h${n(width - 2 * r)}${corner} ${n(r)} ${n(r)}v${n(height - 2 * r)}${corner} ${n(-r)} ${n(r)}h${n(2 * r - width)}${corner} ${n(-r)} ${n(-r)}v${n(2 * r - height)}${corner} ${n(r)} ${n(-r)}Z`,
    );
  }
  setLineDash(dashes: number[]): void {
    this.#dashes = dashes;
  }

  fill(): void {
    this.#parts.push(`<path d="${this.#path.join('')}" fill="${this.fillStyle}"${this.#alpha()}/>`);
  }

  stroke(): void {
    const dash =
      this.#dashes.length === 0
        ? ''
        : ` stroke-dasharray="${this.#dashes.map(n).join(' ')}" stroke-dashoffset="${n(this.lineDashOffset)}"`;
    this.#parts.push(
      `<path d="${this.#path.join('')}" fill="none" stroke="${this.strokeStyle}" stroke-width="${n(this.lineWidth)}"${dash}${this.#alpha()}/>`,
    );
  }

  fillText(text: string, x: number, y: number): void {
    const [weight, size] = this.font.split(' ');
    const anchor = this.textAlign === 'center' ? ' text-anchor="middle"' : '';
    const line = this.textBaseline === 'middle' ? ' dominant-baseline="central"' : '';
    this.#parts.push(
      `<text x="${n(x)}" y="${n(y)}" font-weight="${weight}" font-size="${size}" fill="${this.fillStyle}"${anchor}${line}${this.#alpha()}>${escaped(text)}</text>`,
    );
  }

  #alpha(): string {
    return this.globalAlpha === 1 ? '' : ` opacity="${n(this.globalAlpha)}"`;
  }

  /** The whole file; `box` is what of the world it shows. */
  document(box: { x: number; y: number; width: number; height: number }, ground: string): string {
    const view = `${n(box.x)} ${n(box.y)} ${n(box.width)} ${n(box.height)}`;
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${view}" width="${n(box.width)}" height="${n(box.height)}" font-family="Inter, system-ui, sans-serif"><rect x="${n(box.x)}" y="${n(box.y)}" width="${n(box.width)}" height="${n(box.height)}" fill="${ground}"/>${this.#parts.join('')}</svg>`;
  }
}
