/** tulle.v1.Telemetry: what is measured, logged and traced in one place, as JSON of the model. */
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import { decodeJson, encodeJson, isObject, missingList } from './json.ts';
import type { Decoded, ResourceType } from './resource-type.ts';

const SINKS: ReadonlySet<unknown> = new Set(['file', 'otlp']);
const FORMATS: ReadonlySet<unknown> = new Set(['standard', 'text', 'json', 'otlp']);

export const TELEMETRY: ResourceType<ScopedTelemetry> = {
  typeUrl: 'type.googleapis.com/tulle.v1.Telemetry',
  name: ({ scope }) => scope,
  encode: encodeJson,
  decode(bytes): Decoded<ScopedTelemetry> {
    const json = decodeJson(bytes);
    if (typeof json === 'string') return { reason: json };
    if (typeof json.scope !== 'string') return { reason: 'field scope is missing or malformed' };
    const { services = {} } = json;
    if (!isObject(services)) return { reason: 'field services is malformed' };
    const all = { server: json.server, client: json.client, ...services };
    for (const [name, settings] of Object.entries(all)) {
      const reason = problemOf(settings);
      if (reason !== undefined) return { reason: `${name}: ${reason}` };
    }
    return { value: json as unknown as ScopedTelemetry };
  },
  aliases: () => [],
};

/** Of a newer control plane there may be outputs that this proxy does not have: the last good settings stay. */
function problemOf(settings: unknown): string | undefined {
  if (!isObject(settings)) return 'no settings';
  const { metrics, accessLog, tracing } = settings;
  if (!isObject(metrics) || !isObject(metrics.overrides)) return 'no settings of metrics';
  if (!isObject(accessLog) || missingList(accessLog, ['outputs']) !== undefined)
    return 'no outputs of the access log';
  for (const { sink, format } of accessLog.outputs as Record<string, unknown>[]) {
    if (!isObject(sink) || !SINKS.has(sink.kind)) return 'an access log to an unknown place';
    if (!isObject(format) || !FORMATS.has(format.kind)) return 'an access log of unknown format';
  }
  if (!isObject(tracing) || typeof tracing.samplingPercent !== 'number')
    return 'no settings of traces';
  return undefined;
}
