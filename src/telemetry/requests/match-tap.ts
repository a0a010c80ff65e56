/** Whether somebody asked to see a request. Pure: the proxies' filter, and the console's for what is kept. */
import type { RequestRecord, TapFilter } from './request-record.ts';

export const STATUS_MAX = 599;

/** Nothing restricted. */
export const ANY_REQUEST: TapFilter = {
  namespaces: [],
  workloads: [],
  services: [],
  methods: [],
  pathPrefix: '',
  statusFrom: 0,
  statusTo: STATUS_MAX,
  onlyFailed: false,
  perSecondMax: 100,
};

export function matchTap(filter: TapFilter, record: RequestRecord): boolean {
  const { source, destination } = record;
  return (
    record.status >= filter.statusFrom &&
    record.status <= filter.statusTo &&
    (!filter.onlyFailed || hasFailed(record)) &&
    allows(filter.namespaces, source.namespace, destination.namespace) &&
    (filter.workloads.length === 0 ||
      allows(filter.workloads, keyOf(source), keyOf(destination))) &&
    allows(filter.services, record.service) &&
    allows(filter.methods, record.method) &&
    record.path.startsWith(filter.pathPrefix)
  );
}

/** Answered 5xx or not at all, refused or cut by a proxy (which says a reason then), or a connection that did not end well. */
export function hasFailed({
  protocol,
  status,
  flags,
  reason,
}: Pick<RequestRecord, 'protocol' | 'status' | 'flags' | 'reason'>): boolean {
  if (flags !== '-' || reason !== '') return true;
  return (protocol === 'http' || protocol === 'grpc') && (status === 0 || status >= 500);
}

function allows(wanted: readonly string[], ...values: readonly string[]): boolean {
  return wanted.length === 0 || values.some((value) => value !== '' && wanted.includes(value));
}

function keyOf({ namespace, workload }: RequestRecord['source']): string {
  return workload === '' ? '' : `${namespace}/${workload}`;
}
