/** JSON to a `WhyRequest`: all that is wrong with it at once. */
import type { WhyRequest } from './contract.ts';

export type Checked =
  | { readonly request: WhyRequest; readonly problems: undefined }
  | { readonly request: undefined; readonly problems: readonly string[] };

type Json = Readonly<Record<string, unknown>>;

const PROTOCOLS = ['http', 'http2', 'grpc', 'tcp', 'tls', 'https'];
const TOP = [
  'source',
  'destination',
  'gateway',
  'mode',
  'protocol',
  'sni',
  'method',
  'path',
  'headers',
];
const SOURCE = ['namespace', 'serviceAccount', 'labels', 'ip', 'trustDomain', 'mtls', 'workload'];
const DESTINATION = ['host', 'port', 'workload'];

export function checkRequest(value: unknown): Checked {
  const problems: string[] = [];
  if (!isObject(value)) return { request: undefined, problems: ['a request is a JSON object'] };
  const { source, destination } = value;
  known(value, TOP, '', problems);
  texts(value, ['gateway', 'sni', 'method', 'path'], '', problems);
  map(value.headers, 'headers', problems);
  oneOf(value.mode, ['ambient', 'sidecar'], 'mode', problems);
  oneOf(value.protocol, PROTOCOLS, 'protocol', problems);
  named(value.gateway, 'gateway', problems);
  if (source !== undefined && !isObject(source)) problems.push('source is no object');
  else if (source !== undefined) {
    known(source, SOURCE, 'source.', problems);
    texts(source, ['namespace', 'serviceAccount', 'ip', 'trustDomain'], 'source.', problems);
    named(source.workload, 'source.workload', problems);
    map(source.labels, 'source.labels', problems);
    if (source.mtls !== undefined && typeof source.mtls !== 'boolean')
      problems.push('source.mtls is neither true nor false');
  }
  if (!isObject(destination)) problems.push('destination is required: { host, port }');
  else {
    const { host, port, workload } = destination;
    known(destination, DESTINATION, 'destination.', problems);
    if (typeof host !== 'string' || host === '') problems.push('destination.host is required');
    if (!Number.isInteger(port) || Number(port) < 1 || Number(port) > 65_535)
      problems.push('destination.port is no port number');
    named(workload, 'destination.workload', problems);
  }
  return problems.length === 0
    ? { request: value as unknown as WhyRequest, problems: undefined }
    : { request: undefined, problems };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function known(value: Json, names: readonly string[], prefix: string, problems: string[]): void {
  for (const name of Object.keys(value))
    if (!names.includes(name))
      problems.push(`${prefix}${name} is unknown; one of ${names.join(', ')}`);
}

function texts(value: Json, names: readonly string[], prefix: string, problems: string[]): void {
  for (const name of names)
    if (value[name] !== undefined && typeof value[name] !== 'string')
      problems.push(`${prefix}${name} is no string`);
}

function map(value: unknown, name: string, problems: string[]): void {
  if (value === undefined) return;
  if (!isObject(value) || Object.values(value).some((each) => typeof each !== 'string'))
    problems.push(`${name} is no object of strings`);
}

function oneOf(value: unknown, allowed: readonly string[], name: string, problems: string[]): void {
  if (value !== undefined && !allowed.includes(value as string))
    problems.push(`${name} is none of ${allowed.join(', ')}`);
}

function named(value: unknown, name: string, problems: string[]): void {
  if (value !== undefined && !/^[^/]+\/[^/]+$/.test(String(value)))
    problems.push(`${name} is no namespace/name`);
}
