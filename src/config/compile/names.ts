/**
 * What Istio's validation says about names, addresses and ports: each function returns what is wrong, or undefined
 * (Istio: pkg/config/validation/agent/validation.go, pkg/config/labels/instance.go).
 */
import { parseIp } from '#base/ip.ts';

const LABEL = '[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?';
const DNS_LABEL = new RegExp(`^${LABEL}$`);
/** `*`, or a label that may start with `*` or `*-`. */
const WILDCARD_LABEL = new RegExp(`^(\\*|(\\*|\\*-)?${LABEL})$`);
const QUALIFIED = '(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const LABEL_KEY = new RegExp(`^(?:(${LABEL}(?:\\.${LABEL})*)/)?(${QUALIFIED})$`);
const LABEL_VALUE = new RegExp(`^(?:${QUALIFIED})?$`);

const LABEL_CHARACTERS_MAX = 63;
const DOMAIN_CHARACTERS_MAX = 255;
const LABEL_PREFIX_CHARACTERS_MAX = 253;

export function isDnsLabel(text: string): boolean {
  return text.length <= LABEL_CHARACTERS_MAX && DNS_LABEL.test(text);
}

/** A host name without wildcard. */
export function domainProblem(domain: string): string | undefined {
  return lengthProblem(domain) ?? labelsProblem(domain, domain);
}

/** A host name whose first label may be a wildcard. */
export function wildcardDomainProblem(domain: string): string | undefined {
  const problem = lengthProblem(domain);
  if (problem !== undefined) return problem;
  const dot = domain.indexOf('.');
  const first = dot === -1 ? domain : domain.slice(0, dot);
  if (first.length > LABEL_CHARACTERS_MAX || !WILDCARD_LABEL.test(first))
    return `${JSON.stringify(domain)} is no host name: the label ${JSON.stringify(first)} is invalid`;
  return dot === -1 ? undefined : labelsProblem(domain.slice(dot + 1), domain);
}

/** A host of a VirtualService or an SNI: a name, perhaps with a wildcard, or an address. */
export function hostProblem(host: string): string | undefined {
  return parseIp(host) === undefined ? wildcardDomainProblem(host) : undefined;
}

function lengthProblem(domain: string): string | undefined {
  if (domain === '') return 'a host name is required';
  return domain.length > DOMAIN_CHARACTERS_MAX
    ? `the host name is longer than ${DOMAIN_CHARACTERS_MAX} characters`
    : undefined;
}

function labelsProblem(labels: string, domain: string): string | undefined {
  const parts = labels.split('.');
  const last = parts[parts.length - 1];
  if (/^[+-]?\d+$/.test(last))
    return `${JSON.stringify(domain)} is no host name: its last label is a number`;
  // The last label may be empty: `istio.io.` says that nothing is to be added.
  const bad = parts.find(
    (label, at) => !(at === parts.length - 1 && label === '') && !isDnsLabel(label),
  );
  return bad === undefined
    ? undefined
    : `${JSON.stringify(domain)} is no host name: the label ${JSON.stringify(bad)} is invalid`;
}

/** `namespace/host` of a Gateway's server or a Sidecar's egress: neither short names nor partial wildcards. */
export function scopedHostProblem(host: string, kind: 'Gateway' | 'Sidecar'): string | undefined {
  const slash = host.indexOf('/');
  if (slash === -1)
    return kind === 'Gateway'
      ? dnsNameProblem(host, kind)
      : 'a host must be of the form namespace/dnsName';
  const namespace = host.slice(0, slash);
  const name = host.slice(slash + 1);
  if (namespace === '' || name === '')
    return 'neither namespace nor dnsName of a host may be empty';
  // A Sidecar leaves out what `~namespace` names.
  const scope = kind === 'Sidecar' ? namespace.replace(/^~/, '') : namespace;
  const known = scope === '*' || scope === '.' || (kind === 'Sidecar' && scope === '');
  if (!known && !isDnsLabel(scope)) return `${JSON.stringify(namespace)} is no namespace`;
  return dnsNameProblem(name, kind);
}

function dnsNameProblem(name: string, kind: 'Gateway' | 'Sidecar'): string | undefined {
  if (name !== '*' && !name.includes('.')) return 'short names (non FQDN) are not allowed';
  const isAddress = kind === 'Gateway' && parseIp(name) !== undefined;
  const problem = isAddress ? undefined : wildcardDomainProblem(name);
  if (problem !== undefined) return problem;
  return name.includes('*') && name !== '*' && !name.startsWith('*.')
    ? `the partial wildcard ${JSON.stringify(name)} is not allowed`
    : undefined;
}

export function portProblem(port: number | undefined): string | undefined {
  return Number.isInteger(port) && port !== undefined && port >= 1 && port <= 65_535
    ? undefined
    : `${port} is no port between 1 and 65535`;
}

export function addressProblem(address: string): string | undefined {
  return parseIp(address) === undefined ? `${JSON.stringify(address)} is no IP address` : undefined;
}

/** An address, or one with a prefix length. */
export function subnetProblem(subnet: string): string | undefined {
  const [address, length, ...more] = subnet.split('/');
  const bytes = parseIp(address);
  const isWhole = length === undefined || (/^\d{1,3}$/.test(length) && !/^0\d/.test(length));
  return bytes === undefined ||
    more.length > 0 ||
    !isWhole ||
    Number(length ?? 0) > bytes.length * 8
    ? `${JSON.stringify(subnet)} is neither an IP address nor a CIDR block`
    : undefined;
}

/** All that is wrong with a map of labels. */
export function labelProblems(labels: Readonly<Record<string, string>> | undefined): string[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => {
    const problems: string[] = [];
    const match = LABEL_KEY.exec(key);
    const tooLong =
      (match?.[1]?.length ?? 0) > LABEL_PREFIX_CHARACTERS_MAX ||
      (match?.[2]?.length ?? 0) > LABEL_CHARACTERS_MAX;
    if (match === null || tooLong) problems.push(`${JSON.stringify(key)} is no label key`);
    if (!LABEL_VALUE.test(value)) problems.push(`${JSON.stringify(value)} is no label value`);
    return problems;
  });
}

/** `name` or `namespace/name` of a Gateway. */
export function gatewayNameProblem(name: string): string | undefined {
  const slash = name.indexOf('/');
  // As Istio: the name alone may be dotted, an old way to write it.
  if (slash === -1) return domainProblem(name);
  const parts = [name.slice(0, slash), name.slice(slash + 1)];
  if (parts.includes('')) return 'neither namespace nor name of a gateway may be empty';
  const bad = parts.find((part) => !isDnsLabel(part));
  return bad === undefined ? undefined : `${JSON.stringify(bad)} is no namespace or gateway name`;
}

/** All that is wrong with an exportTo. */
export function exportToProblems(
  exportTo: readonly string[] | undefined,
  namespace: string,
): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const target of exportTo ?? []) {
    const key = target === '.' ? namespace : target;
    if (seen.has(key)) problems.push(`${JSON.stringify(target)} is named twice`);
    seen.add(key);
    if (target === '~') problems.push('~ (nobody) is not allowed here');
    else if (key !== '*' && !isDnsLabel(key))
      problems.push(`${JSON.stringify(target)} is neither ., * nor a namespace`);
  }
  if (seen.has('*') && (exportTo?.length ?? 0) > 1)
    problems.push('* (everybody) and namespaces exclude each other');
  return problems;
}
