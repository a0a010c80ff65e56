/** Numbers and times as they are shown: few digits, always with their unit, tabular. Pure. */

/** Three significant digits at most, no exponent: 0, 0.04, 3.2, 48, 1,240, 12.4k. */
export function amount(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 0.01) return '<0.01';
  if (size < 1) return trimmed(value.toFixed(2));
  if (size < 10) return trimmed(value.toFixed(1));
  if (size < 10_000) return grouped(Math.round(value));
  if (size < 1_000_000) return `${trimmed((value / 1000).toFixed(1))}k`;
  return `${trimmed((value / 1_000_000).toFixed(1))}M`;
}

/** 1,240. Of whole numbers. Thousands of labels are made at once: asking for a locale takes ten times as long. */
function grouped(value: number): string {
  return Math.abs(value) < 1000 ? String(value) : String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

function trimmed(text: string): string {
  return text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text;
}

export const rate = (perSecond: number): string => `${amount(perSecond)} req/s`;
export const connectionRate = (perSecond: number): string => `${amount(perSecond)} conn/s`;

export const PROTOCOL_WORDS = { http: 'HTTP', grpc: 'gRPC', tcp: 'TCP' } as const;

/** A share from 0 to 1. What is not all is never shown as 100 %, and what is not nothing never as 0 %. */
export function percent(share: number): string {
  if (share === 0) return '0 %';
  if (share === 1) return '100 %';
  const value = share * 100;
  if (value < 0.1) return '<0.1 %';
  if (value > 99.9) return '>99.9 %';
  return `${value < 10 || value > 90 ? trimmed(value.toFixed(1)) : Math.round(value)} %`;
}

export function millis(value: number | undefined): string {
  if (value === undefined) return '–';
  if (value < 1) return `${trimmed(value.toFixed(2))} ms`;
  if (value < 10) return `${trimmed(value.toFixed(1))} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  return `${trimmed((value / 1000).toFixed(2))} s`;
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = value;
  let at = 0;
  while (size >= 1000 && at < units.length - 1) {
    size /= 1000;
    at += 1;
  }
  return `${at === 0 ? Math.round(size) : trimmed(size.toFixed(size < 10 ? 1 : 0))} ${units[at]}`;
}

export const byteRate = (perSecond: number): string => `${bytes(perSecond)}/s`;

/** `4 s`, `12 min`, `3 h`, `2 d`. */
export function span(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 90) return `${Math.round(size)} s`;
  if (size < 5400) return `${Math.round(size / 60)} min`;
  if (size < 129_600) return `${Math.round(size / 3600)} h`;
  return `${Math.round(size / 86_400)} d`;
}

export function relative(at: string | number, nowMs: number): string {
  const seconds = (nowMs - new Date(at).getTime()) / 1000;
  if (Math.abs(seconds) < 1.5) return 'now';
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(seconds)}`;
}

/** For hovering: the reader's own time, to the second. */
export function absolute(at: string | number): string {
  return new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
}

/** `14:03:07`. */
export function clockTime(at: string | number): string {
  return new Date(at).toLocaleTimeString('en-GB');
}

export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}
