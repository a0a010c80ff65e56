/** Flags and queries that the commands about traffic share. */
import { Option } from 'commander';
import { collect } from '../flags.ts';

/** A flag that may be given again; without it nothing is left out. */
export const repeatable = (flags: string, description: string) =>
  new Option(flags, `${description}; may be given again`).default([], 'all').argParser(collect);

export const NAMESPACES = repeatable('-n, --namespace <name>', 'only of this namespace');

/** `/api/v1/…?…` without empty members; lists with commas. */
export function addressOf(
  path: string,
  query: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>,
): string {
  const members = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    const text = Array.isArray(value)
      ? value.join(',')
      : value === undefined || value === false
        ? ''
        : String(value);
    if (text !== '') members.set(name, text);
  }
  const text = members.toString();
  return `/api/v1/${path}${text === '' ? '' : `?${text}`}`;
}

/** What the commands about single requests filter by. */
export interface RequestFlags {
  namespace: string[];
  workload: string[];
  service: string[];
  method: string[];
  path?: string;
  status?: string;
  node?: string;
  failed?: boolean;
  output: string;
}

export function requestQuery(options: RequestFlags) {
  return {
    namespaces: options.namespace,
    workloads: options.workload,
    services: options.service,
    methods: options.method,
    pathPrefix: options.path,
    status: options.status,
    node: options.node,
    failed: options.failed === true ? 'true' : undefined,
  };
}
