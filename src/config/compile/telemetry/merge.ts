/**
 * Lays Telemetries over one another and over MeshConfig: what one proxy does for one direction. The rules are Istio's
 * (pilot/pkg/model/telemetry.go: mergeMetrics, mergeLogs, Tracing): providers replace those of the level above, metric overrides are
 * merged label by label, custom tags are replaced whole.
 */

import type { Expression } from '#model/telemetry/expression/expression.ts';
import {
  type AccessLogOutput,
  METRIC_KEYS,
  type MetricKey,
  type MetricOverride,
  type MetricsSettings,
  type TelemetrySettings,
  type TracingSettings,
} from '#model/telemetry/settings.ts';
import type { CompiledLogging, CompiledTelemetry, Mode } from './compiled.ts';
import type { MeshTelemetry, ProxyTracing } from './mesh.ts';
import { PATH_TAG_CHARS_DEFAULT } from './mesh.ts';

/** `levels` from the outermost to the innermost. */
export function mergeTelemetry(
  mesh: MeshTelemetry,
  levels: readonly CompiledTelemetry[],
  { mode, proxy = mesh.proxy }: { readonly mode: Mode; readonly proxy?: ProxyTracing },
): TelemetrySettings {
  return {
    metrics: mergeMetrics(mesh, levels, mode),
    accessLog: { outputs: mergeLogs(mesh, levels, mode) },
    tracing: mergeTracing(mesh, levels, { mode, proxy }),
  };
}

type Tags = Map<string, Expression | undefined>;

function mergeMetrics(
  mesh: MeshTelemetry,
  levels: readonly CompiledTelemetry[],
  mode: Mode,
): MetricsSettings {
  const all = levels.flatMap(({ metrics }) => metrics);
  const named = all.filter(({ providers }) => providers.length > 0);
  const inScope = named.at(-1)?.providers ?? mesh.defaults.metrics;
  const ours = inScope.filter((name) => mesh.providers.get(name.toLowerCase())?.hasMetrics);
  // There is one way out for metrics: what any provider of the kind is told holds for it.
  const isOurs = new Set(ours);
  let isOff = ours.length === 0;
  const disabled = new Map<MetricKey, boolean>();
  const tags = new Map<MetricKey, Tags>();
  let providers = mesh.defaults.metrics;
  for (const level of all) {
    if (level.providers.length > 0) providers = level.providers;
    if (!providers.some((name) => isOurs.has(name))) continue;
    for (const override of level.overrides) {
      if (!override.modes.includes(mode)) continue;
      if (override.isForAll && override.disabled === true) {
        isOff = true;
        continue;
      }
      // As Istio: a narrower level that says anything more turns them on again.
      isOff = ours.length === 0;
      for (const metric of override.metrics) {
        if (override.disabled !== undefined) disabled.set(metric, override.disabled);
        const known = tags.get(metric) ?? new Map();
        for (const [name, { expression }] of Object.entries(override.tags))
          known.set(name, expression);
        tags.set(metric, known);
      }
    }
  }
  const overrides: Partial<Record<MetricKey, MetricOverride>> = {};
  for (const metric of METRIC_KEYS) {
    const own = tags.get(metric) ?? new Map<string, Expression>();
    const isDisabled = disabled.get(metric) === true;
    if (own.size === 0 && !isDisabled) continue;
    overrides[metric] = { disabled: isDisabled, tags: tagsInOrder(own) };
  }
  return isOff ? { disabled: true, overrides: {} } : { disabled: false, overrides };
}

function tagsInOrder(tags: Tags): MetricOverride['tags'] {
  return [...tags]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, expression]) => (expression === undefined ? { name } : { name, expression }));
}

function mergeLogs(
  mesh: MeshTelemetry,
  levels: readonly CompiledTelemetry[],
  mode: Mode,
): AccessLogOutput[] {
  const applies = (logging: CompiledLogging) => logging.modes.includes(mode);
  const naming = levels.flatMap(({ accessLogging }) => {
    const names = accessLogging.filter(applies).flatMap(({ providers }) => providers);
    return names.length > 0 ? [names] : [];
  });
  const inScope = new Set(naming.at(-1) ?? mesh.defaults.accessLogging);
  const chosen = new Map<string, { readonly filter?: Expression } | 'disabled'>();
  const all = levels.flatMap(({ accessLogging }) => accessLogging);
  if (all.length === 0) for (const name of inScope) chosen.set(name, {});
  let providers = mesh.defaults.accessLogging;
  for (const logging of all) {
    if (logging.providers.length > 0) providers = logging.providers;
    if (!applies(logging)) continue;
    for (const name of providers) {
      if (!inScope.has(name)) continue;
      // Istio forgets the filter of a level that names no provider; its documents promise it.
      chosen.set(name, logging.disabled ? 'disabled' : { filter: logging.filter });
    }
  }
  // What only the other direction was spoken of stays as it was.
  if (!all.some(applies)) for (const name of inScope) chosen.set(name, {});
  const outputs = [...chosen].flatMap(([name, choice]): AccessLogOutput[] => {
    const output = mesh.providers.get(name.toLowerCase())?.accessLog;
    if (output === undefined || choice === 'disabled') return [];
    const { filter } = choice;
    return [filter === undefined ? output : { ...output, filter }];
  });
  return outputs.sort((left, right) => (left.provider < right.provider ? -1 : 1));
}

function mergeTracing(
  mesh: MeshTelemetry,
  levels: readonly CompiledTelemetry[],
  { mode, proxy }: { readonly mode: Mode; readonly proxy: ProxyTracing },
): TracingSettings {
  const all = levels.flatMap(({ tracing }) => tracing).filter(({ modes }) => modes.includes(mode));
  const last = <T>(pick: (tracing: (typeof all)[number]) => T | undefined): T | undefined =>
    all.map(pick).findLast((value) => value !== undefined);
  const named = last(({ providers }) => providers[0]) ?? mesh.defaults.tracing[0];
  const provider = named === undefined ? undefined : mesh.providers.get(named.toLowerCase());
  const isSpoken = all.length > 0 || mesh.defaults.tracing.length > 0;
  const customTags = last((tracing) => tracing.customTags) ?? [];
  const tracing = provider?.tracing;
  return {
    ...(tracing && { provider: tracing }),
    // MeshConfig's switch is of the time before the Telemetry API: whoever uses that is not bound by it.
    disabled: last((each) => each.disabled) ?? (!isSpoken && mesh.tracesNothing),
    samplingPercent: last((each) => each.samplingPercent) ?? proxy.samplingPercent,
    customTags: customTags.length > 0 ? customTags : proxy.customTags,
    istioTags: last((each) => each.istioTags) ?? (isSpoken ? true : proxy.istioTags),
    usesRequestId: last((each) => each.usesRequestId) ?? true,
    stopsContext: last((each) => each.stopsContext) ?? false,
    pathTagCharsMax: provider?.pathTagCharsMax ?? proxy.pathTagCharsMax ?? PATH_TAG_CHARS_DEFAULT,
  };
}
