/**
 * What a scrape is answered with: Prometheus' text (format 0.0.4), or OpenMetrics 1.0 with exemplars for those who ask for it. Labels
 * are rendered once per series, families on each scrape.
 */
import type { Family, MetricType } from './registry.ts';
import { type Exemplars, Histogram, type SeriesState } from './series.ts';

export type ExpositionFormat = 'text' | 'openmetrics';

export const EXPOSITION_CONTENT_TYPE: Readonly<Record<ExpositionFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** By the `Accept` header: OpenMetrics where it is named and not put behind plain text by its weight. */
export function expositionFormat(accept: string | null): ExpositionFormat {
  if (accept === null) return 'text';
  let best = 0;
  let format: ExpositionFormat = 'text';
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part.split(';').map((each) => each.trim().toLowerCase());
    const weight = Number(parameters.find((each) => each.startsWith('q='))?.slice(2) ?? 1);
    const version = parameters.find((each) => each.startsWith('version='))?.slice(8);
    const isOpen = type === 'application/openmetrics-text' && (version ?? '1.0.0') === '1.0.0';
    const isText = type === 'text/plain' || type === 'text/*' || type === '*/*';
    if (!(isOpen || isText) || !(weight > best)) continue;
    best = weight;
    format = isOpen ? 'openmetrics' : 'text';
  }
  return format;
}

export function renderLabels(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  const pairs = names.map((name, index) => `${name}="${escapeValue(values[index])}"`);
  return `{${pairs.join(',')}}`;
}

/** OpenMetrics speaks of a counter by its name without `_total`. */
export function familyHead(
  name: string,
  help: string,
  type: MetricType,
  format: ExpositionFormat,
): string {
  const isOpen = format === 'openmetrics';
  const shown = isOpen && type === 'counter' ? name.replace(/_total$/, '') : name;
  const text = isOpen ? escapeValue(help) : escapeHelp(help);
  return `# HELP ${shown} ${text}\n# TYPE ${shown} ${type}\n`;
}

export function* renderFamily(
  family: Family<SeriesState>,
  format: ExpositionFormat,
): Iterable<string> {
  if (family.series.size === 0) return;
  const { name, help, type } = family;
  yield familyHead(name, help, type, format);
  for (const series of family.series.values()) {
    if (series instanceof Histogram) yield renderHistogram(name, series, format);
    else yield `${name}${series.labels} ${(series as SeriesState & { value: number }).value}\n`;
  }
}

function renderHistogram(name: string, series: Histogram, format: ExpositionFormat): string {
  const { bounds, buckets, labels } = series;
  const open = labels === '' ? '{' : `${labels.slice(0, -1)},`;
  const isOpen = format === 'openmetrics';
  const exemplars = isOpen ? series.exemplars : undefined;
  let cumulative = 0;
  let text = '';
  for (let index = 0; index < bounds.length; index += 1) {
    cumulative += buckets[index];
    const bound = bounds[index];
    const shown = isOpen && Number.isInteger(bound) ? `${bound}.0` : bound;
    text += `${name}_bucket${open}le="${shown}"} ${cumulative}${exemplarOf(exemplars, index)}\n`;
  }
  text += `${name}_bucket${open}le="+Inf"} ${series.count}${exemplarOf(exemplars, bounds.length)}\n`;
  return `${text}${name}_sum${labels} ${series.sum}\n${name}_count${labels} ${series.count}\n`;
}

function exemplarOf(exemplars: Exemplars | undefined, bucket: number): string {
  const traceId = exemplars?.traceIds[bucket];
  if (exemplars === undefined || traceId === undefined || traceId === '') return '';
  return ` # {trace_id="${traceId}"} ${exemplars.values[bucket]} ${exemplars.wallMs[bucket] / 1000}`;
}

function escapeValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
