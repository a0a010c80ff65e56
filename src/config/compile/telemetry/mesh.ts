/** What MeshConfig says of telemetry: providers, defaults, and the settings from before there was a Telemetry API. */
import { jsonTemplateProblem, logTemplateProblem } from '#model/telemetry/log-template.ts';
import type {
  AccessLogFormatSetting,
  AccessLogOutput,
  CollectorAddress,
  CustomTag,
  JsonTemplate,
  TracingProvider,
} from '#model/telemetry/settings.ts';
import type { Findings } from '../finding.ts';
import { duration, parseDouble } from '../scalars.ts';
import { customTagsOf } from './compile.ts';
import type {
  ExtensionProviderSpec,
  MeshTelemetrySpec,
  OpenTelemetrySpec,
  ProxyTracingSpec,
} from './kinds.ts';

export interface MeshTelemetry {
  /** By name, in lower case: Istio compares so. */
  readonly providers: ReadonlyMap<string, CompiledProvider>;
  readonly defaults: {
    readonly metrics: readonly string[];
    /** `''` is MeshConfig's own file. */
    readonly accessLogging: readonly string[];
    readonly tracing: readonly string[];
  };
  readonly proxy: ProxyTracing;
  /** `enableTracing: false` was written. */
  readonly tracesNothing: boolean;
}

/** What one provider can do for our proxies; nothing of it: it is known, and not supported. */
export interface CompiledProvider {
  readonly name: string;
  readonly hasMetrics: boolean;
  readonly accessLog?: AccessLogOutput;
  readonly tracing?: TracingProvider;
  readonly pathTagCharsMax?: number;
}

/** Of `defaultConfig.tracing`, or a pod's own. */
export interface ProxyTracing {
  readonly samplingPercent: number;
  readonly customTags: readonly CustomTag[];
  readonly pathTagCharsMax: number | undefined;
  readonly istioTags: boolean;
}

const PATH_TAG_CHARS = 256;
export const PATH_TAG_CHARS_DEFAULT = PATH_TAG_CHARS;
const SAMPLING_PERCENT = 1;
const STDOUT = '/dev/stdout';
/** Istio's names of logs that have none. */
const OTLP_LOG_NAME = 'otel_envoy_accesslog';
const TRACES_PATH = '/v1/traces';

/** Kinds of tracers of Istio that are not OpenTelemetry's. */
const OTHER_TRACERS = ['zipkin', 'lightstep', 'datadog', 'skywalking', 'opencensus'] as const;
const OTHER_LOGS = ['envoyHttpAls', 'envoyTcpAls'] as const;

export function compileMeshTelemetry(spec: MeshTelemetrySpec, findings: Findings): MeshTelemetry {
  const standard = meshFormat(spec, findings);
  checkFormat(standard, 'mesh.accessLogFormat', findings);
  const file = ownFile(spec, standard);
  const providers = new Map<string, CompiledProvider>();
  const builtIn = { name: 'envoy', envoyFileAccessLog: { path: STDOUT } };
  const all: readonly ExtensionProviderSpec[] = [
    { name: 'prometheus', prometheus: {} },
    builtIn,
    ...(spec.extensionProviders ?? []),
  ];
  for (const [at, provider] of all.entries()) {
    const { name = '' } = provider;
    // The built-in ones come first.
    const path = `mesh.extensionProviders[${at - 2}]`;
    providers.set(name.toLowerCase(), compileProvider(provider, { path, standard, findings }));
  }
  providers.set('', { name: '', hasMetrics: false, ...(file && { accessLog: file }) });
  const { metrics, accessLogging = [], tracing = [] } = spec.defaultProviders ?? {};
  const defaults = {
    metrics: metrics ?? ['prometheus'],
    accessLogging: accessLogging.length > 0 ? accessLogging : [''],
    tracing,
  };
  for (const [use, names] of Object.entries(defaults))
    for (const [at, name] of names.entries()) {
      const path = `mesh.defaultProviders.${use}[${at}]`;
      if (!providers.has(name.toLowerCase()))
        findings.missing(path, `there is no extension provider ${name}`, 'add it, or remove this');
    }
  return {
    providers,
    defaults,
    proxy: compileProxyTracing(spec.defaultConfig?.tracing, 'mesh.defaultConfig.tracing', findings),
    tracesNothing: spec.enableTracing === false,
  };
}

/** `spec` of a pod replaces the mesh's member by member, as in Istio. */
export function compileProxyTracing(
  spec: ProxyTracingSpec | undefined,
  path: string,
  findings: Findings,
): ProxyTracing {
  const given = parseDouble(spec?.sampling);
  const isUsable = given !== undefined && given > 0 && given <= 100;
  if (given !== undefined && given !== 0 && !isUsable)
    findings.ineffective(`${path}.sampling`, `${spec?.sampling} is not within 0 to 100: it is 1`);
  for (const tracer of OTHER_TRACERS)
    if (spec?.[tracer] !== undefined)
      findings.ineffective(`${path}.${tracer}`, `proxies do not speak ${tracer}'s protocol`, {
        hint: 'add an extension provider of kind opentelemetry and name it in defaultProviders.tracing',
      });
  return {
    samplingPercent: isUsable ? given : SAMPLING_PERCENT,
    customTags: customTagsOf(spec?.customTags ?? {}, `${path}.customTags`, findings),
    pathTagCharsMax: spec?.maxPathTagLength || undefined,
    istioTags: spec?.enableIstioTags ?? true,
  };
}

/** Undefined: `accessLogFile: ""`. Without any word of it our proxies log, where Istio's do not. */
function ownFile(
  { accessLogFile }: MeshTelemetrySpec,
  format: AccessLogFormatSetting,
): AccessLogOutput | undefined {
  if (accessLogFile === '') return undefined;
  return { provider: '', sink: { kind: 'file', path: accessLogFile ?? STDOUT }, format };
}

function meshFormat(
  { accessLogEncoding, accessLogFormat }: MeshTelemetrySpec,
  findings: Findings,
): AccessLogFormatSetting {
  const encoding =
    accessLogEncoding === 'JSON' ? 'json' : accessLogEncoding === 'TEXT' ? 'text' : undefined;
  if (accessLogEncoding !== undefined && encoding === undefined)
    findings.ineffective('mesh.accessLogEncoding', `${accessLogEncoding} is neither TEXT nor JSON`);
  if (accessLogFormat === undefined || accessLogFormat === '')
    return { kind: 'standard', ...(encoding && { encoding }) };
  if (encoding !== 'json') return { kind: 'text', template: withNewline(accessLogFormat) };
  const fields = parseJson(accessLogFormat);
  if (fields !== undefined) return { kind: 'json', fields };
  findings.ineffective(
    'mesh.accessLogFormat',
    'it is no JSON object: the standard fields are used',
    {
      hint: 'write an object of names and operators, or accessLogEncoding: TEXT',
    },
  );
  return { kind: 'standard', encoding };
}

function parseJson(text: string): JsonTemplate | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isTemplate(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isTemplate(value: unknown): value is JsonTemplate {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withNewline(template: string): string {
  return template.endsWith('\n') ? template : `${template}\n`;
}

interface Scope {
  readonly path: string;
  readonly standard: AccessLogFormatSetting;
  readonly findings: Findings;
}

function compileProvider(spec: ExtensionProviderSpec, scope: Scope): CompiledProvider {
  const { name = '', envoyFileAccessLog: file, envoyOtelAls: otel, opentelemetry } = spec;
  const { path, findings } = scope;
  if (file !== undefined) return { name, hasMetrics: false, accessLog: fileLog(spec, scope) };
  if (otel !== undefined) {
    const at = `${path}.envoyOtelAls`;
    const collector = collectorOf(otel, at, findings);
    const accessLog = collector && otlpLog(name, otel, collector);
    if (accessLog !== undefined) checkFormat(accessLog.format, `${at}.logFormat`, findings);
    return { name, hasMetrics: false, ...(accessLog && { accessLog }) };
  }
  if (opentelemetry !== undefined) {
    const at = `${path}.opentelemetry`;
    const tracing = tracerOf(name, opentelemetry, { ...scope, path: at });
    return {
      name,
      hasMetrics: false,
      ...(tracing && { tracing }),
      ...(opentelemetry.maxTagLength && { pathTagCharsMax: opentelemetry.maxTagLength }),
    };
  }
  for (const kind of [...OTHER_TRACERS, ...OTHER_LOGS, 'stackdriver'])
    if (spec[kind] !== undefined)
      findings.ineffective(`${path}.${kind}`, `proxies do not speak ${kind}'s protocol`, {
        hint: 'send OpenTelemetry to a collector that passes it on: opentelemetry, envoyOtelAls',
      });
  // Others (authorizers, secret stores) are not telemetry's.
  return { name, hasMetrics: spec.prometheus !== undefined };
}

function fileLog(
  { name = '', envoyFileAccessLog }: ExtensionProviderSpec,
  { path, standard, findings }: Scope,
): AccessLogOutput {
  const { path: file, logFormat, omitEmptyValues } = envoyFileAccessLog ?? {};
  const sink = { kind: 'file', path: file || STDOUT } as const;
  const omits = omitEmptyValues === true && { omitsEmpty: true };
  const format = (): AccessLogFormatSetting => {
    // Istio: the provider `envoy` without a format takes MeshConfig's.
    if (logFormat === undefined)
      return name === 'envoy' && !omits ? standard : { kind: 'standard', encoding: 'text' };
    const { text, labels } = logFormat;
    if (text !== undefined && text !== '') return { kind: 'text', template: withNewline(text) };
    if (labels === undefined) return { kind: 'standard', encoding: 'text' };
    if (!isTemplate(labels)) {
      findings.ineffective(`${path}.envoyFileAccessLog.logFormat.labels`, 'it is no mapping');
      return { kind: 'standard', encoding: 'json' };
    }
    const isEmpty = Object.keys(labels).length === 0;
    return isEmpty ? { kind: 'standard', encoding: 'json' } : { kind: 'json', fields: labels };
  };
  const chosen = format();
  if (chosen !== standard) checkFormat(chosen, `${path}.envoyFileAccessLog.logFormat`, findings);
  return { provider: name, sink, format: chosen, ...omits };
}

/** What is not understood is written as it stands: somebody should know. */
function checkFormat(format: AccessLogFormatSetting, path: string, findings: Findings): void {
  const problem =
    format.kind === 'text'
      ? logTemplateProblem(format.template)
      : format.kind === 'json'
        ? jsonTemplateProblem(format.fields)
        : format.kind === 'otlp'
          ? (logTemplateProblem(format.body ?? '') ?? jsonTemplateProblem(format.attributes))
          : undefined;
  if (problem === undefined) return;
  findings.ineffective(path, `${problem}: it is written as it stands`, {
    hint: 'the operators that proxies know are listed in docs/access-logs.md',
  });
}

function otlpLog(
  provider: string,
  { logName, logFormat }: NonNullable<ExtensionProviderSpec['envoyOtelAls']>,
  collector: CollectorAddress,
): AccessLogOutput {
  const labels = isTemplate(logFormat?.labels) ? logFormat.labels : {};
  const attributes = Object.fromEntries(
    Object.entries(labels)
      .map(([name, value]) => [name, typeof value === 'string' ? value : ''] as const)
      .sort(([left], [right]) => (left < right ? -1 : 1)),
  );
  return {
    provider,
    sink: { kind: 'otlp', collector, logName: logName || OTLP_LOG_NAME },
    format: { kind: 'otlp', body: logFormat?.text || undefined, attributes },
  };
}

function tracerOf(
  name: string,
  spec: OpenTelemetrySpec,
  { path, findings }: Scope,
): TracingProvider | undefined {
  const collector = collectorOf(spec, path, findings);
  const { http, grpc, resourceDetectors } = spec;
  if (resourceDetectors?.dynatrace !== undefined || spec.dynatraceSampler !== undefined)
    findings.ineffective(
      path,
      'the detector and the sampler of Dynatrace are not known to proxies',
      {
        hint: 'set the sampling by a Telemetry: randomSamplingPercentage',
      },
    );
  if (collector === undefined) return undefined;
  const timeout = http === undefined ? grpc?.timeout : http.timeout;
  const timeoutMs = duration(timeout, `${path}.${http ? 'http' : 'grpc'}.timeout`, findings);
  const headers = (http === undefined ? grpc?.initialMetadata : http.headers) ?? [];
  const isSemantic = spec.serviceAttributeEnrichment === 'OTEL_SEMANTIC_CONVENTIONS';
  return {
    name,
    protocol: http === undefined ? 'otlp-grpc' : 'otlp-http',
    collector,
    path: http?.path ? `/${http.path.replace(/^\/+/, '')}` : TRACES_PATH,
    ...(timeoutMs && { timeoutMs }),
    headers: headers.flatMap((header, at) => {
      if (header.name && header.value !== undefined)
        return [{ name: header.name.toLowerCase(), value: header.value }];
      findings.ineffective(
        `${path}.headers[${at}]`,
        header.envName
          ? `the environment variable ${header.envName} of the control plane is not read`
          : 'a header has a name and a value',
        { hint: 'write the value' },
      );
      return [];
    }),
    readsEnvironment: resourceDetectors?.environment !== undefined || isSemantic,
    semanticServiceName: isSemantic,
  };
}

/** `service` is a host name, with or without `namespace/` before it. */
function collectorOf(
  { service = '', port }: { service?: string; port?: number },
  path: string,
  findings: Findings,
): CollectorAddress | undefined {
  const slash = service.indexOf('/');
  const host = service.slice(slash + 1);
  const isPort = Number.isInteger(port) && Number(port) >= 1 && Number(port) <= 65_535;
  if (host === '' || !isPort) {
    findings.ineffective(path, 'a collector has a service and a port: nothing is sent', {
      hint: 'write service: host and port: number',
    });
    return undefined;
  }
  return { host, port: Number(port), ...(slash > 0 && { namespace: service.slice(0, slash) }) };
}
