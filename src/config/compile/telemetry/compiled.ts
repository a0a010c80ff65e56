/** A Telemetry as it was understood: what `merge.ts` lays over one another. */
import type { Expression } from '#model/telemetry/expression/expression.ts';
import type { CustomTag, MetricKey } from '#model/telemetry/settings.ts';
import type { ObjectIdentity } from '../istio-kinds.ts';

export type Mode = 'CLIENT' | 'SERVER';
export const BOTH_MODES: readonly Mode[] = ['CLIENT', 'SERVER'];

export interface CompiledTelemetry {
  readonly identity: ObjectIdentity;
  /** Undefined: it is for the whole namespace, unless it has targets. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** `Kind/namespace/name`, sorted. */
  readonly targets: readonly string[];
  readonly metrics: readonly CompiledMetrics[];
  readonly accessLogging: readonly CompiledLogging[];
  readonly tracing: readonly CompiledTracing[];
}

export interface CompiledMetrics {
  /** Empty: those of the level above. */
  readonly providers: readonly string[];
  readonly overrides: readonly CompiledMetricOverride[];
}

export interface CompiledMetricOverride {
  readonly metrics: readonly MetricKey[];
  /** All of them were meant. */
  readonly isForAll: boolean;
  readonly modes: readonly Mode[];
  readonly disabled: boolean | undefined;
  /** Without expression: removed. */
  readonly tags: Readonly<Record<string, { readonly expression?: Expression }>>;
}

export interface CompiledLogging {
  readonly modes: readonly Mode[];
  readonly providers: readonly string[];
  readonly disabled: boolean;
  readonly filter?: Expression;
}

export interface CompiledTracing {
  readonly modes: readonly Mode[];
  readonly providers: readonly string[];
  readonly disabled?: boolean;
  readonly samplingPercent?: number;
  readonly customTags?: readonly CustomTag[];
  readonly istioTags?: boolean;
  readonly usesRequestId?: boolean;
  readonly stopsContext?: boolean;
}
