/** Tracing settings as the path reads them, compiled once for each settings object: numbers, and tags with the environment looked up. */
import { type LogFormatter, textRenderer } from '#model/telemetry/log-template.ts';
import type { CustomTag, TracingProvider, TracingSettings } from '#model/telemetry/settings.ts';
import type { TraceRules } from './request-trace.ts';

/** A tag without value is left out. */
const WITHOUT_DASH = { omitsEmpty: true, clean: (text: string) => text };

export type CompiledTag =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly header: string; readonly otherwise: string }
  | { readonly name: string; readonly render: LogFormatter };

export interface CompiledTracing extends TraceRules {
  /** Where its spans go besides the control plane. */
  readonly provider: TracingProvider | undefined;
  readonly tags: readonly CompiledTag[];
  readonly istioTags: boolean;
  readonly pathCharsMax: number;
  /** `service.name` is the workload's name alone. */
  readonly semanticServiceName: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const known = new WeakMap<TracingSettings, CompiledTracing>();

export function tracingRules(settings: TracingSettings, environment: Environment): CompiledTracing {
  let rules = known.get(settings);
  if (rules === undefined) {
    rules = compile(settings, environment);
    known.set(settings, rules);
  }
  return rules;
}

function compile(settings: TracingSettings, environment: Environment): CompiledTracing {
  const { disabled, usesRequestId, stopsContext, istioTags } = settings;
  return {
    samplingPercent: disabled ? 0 : settings.samplingPercent,
    usesRequestId,
    stopsContext,
    reports: !disabled,
    provider: settings.provider,
    tags: settings.customTags.map((tag) => compileTag(tag, environment)),
    istioTags,
    pathCharsMax: settings.pathTagCharsMax,
    semanticServiceName: settings.provider?.semanticServiceName === true,
  };
}

function compileTag(tag: CustomTag, environment: Environment): CompiledTag {
  const { name } = tag;
  switch (tag.kind) {
    case 'literal':
      return { name, value: tag.value };
    case 'environment':
      return { name, value: environment[tag.variable] || tag.defaultValue };
    case 'header':
      return { name, header: tag.header.toLowerCase(), otherwise: tag.defaultValue };
    case 'formatter':
      return { name, render: textRenderer(tag.template, WITHOUT_DASH) };
  }
}
