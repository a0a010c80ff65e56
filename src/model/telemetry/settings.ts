/**
 * What proxies measure, log and trace: compiled by control from MeshConfig and Telemetry objects (config/compile/telemetry), carried to
 * proxies as JSON (xds/resources/telemetry.ts), swapped whole. Everything is decided here: a proxy never sees a Telemetry object.
 * Expressions are CEL over the attributes of `expression/attributes.ts`, parsed and checked by control before they leave.
 */
import type { Expression } from './expression/expression.ts';

/** What is in force in one place: a proxy, a namespace, the mesh. */
export interface ScopedTelemetry {
  /** Name of the resource; see `scopes.ts`. */
  readonly scope: string;
  /** For what a proxy takes in for others: waypoints, the inbound side of node proxies. Istio's SERVER. */
  readonly server: TelemetrySettings;
  /** For what a proxy sends out: gateways, the outbound side of node proxies. Istio's CLIENT. */
  readonly client: TelemetrySettings;
  /** At a waypoint, by `namespace/hostname`: services of which other settings than `server` are in force. */
  readonly services?: Readonly<Record<string, TelemetrySettings>>;
}

export interface TelemetrySettings {
  readonly metrics: MetricsSettings;
  readonly accessLog: AccessLogSettings;
  readonly tracing: TracingSettings;
}

/** Istio's metrics by the names of its Telemetry API. */
export const METRIC_KEYS = [
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
] as const;
export type MetricKey = (typeof METRIC_KEYS)[number];

export interface MetricsSettings {
  /** None of Istio's metrics; the proxy's own (`tulle_*`, `istio_build`, …) stay. */
  readonly disabled: boolean;
  /** Metrics that are not as they come. */
  readonly overrides: Readonly<Partial<Record<MetricKey, MetricOverride>>>;
}

export interface MetricOverride {
  readonly disabled: boolean;
  /** Sorted by name. */
  readonly tags: readonly TagOverride[];
}

/** Without `expression` the label is left out; with it, it has the expression's value, and `unknown` where there is none. */
export interface TagOverride {
  readonly name: string;
  readonly expression?: Expression;
}

export interface AccessLogSettings {
  /** None: no access log. Sorted by provider. */
  readonly outputs: readonly AccessLogOutput[];
}

export interface AccessLogOutput {
  /** Name of the extension provider; empty for MeshConfig's own file. */
  readonly provider: string;
  readonly sink: AccessLogSink;
  readonly format: AccessLogFormatSetting;
  /** What it is not true of is not written (`compileFilter` in expression/evaluate.ts). */
  readonly filter?: Expression;
  /** Fields without value are left out of JSON, and empty (not `-`) in text. */
  readonly omitsEmpty?: boolean;
}

export type AccessLogSink =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'otlp';
      readonly collector: CollectorAddress;
      readonly logName: string;
    };

/** `standard`: Istio's own fields; without encoding as the proxy was told to at its start. Templates are Envoy's: `%OPERATOR%`. */
export type AccessLogFormatSetting =
  | { readonly kind: 'standard'; readonly encoding?: 'text' | 'json' }
  | { readonly kind: 'text'; readonly template: string }
  | { readonly kind: 'json'; readonly fields: JsonTemplate }
  /** Body and attributes of an OTLP log record. */
  | {
      readonly kind: 'otlp';
      readonly body: string | undefined;
      readonly attributes: Readonly<Record<string, string>>;
    };

export type JsonTemplate = { readonly [key: string]: JsonTemplateValue };
export type JsonTemplateValue =
  | string
  | number
  | boolean
  | null
  | JsonTemplate
  | readonly JsonTemplateValue[];

/** A service that takes OTLP. */
export interface CollectorAddress {
  /** Host name, as a client would dial it. */
  readonly host: string;
  readonly port: number;
  /** Namespace of the service, where the provider names it (`namespace/host`). */
  readonly namespace?: string;
}

export interface TracingSettings {
  /** Where spans go; undefined: nowhere outside (the console's own store may have them). */
  readonly provider?: TracingProvider;
  /** No spans at all; what comes with a request is passed on all the same. */
  readonly disabled: boolean;
  /** Of requests that come without a decision: 0 to 100. */
  readonly samplingPercent: number;
  /** Sorted by name. */
  readonly customTags: readonly CustomTag[];
  readonly istioTags: boolean;
  /** The trace follows x-request-id: the decision is taken from and put into it, as Envoy does. */
  readonly usesRequestId: boolean;
  /** Trace headers are taken off, not passed on. */
  readonly stopsContext: boolean;
  /** Characters of the path in a span. */
  readonly pathTagCharsMax: number;
}

/** Of OpenTelemetry: spans leave as OTLP, context is W3C's (B3 that comes in is read and kept). */
export interface TracingProvider {
  readonly name: string;
  readonly protocol: 'otlp-grpc' | 'otlp-http';
  readonly collector: CollectorAddress;
  /** For HTTP: path of the POST, `/v1/traces` where the provider has none. */
  readonly path: string;
  readonly timeoutMs?: number;
  /** HTTP headers, or gRPC metadata. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** Resource attributes out of OTEL_RESOURCE_ATTRIBUTES of the proxy. */
  readonly readsEnvironment: boolean;
  /** `service.name` by OpenTelemetry's conventions for Kubernetes; else the proxy's canonical service and namespace. */
  readonly semanticServiceName: boolean;
}

export type CustomTag =
  | { readonly name: string; readonly kind: 'literal'; readonly value: string }
  | {
      readonly name: string;
      readonly kind: 'environment';
      readonly variable: string;
      readonly defaultValue: string;
    }
  | {
      readonly name: string;
      readonly kind: 'header';
      readonly header: string;
      readonly defaultValue: string;
    }
  /** Envoy's operators, as in an access log. */
  | { readonly name: string; readonly kind: 'formatter'; readonly template: string };

/** What holds before anything is known: Istio's metrics, the standard access log on standard output, one trace in a hundred. */
export const DEFAULT_TELEMETRY: TelemetrySettings = {
  metrics: { disabled: false, overrides: {} },
  accessLog: {
    outputs: [
      {
        provider: '',
        sink: { kind: 'file', path: '/dev/stdout' },
        format: { kind: 'standard' },
      },
    ],
  },
  tracing: {
    disabled: false,
    samplingPercent: 1,
    customTags: [],
    istioTags: true,
    usesRequestId: true,
    stopsContext: false,
    pathTagCharsMax: 256,
  },
};
