/** What a span or log record says of who made it: OpenTelemetry's resource, with the names that it has for Kubernetes. */
import type { Span } from '#telemetry/tracing/span.ts';
import { keyValues } from './encode.ts';
import type { Resource } from './messages.ts';

export interface ResourceFacts {
  /** `service.name`. */
  readonly service: string;
  /** `namespace/name` of the pod. */
  readonly proxy: string;
}

export const resourceKey = ({ service, proxy }: ResourceFacts | Span): string =>
  `${service} ${proxy}`;

/** `extra`: of OTEL_RESOURCE_ATTRIBUTES; ours win. */
export function resourceOf(
  { service, proxy }: ResourceFacts,
  extra: Readonly<Record<string, string>>,
): Resource {
  const [namespace = '', pod = ''] = proxy.split('/');
  return {
    attributes: keyValues({
      ...extra,
      'service.name': service,
      'service.instance.id': proxy,
      ...(pod !== '' && { 'k8s.namespace.name': namespace, 'k8s.pod.name': pod }),
      'telemetry.sdk.name': 'tulle',
      'telemetry.sdk.language': 'nodejs',
    }),
  };
}

/** `key=value,…`, values percent-encoded (OpenTelemetry, "SDK environment variables"). What is malformed is left out. */
export function environmentAttributes(text: string | undefined): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const part of (text ?? '').split(',')) {
    const equals = part.indexOf('=');
    const key = part.slice(0, Math.max(equals, 0)).trim();
    const value = decoded(part.slice(equals + 1).trim());
    if (key !== '' && value !== undefined) pairs.push([key, value]);
  }
  return Object.fromEntries(pairs);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (_malformed) {
    return undefined;
  }
}
