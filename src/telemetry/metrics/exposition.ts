/** Prometheus text exposition (format 0.0.4): label rendering once per series, families on each scrape. */
import type { Family } from './registry.ts';
import { Histogram, type SeriesState } from './series.ts';

export function renderLabels(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  const pairs = names.map((name, index) => `${name}="${escapeValue(values[index])}"`);
  return `{${pairs.join(',')}}`;
}

export function* renderFamily(family: Family<SeriesState>): Iterable<string> {
  if (family.series.size === 0) return;
  yield `# HELP ${family.name} ${escapeHelp(family.help)}\n# TYPE ${family.name} ${family.type}\n`;
  for (const series of family.series.values()) {
    if (series instanceof Histogram) yield renderHistogram(family.name, series);
    else
      yield `${family.name}${series.labels} ${(series as SeriesState & { value: number }).value}\n`;
  }
}

function renderHistogram(name: string, series: Histogram): string {
  const open = series.labels === '' ? '{' : `${series.labels.slice(0, -1)},`;
  let cumulative = 0;
  let text = '';
  for (let index = 0; index < series.bounds.length; index += 1) {
    cumulative += series.buckets[index];
    text += `${name}_bucket${open}le="${series.bounds[index]}"} ${cumulative}\n`;
  }
  text += `${name}_bucket${open}le="+Inf"} ${series.count}\n`;
  return `${text}${name}_sum${series.labels} ${series.sum}\n${name}_count${series.labels} ${series.count}\n`;
}

function escapeValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
