/**
 * Scales and ticks of every chart: a value to a place, and the few round values worth a label. Pure; the pages draw what comes out.
 * A domain never has a width of 0, so no chart divides by it.
 */

export interface Tick {
  readonly value: number;
  readonly at: number;
  readonly label: string;
}

export type Scale = (value: number) => number;

export function linearScale(domain: readonly [number, number], range: readonly [number, number]) {
  const [low, high] = domain;
  const width = high - low || 1;
  return (value: number) => range[0] + ((value - low) / width) * (range[1] - range[0]);
}

const STEPS = [1, 2, 2.5, 5, 10];

/** The smallest of 1, 2, 2.5, 5 × 10ⁿ that reaches `max` in at most `count` steps. */
export function niceStep(max: number, count: number): number {
  if (!(max > 0)) return 1;
  const rough = max / count;
  const decade = 10 ** Math.floor(Math.log10(rough));
  return decade * STEPS.find((step) => step * decade >= rough * 0.999_999)!;
}

/** Round values from 0 to the first one that is not below `max`; at least 0 and one more. */
export function niceValues(max: number, count = 4): number[] {
  const step = niceStep(max, count);
  const top = Math.max(1, Math.ceil((max / step) * 0.999_999));
  return Array.from({ length: top + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((each) => each * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((each) => each * MINUTE),
  ...[1, 2, 3, 6, 12].map((each) => each * HOUR),
  ...[1, 2, 7, 14].map((each) => each * DAY),
];

export interface TimeTicks {
  readonly fromMs: number;
  readonly toMs: number;
  /** Of the drawing, in pixels. */
  readonly width: number;
  /** Pixels that a label takes with its air. */
  readonly labelWidth?: number;
  /** Minutes east of UTC; the reader's when absent. */
  readonly offsetMinutes?: number;
}

/** Whole minutes, hours and days of the reader's clock, as many as have room. */
export function timeTicks({ fromMs, toMs, width, labelWidth = 72, ...rest }: TimeTicks): Tick[] {
  const room = Math.max(1, Math.floor(width / labelWidth));
  const step = TIME_STEPS.find((each) => (toMs - fromMs) / each <= room) ?? TIME_STEPS.at(-1)!;
  const offset = (rest.offsetMinutes ?? -new Date(fromMs).getTimezoneOffset()) * MINUTE;
  const place = linearScale([fromMs, toMs], [0, width]);
  const ticks: Tick[] = [];
  for (let at = Math.ceil((fromMs + offset) / step) * step; at - offset <= toMs; at += step)
    ticks.push({ value: at - offset, at: place(at - offset), label: timeLabel(at, step) });
  return ticks;
}

/** `localMs` is shifted to the reader's clock already. */
function timeLabel(localMs: number, stepMs: number): string {
  const text = new Date(localMs).toISOString();
  if (stepMs < MINUTE) return text.slice(11, 19);
  if (stepMs >= DAY || localMs % DAY === 0)
    return `${Number(text.slice(8, 10))} ${MONTHS[Number(text.slice(5, 7)) - 1]}`;
  return text.slice(11, 16);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
