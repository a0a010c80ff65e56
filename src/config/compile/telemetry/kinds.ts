/** Telemetry (telemetry.istio.io) as users write it, the parts of MeshConfig that belong to it, and the shapes of both. */
import type { ConfigObject } from '../istio-kinds.ts';
import type { Shape } from '../shape.ts';

export interface ProviderRef {
  name?: string;
}

export interface MetricsSpec {
  providers?: ProviderRef[];
  overrides?: {
    match?: { metric?: string; customMetric?: string; mode?: string };
    disabled?: boolean;
    tagOverrides?: Record<string, { operation?: string; value?: string }>;
  }[];
  reportingInterval?: string;
}

export interface AccessLoggingSpec {
  match?: { mode?: string };
  providers?: ProviderRef[];
  disabled?: boolean;
  filter?: { expression?: string };
}

export interface CustomTagSpec {
  literal?: { value?: string };
  environment?: { name?: string; defaultValue?: string };
  header?: { name?: string; defaultValue?: string };
  formatter?: { value?: string };
}

export interface TracingSpec {
  match?: { mode?: string };
  providers?: ProviderRef[];
  randomSamplingPercentage?: number | string;
  disableSpanReporting?: boolean;
  customTags?: Record<string, CustomTagSpec>;
  enableIstioTags?: boolean;
  useRequestIdForTraceSampling?: boolean;
  disableContextPropagation?: boolean;
}

export interface TargetRef {
  group?: string;
  kind?: string;
  name?: string;
  namespace?: string;
}

export interface TelemetrySpec {
  tracing?: TracingSpec[];
  metrics?: MetricsSpec[];
  accessLogging?: AccessLoggingSpec[];
  selector?: { matchLabels?: Record<string, string> };
  targetRef?: TargetRef;
  targetRefs?: TargetRef[];
}

export type TelemetryObject = ConfigObject<TelemetrySpec>;

const PROVIDERS: Shape = { list: { fields: { name: 'text' } } };
const MODE: Shape = { fields: { mode: 'text' } };
const TARGET: Shape = {
  fields: { group: 'text', kind: 'text', name: 'text', namespace: 'text' },
};
const CUSTOM_TAGS: Shape = {
  map: {
    fields: {
      literal: { fields: { value: 'text' } },
      environment: { fields: { name: 'text', defaultValue: 'text' } },
      header: { fields: { name: 'text', defaultValue: 'text' } },
      formatter: { fields: { value: 'text' } },
    },
  },
};

export const TELEMETRY: Shape = {
  fields: {
    selector: { fields: { matchLabels: { map: 'text' } } },
    targetRef: TARGET,
    targetRefs: { list: TARGET },
    tracing: {
      list: {
        fields: {
          match: MODE,
          providers: PROVIDERS,
          randomSamplingPercentage: 'double',
          disableSpanReporting: 'flag',
          customTags: CUSTOM_TAGS,
          enableIstioTags: 'flag',
          useRequestIdForTraceSampling: 'flag',
          disableContextPropagation: 'flag',
        },
      },
    },
    metrics: {
      list: {
        fields: {
          providers: PROVIDERS,
          reportingInterval: 'text',
          overrides: {
            list: {
              fields: {
                match: { fields: { metric: 'text', customMetric: 'text', mode: 'text' } },
                disabled: 'flag',
                tagOverrides: { map: { fields: { operation: 'text', value: 'text' } } },
              },
            },
          },
        },
      },
    },
    accessLogging: {
      list: {
        fields: {
          match: MODE,
          providers: PROVIDERS,
          disabled: 'flag',
          filter: { fields: { expression: 'text' } },
        },
      },
    },
  },
};

/** Of MeshConfig. */
export interface MeshTelemetrySpec {
  readonly defaultProviders?: {
    readonly metrics?: readonly string[];
    readonly accessLogging?: readonly string[];
    readonly tracing?: readonly string[];
  };
  readonly extensionProviders?: readonly ExtensionProviderSpec[];
  readonly enableTracing?: boolean;
  readonly accessLogFile?: string;
  readonly accessLogFormat?: string;
  readonly accessLogEncoding?: string;
  readonly defaultConfig?: { readonly tracing?: ProxyTracingSpec };
}

/** `defaultConfig.tracing`, and the same in a pod's annotation. */
export interface ProxyTracingSpec {
  readonly sampling?: number | string;
  readonly customTags?: Readonly<Record<string, CustomTagSpec>>;
  readonly maxPathTagLength?: number;
  readonly enableIstioTags?: boolean;
  readonly [collector: string]: unknown;
}

interface HeaderSpec {
  readonly name?: string;
  readonly value?: string;
  readonly envName?: string;
}

export interface OpenTelemetrySpec {
  readonly service?: string;
  readonly port?: number;
  readonly maxTagLength?: number;
  readonly http?: {
    readonly path?: string;
    readonly timeout?: string;
    readonly headers?: readonly HeaderSpec[];
  };
  readonly grpc?: { readonly timeout?: string; readonly initialMetadata?: readonly HeaderSpec[] };
  readonly resourceDetectors?: { readonly environment?: object; readonly dynatrace?: object };
  readonly dynatraceSampler?: object;
  readonly serviceAttributeEnrichment?: string;
}

interface LogFormatSpec {
  readonly text?: string;
  readonly labels?: object;
}

export interface ExtensionProviderSpec {
  readonly name?: string;
  readonly prometheus?: object;
  readonly envoyFileAccessLog?: {
    readonly path?: string;
    readonly logFormat?: LogFormatSpec;
    readonly omitEmptyValues?: boolean;
  };
  readonly envoyOtelAls?: {
    readonly service?: string;
    readonly port?: number;
    readonly logName?: string;
    readonly logFormat?: LogFormatSpec;
  };
  readonly opentelemetry?: OpenTelemetrySpec;
  readonly [other: string]: unknown;
}
