/** A container's environment as Kubernetes builds it: pure, given the objects that it may refer to. */
import type { ConfigMap, Container, EnvVar, Pod, Secret } from '#kube/client/kinds.ts';

export interface References {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
}

export interface EnvironmentContext extends References {
  pod: Pod;
  podAddress: string;
  nodeAddress: string;
  /** Always set: PATH, HOSTNAME, KUBERNETES_SERVICE_HOST, … The container's own win. */
  base: Readonly<Record<string, string>>;
}

interface EnvFrom {
  prefix?: string;
  configMapRef?: { name: string; optional?: boolean };
  secretRef?: { name: string; optional?: boolean };
}

export type Environment = { values: Record<string, string> } | { problem: string };

export function buildEnvironment(container: Container, context: EnvironmentContext): Environment {
  const values: Record<string, string> = { ...context.base };
  for (const source of (container.envFrom as EnvFrom[] | undefined) ?? []) {
    const found = fromSource(source, context);
    if (typeof found === 'string') return { problem: found };
    for (const [key, value] of Object.entries(found))
      values[`${source.prefix ?? ''}${key}`] = value;
  }
  for (const variable of container.env ?? []) {
    const found = variableValue(variable, context);
    if ('problem' in found) return found;
    if (found.value !== undefined) values[variable.name] = expand(found.value, values);
  }
  return { values };
}

function fromSource(source: EnvFrom, context: References): Record<string, string> | string {
  if (source.configMapRef !== undefined) {
    const { name, optional } = source.configMapRef;
    const map = context.configMap(name);
    return (
      map?.data ?? (map !== undefined || optional === true ? {} : `configmap "${name}" not found`)
    );
  }
  if (source.secretRef === undefined) return {};
  const { name, optional } = source.secretRef;
  const secret = context.secret(name);
  if (secret === undefined) return optional === true ? {} : `secret "${name}" not found`;
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, fromBase64(value)]),
  );
}

function variableValue(
  variable: EnvVar,
  context: EnvironmentContext,
): { value: string | undefined } | { problem: string } {
  const { valueFrom } = variable;
  if (valueFrom === undefined) return { value: variable.value ?? '' };
  if (valueFrom.fieldRef !== undefined) {
    const value = fieldValue(valueFrom.fieldRef.fieldPath, context);
    return value === undefined
      ? { problem: `field ${valueFrom.fieldRef.fieldPath} is not supported` }
      : { value };
  }
  const fromMap = valueFrom.configMapKeyRef;
  const reference = fromMap ?? valueFrom.secretKeyRef;
  if (reference === undefined)
    return { problem: `env ${variable.name}: its valueFrom is not supported` };
  const kind = fromMap === undefined ? 'secret' : 'configmap';
  const raw =
    fromMap === undefined
      ? context.secret(reference.name)?.data
      : context.configMap(reference.name)?.data;
  const value = raw?.[reference.key];
  if (value !== undefined) return { value: fromMap === undefined ? fromBase64(value) : value };
  if (reference.optional === true) return { value: undefined };
  return { problem: `${kind} "${reference.name}" has no key "${reference.key}"` };
}

/** The downward API's paths (kubelet pkg/fieldpath). */
export function fieldValue(
  path: string,
  context: Pick<EnvironmentContext, 'pod' | 'podAddress' | 'nodeAddress'>,
): string | undefined {
  const { pod, podAddress, nodeAddress } = context;
  const { metadata, spec } = pod;
  const entry = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (entry !== null) return metadata[entry[1] as 'labels' | 'annotations']?.[entry[2]] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace;
    case 'metadata.uid':
      return metadata.uid;
    case 'metadata.labels':
      return formatMap(metadata.labels);
    case 'metadata.annotations':
      return formatMap(metadata.annotations);
    case 'spec.nodeName':
      return spec.nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default';
    case 'status.podIP':
    case 'status.podIPs':
      return podAddress;
    case 'status.hostIP':
    case 'status.hostIPs':
      return nodeAddress;
    default:
      return undefined;
  }
}

function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

/** `$(NAME)` becomes the variable's value, `$$(NAME)` stays `$(NAME)`, an unknown name stays as it is. */
export function expand(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(
    /\$(\$|\(([A-Za-z_][\w.-]*)\))/g,
    (whole, rest: string, name: string | undefined) => {
      if (rest === '$') return '$';
      return name !== undefined && Object.hasOwn(values, name) ? values[name] : whole;
    },
  );
}

function fromBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8');
}
