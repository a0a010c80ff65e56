/** Numbers, nodes and health in the words of the terminal. Pure. */
import type { Health } from '#console/api/health.ts';
import type { Colour, Palette } from '../../output/table.ts';
import { formatBytes } from '../../output/units.ts';

/** `workload/shop/web` → `shop/web`; other kinds say what they are. */
export function nodeText(id: string): string {
  const [kind, ...rest] = id.split('/');
  if (id === 'unknown') return 'outside the mesh';
  const name = rest.join('/');
  return kind === 'workload' || kind === 'app' ? name : `${kind} ${name}`;
}

export function rateText(perSecond: number): string {
  if (perSecond === 0) return '0/s';
  return perSecond < 0.1
    ? '<0.1/s'
    : `${perSecond < 100 ? perSecond.toFixed(1) : Math.round(perSecond)}/s`;
}

/** Above this share of failed requests it is red, above nothing yellow. */
const ERROR_RATE_RED = 0.01;

export function errorText(rate: number, paint: Palette): string {
  const text = `${(rate * 100).toFixed(rate > 0 && rate < 0.001 ? 2 : 1)}%`;
  if (rate === 0) return text;
  return paint(rate > ERROR_RATE_RED ? 'red' : 'yellow', text);
}

export function msText(ms: number | undefined): string {
  if (ms === undefined) return '-';
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 100 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

/** Whole only when it is: 99.97 % is not all. */
export function shareText(share: number | undefined): string {
  if (share === undefined) return '-';
  const percent = share * 100;
  return `${share < 1 && percent > 99 ? Math.min(percent, 99.9).toFixed(1) : Math.round(percent)}%`;
}

export function bytesText(perSecond: number): string {
  return `${formatBytes(perSecond)}/s`;
}

const COLOURS: Readonly<Record<Health['status'], Colour | undefined>> = {
  healthy: 'green',
  degraded: 'yellow',
  failing: 'red',
  unknown: 'dim',
  idle: 'dim',
};

export function healthText({ status }: Health, paint: Palette): string {
  const colour = COLOURS[status];
  return colour === undefined ? status : paint(colour, status);
}

/** Foreign text may hold what a terminal takes for orders. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '·');
}
