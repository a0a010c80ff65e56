/** One Telemetry, checked and understood. Istio: pkg/config/validation ValidateTelemetry; what our proxies cannot do is told. */
import { logTemplateProblem } from '#model/telemetry/log-template.ts';
import { type CustomTag, METRIC_KEYS, type MetricKey } from '#model/telemetry/settings.ts';
import { type Compiled, Findings } from '../finding.ts';
import { identityOf } from '../istio-kinds.ts';
import { checkedDuration, parseDouble } from '../scalars.ts';
import { readShape } from '../shape.ts';
import {
  BOTH_MODES,
  type CompiledLogging,
  type CompiledMetricOverride,
  type CompiledMetrics,
  type CompiledTelemetry,
  type CompiledTracing,
  type Mode,
} from './compiled.ts';
import { compileFilterText, compileTagText } from './expression.ts';
import {
  type AccessLoggingSpec,
  type CustomTagSpec,
  type MetricsSpec,
  type ProviderRef,
  type TargetRef,
  TELEMETRY,
  type TelemetryObject,
  type TelemetrySpec,
  type TracingSpec,
} from './kinds.ts';
import { EXTRA_TAGS_MAX } from './limits.ts';

export function compileTelemetry(object: TelemetryObject): Compiled<CompiledTelemetry> {
  const identity = identityOf(object);
  const findings = new Findings('Telemetry', identity);
  const spec = (readShape(object.spec ?? {}, TELEMETRY, 'spec', findings) ?? {}) as TelemetrySpec;
  if (findings.failed) return { value: undefined, findings: findings.list };
  const labels = spec.selector?.matchLabels;
  const value: CompiledTelemetry = {
    identity,
    selector: labels === undefined || Object.keys(labels).length === 0 ? undefined : labels,
    targets: targetsOf(spec, identity.namespace, findings),
    metrics: (spec.metrics ?? []).map((each, at) =>
      metricsOf(each, `spec.metrics[${at}]`, findings),
    ),
    accessLogging: (spec.accessLogging ?? []).map((each, at) =>
      loggingOf(each, `spec.accessLogging[${at}]`, findings),
    ),
    tracing: (spec.tracing ?? []).map((each, at) =>
      tracingOf(each, `spec.tracing[${at}]`, findings),
    ),
  };
  return { value: findings.failed ? undefined : value, findings: findings.list };
}

const TARGET_GROUPS: Readonly<Record<string, string>> = {
  Gateway: 'gateway.networking.k8s.io',
  GatewayClass: 'gateway.networking.k8s.io',
  Service: '',
  ServiceEntry: 'networking.istio.io',
};

function targetsOf(spec: TelemetrySpec, namespace: string, findings: Findings): string[] {
  const single = spec.targetRef === undefined ? [] : [spec.targetRef];
  const refs: readonly TargetRef[] = spec.targetRefs?.length ? spec.targetRefs : single;
  if (refs.length > 0 && spec.selector?.matchLabels !== undefined)
    findings.invalid('spec.selector', 'selector and targetRefs exclude each other');
  return refs
    .map((ref, at) => {
      const { group = '', kind = '', name = '' } = ref;
      const path = spec.targetRefs?.length ? `spec.targetRefs[${at}]` : 'spec.targetRef';
      const isCore = group === '' || group === 'core';
      const known = Object.hasOwn(TARGET_GROUPS, kind) ? TARGET_GROUPS[kind] : undefined;
      if (known === undefined || !(known === group || (known === '' && isCore)))
        findings.invalid(
          `${path}.kind`,
          `${group === '' ? kind : `${group}/${kind}`} is no target of a Telemetry`,
          `use one of ${Object.keys(TARGET_GROUPS).join(', ')}`,
        );
      if (name === '') findings.invalid(`${path}.name`, 'a target has a name');
      if (ref.namespace && ref.namespace !== namespace)
        findings.invalid(`${path}.namespace`, 'targets are of the namespace of the Telemetry');
      return `${kind}/${namespace}/${name}`;
    })
    .sort();
}

function modesOf(mode: string | undefined, path: string, findings: Findings): readonly Mode[] {
  if (mode === undefined || mode === 'CLIENT_AND_SERVER') return BOTH_MODES;
  if (mode === 'CLIENT' || mode === 'SERVER') return [mode];
  findings.invalid(`${path}.mode`, `${mode} is none of CLIENT, SERVER, CLIENT_AND_SERVER`);
  return BOTH_MODES;
}

function providersOf(
  providers: readonly ProviderRef[] | undefined,
  path: string,
  findings: Findings,
): readonly string[] {
  return (providers ?? []).map(({ name = '' }, at) => {
    if (name === '') findings.invalid(`${path}.providers[${at}].name`, 'a provider has a name');
    return name;
  });
}

function metricsOf(spec: MetricsSpec, path: string, findings: Findings): CompiledMetrics {
  const { reportingInterval, overrides = [] } = spec;
  if (reportingInterval !== undefined) {
    checkedDuration(reportingInterval, `${path}.reportingInterval`, findings);
    // In Istio: how often Envoy counts the bytes of open TCP connections (stats plugin, tcp_reporting_duration). Ours are up to date whenever they are read.
    findings.ineffective(
      `${path}.reportingInterval`,
      `no ${reportingInterval} are waited for: bytes of open TCP connections are counted up to each scrape, and all else as it ends`,
      {
        level: 'info',
        hint: 'remove the field: numbers are as fresh as the scrapes, whose interval is set in Prometheus',
      },
    );
  }
  return {
    providers: providersOf(spec.providers, path, findings),
    overrides: overrides.map((each, at) => {
      const here = `${path}.overrides[${at}]`;
      const chosen = metricsMatched(each.match, `${here}.match`, findings);
      return {
        ...chosen,
        modes: modesOf(each.match?.mode, `${here}.match`, findings),
        disabled: each.disabled,
        tags: tagsOf(each.tagOverrides ?? {}, `${here}.tagOverrides`, findings),
      };
    }),
  };
}

/** Names of the metrics without `istio_`, as Istio's `customMetric` reaches them. */
const BY_SUFFIX: Readonly<Record<string, MetricKey>> = {
  requests_total: 'REQUEST_COUNT',
  request_duration_milliseconds: 'REQUEST_DURATION',
  request_bytes: 'REQUEST_SIZE',
  response_bytes: 'RESPONSE_SIZE',
  tcp_connections_opened_total: 'TCP_OPENED_CONNECTIONS',
  tcp_connections_closed_total: 'TCP_CLOSED_CONNECTIONS',
  tcp_sent_bytes_total: 'TCP_SENT_BYTES',
  tcp_received_bytes_total: 'TCP_RECEIVED_BYTES',
  request_messages_total: 'GRPC_REQUEST_MESSAGES',
  response_messages_total: 'GRPC_RESPONSE_MESSAGES',
};

function metricsMatched(
  match: { metric?: string; customMetric?: string } | undefined,
  path: string,
  findings: Findings,
): Pick<CompiledMetricOverride, 'metrics' | 'isForAll'> {
  const { metric, customMetric } = match ?? {};
  if (metric !== undefined && customMetric !== undefined)
    findings.invalid(path, 'metric and customMetric exclude each other');
  if (customMetric !== undefined) {
    const suffix = customMetric.replace(/^istio_/, '');
    const key = Object.hasOwn(BY_SUFFIX, suffix) ? BY_SUFFIX[suffix] : undefined;
    if (key === undefined)
      findings.ineffective(`${path}.customMetric`, `proxies have no metric ${customMetric}`, {
        hint: 'name one of Istio’s metrics: docs/metrics.md lists them',
      });
    return { metrics: key === undefined ? [] : [key], isForAll: false };
  }
  if (metric === undefined || metric === 'ALL_METRICS')
    return { metrics: METRIC_KEYS, isForAll: true };
  const key = METRIC_KEYS.find((each) => each === metric);
  if (key === undefined)
    findings.invalid(
      `${path}.metric`,
      `${metric} is none of ALL_METRICS, ${METRIC_KEYS.join(', ')}`,
    );
  return { metrics: key === undefined ? [] : [key], isForAll: false };
}

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

function tagsOf(
  overrides: Readonly<Record<string, { operation?: string; value?: string }>>,
  path: string,
  findings: Findings,
): CompiledMetricOverride['tags'] {
  const tags: Record<string, CompiledMetricOverride['tags'][string]> = {};
  const entries = Object.entries(overrides);
  if (entries.length > EXTRA_TAGS_MAX)
    findings.invalid(path, `more than ${EXTRA_TAGS_MAX} labels are changed`, 'change fewer');
  for (const [name, { operation = 'UPSERT', value = '' }] of entries) {
    const here = `${path}.${name}`;
    if (operation === 'REMOVE') {
      if (value !== '') findings.invalid(`${here}.value`, 'REMOVE takes no value', 'remove it');
      tags[name] = {};
      continue;
    }
    if (operation !== 'UPSERT')
      findings.invalid(`${here}.operation`, `${operation} is none of UPSERT, REMOVE`);
    if (value === '')
      findings.invalid(`${here}.value`, 'UPSERT needs a value', 'write one, or operation: REMOVE');
    else if (!LABEL_NAME.test(name) || name.startsWith('__') || name === 'le')
      findings.invalid(here, `${name} cannot be the name of a label`, 'use letters, digits and _');
    else tags[name] = { expression: tagExpression(value, `${here}.value`, findings) };
  }
  return tags;
}

/** What cannot be judged has the value `unknown`, as at Istio's proxies. */
function tagExpression(text: string, path: string, findings: Findings) {
  const compiled = compileTagText(text);
  if (!('reason' in compiled)) return compiled;
  findings.ineffective(path, `${compiled.reason}; the label is \`unknown\``, {
    hint: 'write a CEL expression over request.*, response.*, connection.*, source.*, destination.*',
  });
  return { text, node: { op: 'literal', value: 'unknown' } } as const;
}

function loggingOf(spec: AccessLoggingSpec, path: string, findings: Findings): CompiledLogging {
  const text = spec.filter?.expression;
  const compiled = text === undefined || text === '' ? undefined : compileFilterText(text);
  if (compiled !== undefined && 'reason' in compiled) {
    const at = `${path}.filter.expression`;
    if (compiled.malformed) findings.invalid(at, compiled.reason, 'write a CEL expression');
    else
      findings.ineffective(at, `${compiled.reason}; nothing is filtered`, {
        hint: 'write it over request.*, response.*, connection.*, source.*, destination.*',
      });
  }
  return {
    modes: modesOf(spec.match?.mode, `${path}.match`, findings),
    providers: providersOf(spec.providers, path, findings),
    disabled: spec.disabled === true,
    ...(compiled !== undefined && !('reason' in compiled) && { filter: compiled }),
  };
}

function tracingOf(spec: TracingSpec, path: string, findings: Findings): CompiledTracing {
  const samplingPercent = parseDouble(spec.randomSamplingPercentage);
  if (samplingPercent !== undefined && !(samplingPercent >= 0 && samplingPercent <= 100))
    findings.invalid(
      `${path}.randomSamplingPercentage`,
      `${spec.randomSamplingPercentage} is not within 0 to 100`,
    );
  const providers = providersOf(spec.providers, path, findings);
  if (providers.length > 1)
    findings.ineffective(`${path}.providers`, `only the first, ${providers[0]}, gets traces`, {
      hint: 'name one provider; a collector can pass traces on to others',
    });
  return {
    modes: modesOf(spec.match?.mode, `${path}.match`, findings),
    providers,
    ...(spec.disableSpanReporting !== undefined && { disabled: spec.disableSpanReporting }),
    ...(samplingPercent !== undefined && { samplingPercent }),
    ...(spec.customTags !== undefined && {
      customTags: customTagsOf(spec.customTags, `${path}.customTags`, findings),
    }),
    ...(spec.enableIstioTags !== undefined && { istioTags: spec.enableIstioTags }),
    ...(spec.useRequestIdForTraceSampling !== undefined && {
      usesRequestId: spec.useRequestIdForTraceSampling,
    }),
    ...(spec.disableContextPropagation !== undefined && {
      stopsContext: spec.disableContextPropagation,
    }),
  };
}

/** Also of MeshConfig. */
export function customTagsOf(
  tags: Readonly<Record<string, CustomTagSpec>>,
  path: string,
  findings: Findings,
): CustomTag[] {
  return Object.entries(tags)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([name, tag]): CustomTag[] => {
      const at = `${path}.${name}`;
      const { literal, environment, header, formatter } = tag ?? {};
      if (name === '') findings.invalid(path, 'a tag has a name');
      if (literal !== undefined) {
        const { value = '' } = literal;
        if (value === '') findings.invalid(`${at}.literal.value`, 'a literal has a value');
        return [{ name, kind: 'literal', value }];
      }
      if (environment !== undefined) {
        const { name: variable = '', defaultValue = '' } = environment;
        if (variable === '') findings.invalid(`${at}.environment.name`, 'name the variable');
        return [{ name, kind: 'environment', variable, defaultValue }];
      }
      if (header !== undefined) {
        const { name: asked = '', defaultValue = '' } = header;
        if (asked === '') findings.invalid(`${at}.header.name`, 'name the header');
        return [{ name, kind: 'header', header: asked.toLowerCase(), defaultValue }];
      }
      if (formatter !== undefined) {
        const { value: template = '' } = formatter;
        if (template === '') findings.invalid(`${at}.formatter.value`, 'a formatter has a value');
        const problem = logTemplateProblem(template);
        if (problem !== undefined) findings.invalid(`${at}.formatter.value`, problem);
        return [{ name, kind: 'formatter', template }];
      }
      findings.invalid(at, 'a tag is a literal, an environment variable, a header or a formatter');
      return [];
    });
}
