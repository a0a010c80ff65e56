/** The answer to a scrape, in the format that was asked for, rendered piece by piece. */
import { EXPOSITION_CONTENT_TYPE, expositionFormat } from '../metrics/exposition.ts';
import type { MetricRegistry } from '../metrics/registry.ts';
import type { MetricSample } from '../metrics/samples.ts';
import { piecewise } from './json-stream.ts';

/** `others` are the samples of this process's other threads. */
export function answerMetrics(
  registry: MetricRegistry,
  request: Request,
  others: readonly MetricSample[] = [],
): Response {
  const format = expositionFormat(request.headers.get('accept'));
  return piecewise(registry.exposeParts(others, format), EXPOSITION_CONTENT_TYPE[format]);
}
